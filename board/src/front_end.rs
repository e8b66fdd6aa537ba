//! What is behind a board: an analog chip, or something that behaves like one.

use core::fmt::{self, Write};

use spikeloop_chip::{
    counters::Counters,
    dac::{Parameter, PerParameter},
    event::InputEvent,
    instance::{self, Condition},
    recorder::{RecordRequest, Recorder},
    spec::ChipSpec,
    wiring::Wiring,
};
use spikeloop_wire::{
    Digest,
    message::{Instance, Limits, Reason},
    pack::{Malformed, Rows, to_weight},
};

/// Why a front end did not do what it was asked to.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// For the host.
    pub reason: Reason,
    /// For people: what is wrong, with the way out. What is too long is cut.
    pub text: heapless::String<{ Refusal::LONGEST }>,
}

impl Refusal {
    /// Longest text.
    pub const LONGEST: usize = 240;

    /// For a reason, with an explanation.
    pub fn new(reason: Reason, explanation: impl fmt::Display) -> Self {
        let mut text = Cut(heapless::String::new());
        // It never fails, it cuts.
        let _ = write!(text, "{explanation}");
        Self { reason, text: text.0 }
    }

    /// Something has to come first.
    pub fn not_yet(what: &str) -> Self {
        Self::new(Reason::NotYet, format_args!("the board has no {what} yet"))
    }

    /// The chip is what it is.
    pub fn own_chip(wanted: &str) -> Self {
        Self::new(
            Reason::Unsupported,
            format_args!("this board has a chip of its own and cannot become another{wanted}"),
        )
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::new(Reason::Invalid, malformed)
    }
}

/// Takes what there is room for.
struct Cut(heapless::String<{ Refusal::LONGEST }>);

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            if self.0.push(letter).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Formats that depend on the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Neuron circuits.
    pub circuits: usize,
    /// Bits of a weight code, without its sign.
    pub weight_bits: u32,
    /// Bits of a DAC code.
    pub dac_bits: u32,
    /// Bits of an ADC code.
    pub adc_bits: u32,
}

impl Geometry {
    /// Of the chip of this file.
    pub fn of(spec: &ChipSpec) -> Self {
        Self {
            circuits: spec.circuits(),
            weight_bits: spec.array.weight_bits.value as u32,
            dac_bits: spec.array.dac_bits.value as u32,
            adc_bits: spec.adc.bits.value as u32,
        }
    }

    /// Bytes of a sample in a recording.
    pub fn sample_bytes(&self) -> u8 {
        if self.adc_bits > 8 { 2 } else { 1 }
    }
}

/// DAC codes of all circuits, packed.
#[derive(Clone, Copy, Debug)]
pub struct CodeRows<'a> {
    bytes: &'a [u8],
    rows: Rows,
}

impl<'a> CodeRows<'a> {
    /// The layout for a chip.
    pub fn layout(geometry: &Geometry) -> Rows {
        Rows {
            width: geometry.dac_bits,
            columns: Parameter::ALL.len(),
        }
    }

    pub(crate) fn new(geometry: &Geometry, bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            rows: Self::layout(geometry),
        }
    }

    /// The codes of one circuit; zeros where there is none.
    pub fn circuit(&self, circuit: usize) -> PerParameter<u16> {
        let size = self.rows.bytes();
        let row = self.bytes.get(circuit * size..(circuit + 1) * size).unwrap_or(&[]);
        PerParameter(core::array::from_fn(|parameter| self.rows.get(row, parameter)))
    }
}

/// The weight image: every weight of the network, matrix after matrix, row after row, without a gap.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    shapes: &'a [[usize; 2]],
    weight_bits: u32,
}

impl<'a> Image<'a> {
    /// How matrices of these shapes (`[pre, post]`) are packed, if anybody could hold them.
    pub fn layout(weight_bits: u32, shapes: &[[usize; 2]]) -> Option<Rows> {
        let weights = |&[pre, post]: &[usize; 2]| pre.checked_mul(post);
        let all = shapes
            .iter()
            .try_fold(0_usize, |sum, shape| sum.checked_add(weights(shape)?));
        let width = weight_bits + 1;
        let columns = all.filter(|all| all.checked_mul(width as usize).is_some())?;
        Some(Rows { width, columns })
    }

