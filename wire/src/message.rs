//! The protocol: every request, every response.
//!
//! New messages and new variants are appended, never inserted; [`Request::Hello`],
//! [`Response::Identity`]'s first four fields and [`Response::Incompatible`] never change, so that
//! any two versions can tell each other who they are.

#![expect(missing_docs, reason = "the comment on a message speaks of its fields")]

use crate::{
    Digest,
    table::{hash, table},
};

/// Hash of the definition of all messages and formats: two ends with the same one understand each
/// other.
pub const SCHEMA: u32 = hash(TABLE) ^ hash(FORMATS).rotate_left(1);

/// The formats of what is streamed, in words: whoever changes one changes its words, and with them
/// the schema hash.
const FORMATS: &[&str] = &[
    "chip: postcard of ChipSpec, schema 1",
    "network: head, populations with their circuits, projections, in varints",
    "codes: a row of dac bits for each circuit, from a byte on, lowest bits first",
    "weights: sign and magnitude, without gaps, matrix, pre, post, lowest bits first",
    "events: time since the last in ns, unit, in varints",
    "recording: head, adc codes in little-endian bytes, spikes as time since the last and neuron",
    "plasticity: postcard of plasticity::Plan, schema 1",
    "learned: updates in 8 bytes, rates, weights, first and second moments in 4, little-endian",
    "errors: distance from the last in bins times outputs, units of the error, in varints",
];

