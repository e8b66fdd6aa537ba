//! Bushy cells of the cochlear nucleus: spikes of a channel, given how likely its nerve fibres are to fire.
//!
//! As the Heidelberg spiking data sets are made: 40 fibres, each by chance but never twice within a
//! millisecond, excite a leaky integrate-and-fire cell; it hears only what many of them say together, and so is
//! nearly silent where they fire by themselves. The constants are those of lauscher, the program by the authors
//! of the data sets.

use spikeloop_chip::random::{Purpose, Stream};

use super::basilar::{PLACES, RATE};

/// What the numbers of the fibres are drawn for.
const PURPOSE: Purpose = Purpose::Hearing;

/// Fibres that excite a cell.
pub const FIBRES: u32 = 40;
/// Time constant of a cell's membrane, s.
const MEMBRANE: f64 = 1e-3;
/// Time constant of its synapses, s.
const SYNAPSE: f64 = 5e-4;
/// Times after a spike in which there is no other, of fibres and of cells, s.
const REFRACTORY: f64 = 1e-3;
/// What a spike of every fibre at once adds to the slope of the membrane potential, in thresholds a second.
const WEIGHT: f64 = 13e3;

/// Steps after a spike in which there is no other.
const REST: usize = (REFRACTORY * RATE as f64) as usize;

/// The chance in the fibres of one recording.
#[derive(Clone, Copy, Debug)]
pub struct Chance {
    stream: Stream,
}

impl Chance {
    /// That of a recording, under a seed.
    #[must_use]
    pub fn new(seed: u64, recording: u64) -> Self {
        Self {
            stream: Stream::new(PURPOSE, &[seed, recording]),
        }
    }
}

/// A spike: its step, and the place of its channel in the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spike {
    /// Step of the computation, of 1/[`RATE`] s.
    pub step: u32,
    /// Place in the group, below [`PLACES`].
    pub place: usize,
}

/// Cells of the channels of a group, side by side.
#[derive(Clone, Debug)]
pub struct BushyCells {
    chance: Chance,
    /// The numbers of the channels, by which their chance is drawn.
    channels: Vec<u32>,
    step: u32,
    /// Spikes of the fibres in the last steps, by step modulo [`REST`].
    recent: [[u8; PLACES]; REST],
    /// Their sums: fibres that rest.
    resting: [u8; PLACES],
    current: [f32; PLACES],
    potential: [f32; PLACES],
    /// Steps for which a cell rests still.
    wait: [u32; PLACES],
}

impl BushyCells {
    /// Cells at rest, of at most [`PLACES`] channels.
    #[must_use]
    pub fn new(chance: Chance, mut channels: Vec<u32>) -> Self {
        channels.truncate(PLACES);
        Self {
            chance,
            channels,
            step: 0,
            recent: [[0; PLACES]; REST],
            resting: [0; PLACES],
            current: [0.0; PLACES],
            potential: [0.0; PLACES],
            wait: [0; PLACES],
        }
    }

    /// Adds the spikes for these probabilities that a fibre fires, `[steps]`, to `spikes`.
    pub fn listen(&mut self, steps: &[[f32; PLACES]], spikes: &mut Vec<Spike>) {
        let dt = 1.0 / f64::from(RATE);
        let (fades, leaks) = (libm::exp(-dt / SYNAPSE) as f32, libm::exp(-dt / MEMBRANE) as f32);
        let weight = (WEIGHT * dt / f64::from(FIBRES)) as f32;
        let mut words = [[0; 4]; PLACES];
        for (k, probabilities) in steps.iter().enumerate() {
            // Four numbers come at a time: those of four steps.
            let draw = (self.step % 4) as usize;
            if draw == 0 || k == 0 {
                for (words, &channel) in words.iter_mut().zip(&self.channels) {
                    *words = self.chance.stream.words(channel, self.step / 4, 0);
                }
            }
            // Fibres that fired a rest ago are awake again.
            let slot = &mut self.recent[self.step as usize % REST];
            for place in 0..PLACES {
                self.resting[place] -= slot[place];
            }
            let mut fired = [0_u8; PLACES];
            for place in 0..self.channels.len() {
                let awake = FIBRES - u32::from(self.resting[place]);
                fired[place] = binomial(awake, probabilities[place], words[place][draw]) as u8;
            }
            for place in 0..PLACES {
                self.resting[place] += fired[place];
            }
            *slot = fired;
            let mut any = false;
            for place in 0..PLACES {
                self.current[place] = self.current[place] * fades + f32::from(fired[place]);
                let awake = self.wait[place] == 0;
                let potential = self.potential[place] * leaks + weight * self.current[place];
                self.potential[place] = if awake { potential } else { 0.0 };
                self.wait[place] = self.wait[place].saturating_sub(1);
                any |= self.potential[place] >= 1.0;
            }
            if any {
                for place in 0..PLACES {
                    if self.potential[place] >= 1.0 {
                        self.potential[place] = 0.0;
                        self.wait[place] = REST as u32;
                        spikes.push(Spike { step: self.step, place });
                    }
                }
            }
            self.step += 1;
        }
    }
}

/// How many of `count` fibres fire, each with this probability, drawn by one word.
///
/// By inversion: the number at which the distribution function passes the word, exact but for its 32 bits.
#[inline(always)]
fn binomial(count: u32, probability: f32, word: u32) -> u32 {
    let (p, n) = (f64::from(probability), f64::from(count));
    // From the top, so that most words are done with at once: P(0) is at least 1 − n p.
    let above = (f64::from(!word) + 0.5) / 4_294_967_296.0;
    if above >= n * p {
        return 0;
    }
    several(count, p, above)
}