    pub(crate) fn new(weight_bits: u32, shapes: &'a [[usize; 2]], bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            shapes,
            weight_bits,
        }
    }

    /// Rows of all matrices in their order: matrix, presynaptic unit, and its weights.
    pub fn rows(&self) -> impl Iterator<Item = (usize, usize, impl Fn(usize) -> i8 + use<'a>)> + use<'a> {
        let (bytes, bits) = (self.bytes, self.weight_bits);
        let rows = Rows {
            width: bits + 1,
            columns: 0,
        };
        let mut at = 0;
        self.shapes.iter().enumerate().flat_map(move |(matrix, &[pre, post])| {
            let first = at;
            at += pre * post;
            (0..pre).map(move |unit| {
                let begin = first + unit * post;
                (matrix, unit, move |column| {
                    to_weight(rows.get(bytes, begin + column), bits)
                })
            })
        })
    }
}

/// What a board calls a fabricated chip.
pub fn name_of(chip: &instance::Instance) -> Instance {
    Instance {
        seed: chip.seed(),
        calibrated: chip.condition() == Condition::Calibrated,
    }
}

/// An analog chip behind a board: what a lab implements for its own.
///
/// Calls come in the order chip, instance, configuration, weights, runs; each may come again, and
/// whatever was made after it is void then. The board has checked digests, sizes and lengths.
pub trait FrontEnd {
    /// What it can hold. Frames and windows are the line's: they must fit the buffers of whoever
    /// feeds [`crate::Board::receive`].
    fn limits(&self) -> Limits;

    /// Memory that is free, bytes.
    fn free_bytes(&self) -> u32;

    /// Digest of the chip file that describes the chip; none before a virtual one has got any.
    fn chip(&self) -> Option<Digest>;

    /// Which one of its kind it is. A real chip gives itself a number.
    fn instance(&self) -> Option<Instance>;

    /// Formats of weights, codes and samples; none before there is a chip.
    fn geometry(&self) -> Option<Geometry>;

    /// Forgets the chip: another one is on its way.
    fn unload(&mut self) {}

    /// Becomes the chip of this file (canonical postcard of its resolved specification).
    ///
    /// # Errors
    /// [`Reason::Unsupported`] where the chip is made of silicon.
    fn load_chip(&mut self, _file: &[u8], _digest: Digest) -> Result<(), Refusal> {
        Err(Refusal::own_chip(""))
    }

    /// Becomes this instance of its chip.
    ///
    /// # Errors
    /// [`Reason::Unsupported`] where the chip is made of silicon, unless it is that instance.
    fn fabricate(&mut self, instance: Instance) -> Result<(), Refusal> {
        if self.instance() == Some(instance) {
            return Ok(());
        }
        Err(Refusal::own_chip(" instance"))
    }

    /// Writes the analog configuration; every circuit is on after it. The seed is of what a virtual
    /// chip redraws on each writing.
    ///
    /// # Errors
    /// The network does not fit.
    fn configure(&mut self, wiring: &Wiring, codes: CodeRows<'_>, seed: u64) -> Result<(), Refusal>;

    /// Age, temperature, and which circuits are off. A real chip has its own age and temperature.
    /// Returns whether the weights have to be written again.
    ///
    /// # Errors
    /// Not configured, or surroundings that no chip is in.
    fn set_environment(&mut self, age_hours: f64, temperature_c: f64, masked: &[u16]) -> Result<bool, Refusal>;

    /// Writes all weights.
    ///
    /// # Errors
    /// Not configured.
    fn program(&mut self, image: Image<'_>) -> Result<(), Refusal>;

    /// Runs one sample from rest.
    ///
    /// # Errors
    /// Not configured, or a run that the chip cannot do.
    fn run<R: Recorder>(
        &mut self,
        events: &[InputEvent],
        request: &RecordRequest,
        trial: u64,
        recorder: &mut R,
    ) -> Result<Counters, Refusal>;
}