table! {
    /// What a host asks. Every request may be sent again: asked twice, it has happened once.
    pub enum Request<'a> {
        /// Begins a session under the frame's session number: who are you? Protocols that the host
        /// speaks, and its schema hash.
        Hello { oldest: u16, newest: u16, schema: u32 },
        /// Answered by [`Response::Pong`].
        Ping { echo: u32 },
        /// How is the board? Answered by [`Response::Health`].
        Health,
        /// Something long follows; what it replaces is no longer valid. Where `patch` is set, what
        /// the board has is the beginning, and only what differs is sent.
        Begin { section: Section, bytes: u32, patch: bool },
        /// A piece of it.
        Chunk { section: Section, offset: u32, bytes: &'a [u8] },
        /// It is complete: takes effect if the whole has this digest.
        Commit { section: Section, digest: Digest },
        /// Makes an instance of the chip that was loaded.
        Fabricate { seed: u64, calibrated: bool },
        /// Writes the analog configuration: network and codes as loaded. Nothing is masked after it.
        Configure { seed: u64 },
        /// Age and temperature, and a bit for each circuit that is switched off (first circuit in the
        /// lowest bit of the first byte).
        Environment { age_hours: f64, temperature_c: f64, masked: &'a [u8] },
        /// Runs one sample.
        Run { #[serde(borrow)] run: RunRequest<'a> },
        /// Restarts the board, after it has answered.
        Reset { how: Reset },
        /// Runs one sample and keeps what was recorded, to be learned from; what is `shown` of it is sent, as
        /// that of a run.
        Practise { #[serde(borrow)] run: RunRequest<'a>, shown: Shown },
        /// Errors of the sample that [`crate::recording::lesson`] names so, packed as in [`crate::pack::errors`], in
        /// one part or several; with the last one the board learns.
        Errors { of: u32, first: bool, last: bool, bytes: &'a [u8] },
        /// Makes an update by what was learned since the last one, and writes the weights.
        Update { rate: f64 },
        /// Sends [`Section::Learned`], as the recording of a run is sent.
        Recall { piece: u16, skip: u32 },
    }

    /// What a board answers.
    pub enum Response<'a> {
        /// To [`Request::Hello`].
        Identity { #[serde(borrow)] identity: Identity<'a> },
        /// To [`Request::Hello`]: no common protocol, or another schema under the same number.
        Incompatible { oldest: u16, newest: u16, schema: u32, firmware: &'a str },
        /// Carried out.
        Done,
        /// To [`Request::Ping`].
        Pong { echo: u32 },
        /// To [`Request::Health`].
        Health { health: Health },
        /// Not carried out; `text` is for people.
        Refused { reason: Reason, text: &'a str },
        /// To [`Request::Run`], [`Request::Practise`] and [`Request::Recall`]: what happened; `bytes` of
        /// recording follow as [`Response::Data`].
        Ran { run: Ran },
        /// A piece of a recording, under the sequence number of its run.
        Data { offset: u32, bytes: &'a [u8] },
        /// Still at it, do not wait for less: sent about twice a second.
        Busy,
        /// The frame is ahead of the one that the board waits for: something was lost.
        Missing { expected: u16 },
        /// The frame belongs to no session of this board: it restarted, or serves another host.
        NoSession,
        /// The board failed and restarts: the last words of its panic or fault handler.
        Failed { text: &'a str },
    }

    /// Something long.
    pub enum Section {
        /// Canonical postcard of the chip file.
        Chip,
        /// The network as it lies on the chip, see [`crate::network`].
        Network,
        /// DAC codes, see [`crate::pack`].
        Codes,
        /// The weight image, see [`crate::pack`].
        Weights,
        /// Events of a run that are too many for its frame.
        Events,
        /// What the board has to know in order to learn; without weights, until something learned follows.
        Plasticity,
        /// Weights as they are learned, moments and rates.
        Learned,
    }

    /// One sample.
    pub struct RunRequest<'a> {
        /// Seed of the sample's temporal noise.
        pub trial: u64,
        /// Length, ns of chip time.
        pub duration_ns: u32,
        /// Time between two ADC samples, ns; 0 records none.
        pub adc_interval_ns: u32,
        /// Whether spikes are recorded.
        pub spikes: bool,
        /// Longest piece of recording in a frame, bytes; a bad line wants short ones. No board sends
        /// longer ones than it can.
        pub piece: u16,
        /// What of the recording has arrived already: data begin here.
        pub skip: u32,
        /// Input events, or the digest of the section that holds them.
        #[serde(borrow)]
        pub events: Events<'a>,
    }

    /// What of a recording goes to the host.
    pub struct Shown {
        /// Of neurons from this one on.
        pub first: u16,
        /// Samples too, or spikes alone.
        pub samples: bool,
    }

    /// Input events of a run.
    pub enum Events<'a> {
        /// Packed as in [`crate::pack::events`].
        Here { bytes: &'a [u8] },
        /// In the committed section with this digest.
        Section { digest: Digest },
    }

    /// What a run gave.
    pub struct Ran {
        /// Length of the recording, see [`crate::recording`].
        pub bytes: u32,
        /// CRC-32 of the whole recording.
        pub crc: u32,
        /// This run's counters.
        pub counters: Counters,
    }

    /// Counts of one run, as `spikeloop-chip` defines them. Weight writes are counted by the host:
    /// each commit of weights writes the whole image.
    pub struct Counters {
        pub spikes: u64,
        pub synaptic_events: u64,
        pub row_events: u64,
        pub adc_samples: u64,
        pub adc_clipped: u64,
        pub input_events: u64,
        pub output_events: u64,
        pub lost_input_events: u64,
        pub lost_output_events: u64,
        pub saturated_membrane: u64,
        pub saturated_current: u64,
        pub ticks: u64,
    }

    /// How to restart.
    pub enum Reset {
        /// In good order.
        Restart,
        /// By a panic: to see that it is reported and survived.
        Panic,
        /// By a fault, the same.
        Fault,
    }

    /// Who answers. The first four fields never change.
    pub struct Identity<'a> {
        /// Protocol chosen: the newest common one.
        pub protocol: u16,
        /// Schema hash of the firmware.
        pub schema: u32,
        /// Version of the firmware.
        pub firmware: &'a str,
        /// Name of the board.
        pub board: &'a str,
        /// Version of the random numbers.
        pub rng_version: u32,
        /// What the board can hold.
        pub limits: Limits,
        /// What it has at present.
        pub loaded: Loaded,
        /// What the last restart was for, if it failed; else empty.
        pub failure: &'a str,
    }

    /// What a board can hold.
    pub struct Limits {
        /// Longest frame before COBS, bytes.
        pub frame_bytes: u16,
        /// Bytes of frames that may be under way to it at a time.
        pub window_bytes: u32,
        /// Memory for chip, network, weights and state, bytes.
        pub memory_bytes: u32,
        /// Circuits that it can place networks on.
        pub circuits: u32,
        /// Input events of a run.
        pub events: u32,
        /// Longest recording, bytes.
        pub recording_bytes: u32,
        /// Integration steps of a run.
        pub steps: u32,
        /// Whether it takes any chip file and seed, as an emulated chip does; a real one is what it is.
        pub is_virtual: bool,
    }

    /// What a board has at present.
    pub struct Loaded {
        /// Digest of the chip file.
        pub chip: Option<Digest>,
        /// Seed and condition of the instance.
        pub instance: Option<Instance>,
        /// Digest of the network.
        pub network: Option<Digest>,
        /// Digest of the codes.
        pub codes: Option<Digest>,
        /// Seed of the configuration in force.
        pub configuration: Option<u64>,
        /// Digest of the weights in force.
        pub weights: Option<Digest>,
    }

    /// One fabricated chip.
    pub struct Instance {
        /// Its seed.
        pub seed: u64,
        /// Whether somebody calibrated it.
        pub calibrated: bool,
    }

    /// How a board is.
    pub struct Health {
        /// Since the restart, ms.
        pub uptime_ms: u32,
        /// Frames received whole and in order.
        pub frames: u32,
        /// Frames with a wrong checksum or of a wrong form.
        pub damaged: u32,
        /// Frames that came again.
        pub repeated: u32,
        /// Frames ahead of their turn.
        pub early: u32,
        /// Bytes that the receiver had no room for.
        pub overruns: u32,
        /// Runs carried out.
        pub runs: u32,
        /// Memory that is free, bytes.
        pub free_bytes: u32,
    }

    /// Why a request was not carried out.
    pub enum Reason {
        /// Something comes first: chip, instance, network, codes, configuration, weights.
        NotYet,
        /// Not what the digest says.
        WrongDigest,
        /// More than the board can hold.
        TooLarge,
        /// Content that makes no sense.
        Invalid,
        /// This board cannot do it.
        Unsupported,
        /// The events were replaced; send them again.
        EventsGone,
        /// The frame holds no request that this version knows.
        Unknown,
        /// The recording was replaced; run the sample again.
        RecordingGone,
    }
}

impl Loaded {
    /// Nothing at all.
    pub const NOTHING: Self = Self {
        chip: None,
        instance: None,
        network: None,
        codes: None,
        configuration: None,
        weights: None,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appending to the table changes this; anything else that does breaks old boards.
    #[test]
    fn the_first_words_never_change() {
        let mut bytes = [0; 64];
        let hello = Request::Hello {
            oldest: 1,
            newest: 2,
            schema: 3,
        };
        assert_eq!(postcard::to_slice(&hello, &mut bytes).unwrap(), [0, 1, 2, 3]);
        let no = Response::Incompatible {
            oldest: 1,
            newest: 2,
            schema: 3,
            firmware: "4",
        };
        assert_eq!(postcard::to_slice(&no, &mut bytes).unwrap(), [1, 1, 2, 3, 1, b'4']);
    }

    #[test]
    fn the_schema_hash_is_of_the_messages() {
        assert_eq!(TABLE.len(), 15);
        assert_ne!(SCHEMA, hash(&TABLE[1..]));
    }
}