/// The smallest k with P(more than k) at most `above`.
#[inline(never)]
fn several(count: u32, p: f64, above: f64) -> u32 {
    let q = 1.0 - p;
    if q <= 0.0 {
        return count;
    }
    // q to the power of count, by squaring: the same bits everywhere.
    let (mut mass, mut square, mut left) = (1.0, q, count);
    while left > 0 {
        if left & 1 == 1 {
            mass *= square;
        }
        square *= square;
        left >>= 1;
    }
    let odds = p / q;
    let mut more = 1.0 - mass;
    let mut k = 0;
    while above < more && k < count {
        mass *= odds * f64::from(count - k) / f64::from(k + 1);
        more -= mass;
        k += 1;
    }
    k
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spikes(probability: f32, seconds: f64, channels: Vec<u32>, seed: u64) -> Vec<Spike> {
        let steps = vec![[probability; PLACES]; (seconds * f64::from(RATE)) as usize];
        let mut spikes = vec![];
        BushyCells::new(Chance::new(seed, 5), channels).listen(&steps, &mut spikes);
        spikes
    }

    fn all() -> Vec<u32> {
        (0..PLACES as u32).collect()
    }

    /// Against the distribution, by all values of a word that matter: χ² of 2¹⁶ even words.
    #[test]
    fn draws_are_binomial() {
        for (count, p) in [(40, 0.004_f32), (40, 0.1), (33, 0.25), (7, 0.6), (1, 0.5), (12, 0.99)] {
            let mut counts = [0_u32; 41];
            let words = 1 << 16;
            for k in 0..words {
                counts[binomial(count, p, (k << 16) + (1 << 15)) as usize] += 1;
            }
            let p = f64::from(p);
            let mut choose = 1.0;
            for k in 0..=count {
                let expected = choose * libm::pow(p, f64::from(k)) * libm::pow(1.0 - p, f64::from(count - k));
                let found = f64::from(counts[k as usize]) / f64::from(words);
                assert!(
                    (found - expected).abs() < 2.0 / f64::from(words),
                    "{count} {p} {k}: {found} {expected}"
                );
                choose *= f64::from(count - k) / f64::from(k + 1);
            }
        }
        for word in [0, 1 << 31, u32::MAX] {
            assert_eq!(binomial(40, 0.0, word), 0);
            assert_eq!(binomial(40, 1.0, word), 40);
            assert_eq!(binomial(0, 0.5, word), 0);
        }
    }

    /// Between spikes of a fibre is one step in which it fires and all but one of those of its rest before it
    /// can: p / (1 + p (n − 1)) spikes a step. And no cell has two spikes within a millisecond.
    #[test]
    fn fibres_and_cells_rest_after_a_spike() {
        let mut cells = BushyCells::new(Chance::new(1, 2), all());
        let mut sum = 0.0;
        let steps = 4000;
        for _ in 0..steps {
            cells.listen(&[[0.2; PLACES]], &mut vec![]);
            let last = cells.recent[(cells.step as usize - 1) % REST];
            assert!(cells.resting.iter().all(|&resting| u32::from(resting) <= FIBRES));
            sum += last.iter().map(|&fired| f64::from(fired)).sum::<f64>();
        }
        let found = sum / (f64::from(FIBRES) * PLACES as f64 * f64::from(steps));
        let expected = 0.2 / (1.0 + 0.2 * (REST - 1) as f64);
        assert!((found / expected - 1.0).abs() < 0.01, "{found} {expected}");
        let mut last = [None; PLACES];
        for spike in spikes(0.9, 0.2, all(), 1) {
            if let Some(before) = last[spike.place].replace(spike.step) {
                assert!(spike.step - before > REST as u32);
            }
        }
        assert!(last.iter().all(Option::is_some));
    }

    /// Forty fibres at their 65 spontaneous spikes a second are not heard, at 200 they are.
    #[test]
    fn a_cell_hears_many_fibres_together() {
        let rate = |hz: f64| spikes((hz / f64::from(RATE)) as f32, 2.0, all(), 3).len() as f64 / (2.0 * PLACES as f64);
        let [silent, spontaneous, loud] = [20.0, 64.8, 200.0].map(rate);
        assert_eq!(silent, 0.0);
        assert!(spontaneous < 2.0, "{spontaneous}");
        assert!((100.0..500.0).contains(&loud), "{loud}");
    }

    #[test]
    fn chance_is_of_the_channel_and_the_step_alone() {
        let whole = spikes(0.01, 0.3, all(), 7);
        assert_ne!(whole, spikes(0.01, 0.3, all(), 8));
        // One channel by itself, and in parts that end anywhere.
        let mut cells = BushyCells::new(Chance::new(7, 5), vec![3]);
        let mut parts = vec![];
        let mut left = 4800;
        for length in [1, 2, 30, 1001].into_iter().cycle() {
            let length = left.min(length);
            cells.listen(&vec![[0.01; PLACES]; length], &mut parts);
            left -= length;
            if left == 0 {
                break;
            }
        }
        let alone: Vec<u32> = parts.iter().map(|spike| spike.step).collect();
        let within: Vec<u32> = whole.iter().filter(|s| s.place == 3).map(|s| s.step).collect();
        assert!(!alone.is_empty());
        assert_eq!(alone, within);
    }
}
