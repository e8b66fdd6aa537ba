//! An ear: recordings of sound as spikes of the cochlear nucleus.
//!
//! In the manner of the Heidelberg spiking data sets (B. Cramer, Y. Stradmann, J. Schemmel and F. Zenke, "The
//! Heidelberg spiking data sets for the systematic evaluation of spiking neural networks", IEEE Trans. Neural
//! Netw. Learn. Syst. 33 (2022) 2744), stage by stage:
//!
//! | module | what it does |
//! |---|---|
//! | [`sound`] | reads wav files; loudness and ramps |
//! | [`basilar`] | how fast the basilar membrane moves at each place |
//! | [`fourier`] | the Fourier transform that it is computed by |
//! | [`hair_cell`] | how likely nerve fibres are to fire |
//! | [`bushy`] | spikes of cells that listen to 40 fibres each |
//!
//! Channels lie evenly along the whole membrane, as there: of 700 each is 50 µm from the next, and the first
//! hears 7 kHz. The first 70 of those lie where frequencies above 4.2 kHz resonate, which recordings at 8 kHz
//! do not have, and which [`Channels`]` { skip: 70, every: 9 }` leaves out, a choice published for another
//! reason: the 70 that remain cover what there is. [`Cochlea::selected`] computes them alone, in a tenth of the
//! time. A membrane of 70 channels, by [`Cochlea::new`], spends seven on what is not there.
//!
//! What differs from the published data: recordings at 8 kHz in place of 48 kHz, so that nothing above 4 kHz is
//! heard and a step is 1/16 ms in place of 1/24 ms; an outer and a middle ear, and shorter ramps ([`sound`]);
//! the random numbers; and an exact solution of the membrane's equation ([`basilar`]). Its peaks are a quarter
//! to a third lower than in lauscher, the authors' program, where a wave has half of the wave number squared
//! that the input impedance there is made of; and there the membrane moves before the sound, here after it.
//!
//! The same recording, key and seed give the same spikes on every computer, however many threads compute them.

pub mod basilar;
pub mod bushy;
pub mod fourier;
pub mod hair_cell;
pub mod sound;

use sha2::{Digest, Sha256};
use spikeloop_chip::random::RNG_VERSION;

use basilar::{Basilar, LENGTH, Motion, PLACES, RATE};
use bushy::{BushyCells, Chance};
use hair_cell::HairCells;
pub use sound::Sound;

use super::DataError;
use super::playback::Channels;

/// Most channels of a membrane: they are then 10 µm apart, the distance of inner hair cells in man.
pub const MOST_CHANNELS: usize = 3500;

/// Channels of the published data sets.
pub const PUBLISHED_CHANNELS: usize = 700;

/// An ear: some channels of a membrane, and a seed for the chance in its nerve fibres.
#[derive(Clone, Debug)]
pub struct Cochlea {
    /// The channels that are computed, of all.
    chosen: Vec<u32>,
    places: Vec<f64>,
    seed: u64,
    basilar: Basilar,
}

impl Cochlea {
    /// An ear of so many channels, evenly along the membrane; the first at the stapes, where the highest
    /// frequencies are heard.
    ///
    /// # Errors
    /// [`DataError::BadParameter`] if these are fewer than 2 or more than [`MOST_CHANNELS`].
    pub fn new(channels: usize, seed: u64) -> Result<Self, DataError> {
        Self::selected(channels, Channels::ALL, seed)
    }

    /// Some of so many channels, which get numbers from 0 on; each has the spikes that it has among all.
    ///
    /// # Errors
    /// [`DataError::BadParameter`] as [`Cochlea::new`], or if none are chosen.
    pub fn selected(channels: usize, choice: Channels, seed: u64) -> Result<Self, DataError> {
        if !(2..=MOST_CHANNELS).contains(&channels) {
            return Err(DataError::BadParameter {
                name: "channels of the cochlea",
                value: channels as f64,
                allowed: format!("a whole number between 2 and {MOST_CHANNELS}"),
            });
        }
        let chosen: Vec<u32> = (0..channels)
            .filter(|&channel| choice.input(channel).is_some())
            .map(|channel| channel as u32)
            .collect();
        if chosen.is_empty() {
            return Err(DataError::BadParameter {
                name: "channels of the cochlea to skip",
                value: choice.skip as f64,
                allowed: format!("fewer than the {channels} that there are"),
            });
        }
        let place = |&channel: &u32| LENGTH * f64::from(channel) / (channels - 1) as f64;
        let places: Vec<f64> = chosen.iter().map(place).collect();
        Ok(Self {
            basilar: Basilar::new(&places),
            chosen,
            places,
            seed,
        })
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.chosen.len()
    }

    /// Where a channel is, cm from the stapes.
    #[must_use]
    pub fn place(&self, channel: usize) -> Option<f64> {
        self.places.get(channel).copied()
    }

    /// Spikes of a recording, (time in s from its beginning, channel), by time and then by channel. `key` is a
    /// number of the recording, such as [`key`] of its name: the chance in the nerve fibres is drawn by it.
    #[must_use]
    pub fn spikes(&self, sound: &Sound, key: u64) -> Vec<(f64, u16)> {
        self.spikes_at_stapes(&sound.conditioned(), key)
    }

    /// Adds what makes this ear itself to a digest: its channels, its seed, and the program that computes it.
    pub(super) fn describe(&self, digest: &mut Sha256) {
        SOURCES.iter().for_each(|source| digest.update(source));
        digest.update(RNG_VERSION.to_le_bytes());
        digest.update(self.seed.to_le_bytes());
        for (channel, place) in self.chosen.iter().zip(&self.places) {
            digest.update(channel.to_le_bytes());
            digest.update(place.to_le_bytes());
        }
    }

    /// The same for what the stapes does.
    fn spikes_at_stapes(&self, sound: &[f32], key: u64) -> Vec<(f64, u16)> {
        let pieces = self.basilar.pieces(sound);
        let chance = Chance::new(self.seed, key);
        let mut work = Motion::default();
        let (mut heard, mut spikes) = (vec![], vec![]);
        for (group, channels) in self.chosen.chunks(PLACES).enumerate() {
            let mut hair_cells = HairCells::new();
            let mut bushy_cells = BushyCells::new(chance, channels.to_vec());
            heard.clear();
            for piece in &pieces {
                let steps = self.basilar.motion(group, piece, &mut work);
                hair_cells.fire(steps);
                bushy_cells.listen(steps, &mut heard);
            }
            spikes.extend(
                heard
                    .iter()
                    .map(|spike| (spike.step, (group * PLACES + spike.place) as u16)),
            );
        }
        spikes.sort_unstable();
        let seconds = |step: u32| f64::from(step) / f64::from(RATE);
        spikes.iter().map(|&(step, channel)| (seconds(step), channel)).collect()
    }
}

/// The ear's own source: what is kept of what it heard must not outlive a change of it.
const SOURCES: [&str; 6] = [
    include_str!("mod.rs"),
    include_str!("sound.rs"),
    include_str!("basilar.rs"),
    include_str!("fourier.rs"),
    include_str!("hair_cell.rs"),
    include_str!("bushy.rs"),
];

/// A number of a recording's name, the same on every computer.
#[must_use]
pub fn key(name: &str) -> u64 {
    // FNV-1a: nobody gains by two names that meet, and of a few thousand none do by themselves.
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::basilar::tests::tone;
    use super::*;
    use core::f64::consts::TAU;

    fn published() -> Cochlea {
        Cochlea::selected(700, Channels { skip: 70, every: 9 }, 1).expect("channels are right")
    }

    /// Spikes of each channel.
    fn counts(cochlea: &Cochlea, spikes: &[(f64, u16)]) -> Vec<u32> {
        let mut counts = vec![0; cochlea.channels()];
        for &(_, channel) in spikes {
            counts[usize::from(channel)] += 1;
        }
        counts
    }

    /// A second of a tone of this amplitude, as it comes to the stapes.
    fn heard(cochlea: &Cochlea, hz: f64, amplitude: f64) -> Vec<(f64, u16)> {
        cochlea.spikes_at_stapes(&tone(hz, amplitude, 1.0, 0.0), 1)
    }

    /// The tone's place is that where it resonates, or a little before; beyond it is silence, as nothing gets there.
    #[test]
    fn a_tone_is_heard_at_its_place_and_not_beyond() {
        let cochlea = published();
        for hz in [200.0, 400.0, 800.0, 1600.0, 3000.0] {
            // Fifty times a second anew, as a voice's is: to a steady tone that is too high to be followed
            // fibres adapt. And louder with its frequency, as the ear makes it.
            let mut sound = tone(hz, hz / 1000.0, 1.0, 0.0);
            for (x, beat) in sound.iter_mut().zip(tone(25.0, 1.0, 1.0, 0.0)) {
                *x *= beat * beat;
            }
            let counts = counts(&cochlea, &cochlea.spikes_at_stapes(&sound, 1));
            // The beat makes it three tones, the lowest lower by 50 Hz.
            let [resonance, end] = [hz, hz - 50.0].map(|tone| {
                (0..cochlea.channels())
                    .find(|&channel| basilar::frequency(cochlea.place(channel).unwrap()).is_none_or(|f| f < tone))
                    .expect("it has a place")
            });
            let most = *counts.iter().max().unwrap();
            assert!(most > 40, "{hz} Hz: {counts:?}");
            // The middle of the channels that have at least half as many spikes as the busiest.
            let busy: Vec<usize> = (0..70).filter(|&channel| 2 * counts[channel] >= most).collect();
            let (first, last) = (busy[0], busy[busy.len() - 1]);
            assert!(
                last < end + 2 && last + 4 > resonance,
                "{hz} Hz at {resonance}: {counts:?}"
            );
            assert!(last - first < 20, "{hz} Hz: {counts:?}");
            // No more than by chance, as in silence.
            let beyond = &counts[end + 4..];
            let mean = f64::from(beyond.iter().sum::<u32>()) / beyond.len() as f64;
            assert!(
                mean < 2.5 && mean < 0.05 * f64::from(most),
                "{hz} Hz at {resonance}: {counts:?}"
            );
        }
    }

    #[test]
    fn silence_leaves_a_few_spikes_of_chance() {
        let cochlea = published();
        let spikes = cochlea.spikes(&Sound::new(vec![0.0; 80_000]), 1);
        let rate = spikes.len() as f64 / (10.05 * 70.0);
        assert!(rate > 0.0 && rate < 2.5, "{rate} spikes a second and channel");
        assert!(cochlea.spikes(&Sound::new(vec![]), 1).len() < 20);
    }

    /// More spikes in the first 20 ms of a tone than in any such part later on.
    #[test]
    fn the_onset_is_heard_most() {
        let cochlea = published();
        let spikes = cochlea.spikes(&Sound::new(tone(500.0, 0.3, 0.5, 0.1)), 1);
        let during = |from: f64| spikes.iter().filter(|s| s.0 >= from && s.0 < from + 0.02).count();
        let onset = during(0.1);
        let later = (0..17).map(|k| during(0.14 + 0.02 * f64::from(k))).max().unwrap();
        assert!(onset as f64 > 1.5 * later as f64 && later > 10, "{onset} {later}");
    }

    /// Spikes keep to a phase of a low tone, and not to that of a high one.
    #[test]
    fn spikes_follow_the_period_of_a_low_tone_only() {
        let cochlea = published();
        let locked = |hz: f64| {
            let spikes = heard(&cochlea, hz, 0.6);
            let counts = counts(&cochlea, &spikes);
            let busiest = (0..70).max_by_key(|&channel| counts[channel]).unwrap();
            let (mut cos, mut sin, mut n) = (0.0, 0.0, 0.0);
            for &(t, _) in spikes.iter().filter(|s| usize::from(s.1) == busiest && s.0 > 0.1) {
                let (s, c) = libm::sincos(TAU * hz * t);
                (cos, sin, n) = (cos + c, sin + s, n + 1.0);
            }
            (cos * cos + sin * sin).sqrt() / n
        };
        let [low, high] = [200.0, 3000.0].map(locked);
        assert!(low > 0.8 && high < 0.4, "{low} {high}");
    }

    #[test]
    fn chosen_channels_have_the_spikes_that_they_have_among_all() {
        let choice = Channels { skip: 6, every: 5 };
        let [all, some] = [Channels::ALL, choice].map(|choice| Cochlea::selected(60, choice, 3).expect("right"));
        assert_eq!((all.channels(), some.channels()), (60, 11));
        let sound = Sound::new(tone(300.0, 0.5, 0.6, 0.05));
        let picked: Vec<(f64, u16)> = all
            .spikes(&sound, 9)
            .into_iter()
            .filter_map(|(t, channel)| Some((t, choice.input(channel.into())?)))
            .collect();
        assert!(picked.len() > 100);
        assert_eq!(some.spikes(&sound, 9), picked);
        assert_ne!(some.spikes(&sound, 10), picked);
    }

    /// So that a change of the model or of an algorithm is noticed: the first spikes of a sound, and how many.
    #[test]
    fn spikes_stay_as_they_were() {
        let spikes = published().spikes(&Sound::new(tone(440.0, 1.0, 0.2, 0.02)), key("0_a440_0.wav"));
        let head: Vec<(u32, u16)> = spikes
            .iter()
            .map(|&(t, channel)| ((t * f64::from(RATE)) as u32, channel))
            .take(4)
            .collect();
        assert_eq!(
            (spikes.len(), &head[..]),
            (345, &[(170, 20), (352, 18), (368, 15), (377, 16)][..])
        );
    }

    #[test]
    fn wrong_numbers_of_channels_are_refused() {
        for channels in [0, 1, MOST_CHANNELS + 1] {
            let message = Cochlea::new(channels, 1).expect_err("refused").to_string();
            assert!(message.contains("give a whole number between 2 and 3500"), "{message}");
        }
        let none = Cochlea::selected(70, Channels { skip: 70, every: 1 }, 1);
        assert!(none.expect_err("refused").to_string().contains("fewer than the 70"));
    }

    #[test]
    fn keys_are_those_of_fnv_1a() {
        assert_eq!(key(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(key("a"), 0xaf63_dc4c_8601_ec8c);
    }
}
