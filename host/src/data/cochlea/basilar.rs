//! The basilar membrane: how fast it moves at each of its places, given a sound.
//!
//! The membrane between two channels of fluid, in the approximation of long waves: the model of N. Sieroka, H.
//! G. Dosch and A. Rupp, "Semirealistic models of the cochlea", J. Acoust. Soc. Am. 120 (2006) 297, that the
//! Heidelberg spiking data sets are made with (B. Cramer, Y. Stradmann, J. Schemmel and F. Zenke, IEEE Trans.
//! Neural Netw. Learn. Syst. 33 (2022) 2744). At the place x, counted from the stapes, and the angular
//! frequency ω, the membrane has the impedance ξ/(iω) with
//!
//! > ξ(x, ω) = S(x) − m ω² + iω R(x), S(x) = C₀ exp(−αx) − a, R(x) = δ √(C₀ m) exp(−αx/2),
//!
//! and the pressure p in one of the channels, of height h and density ρ, follows
//!
//! > p″ = −2ρω²/(hξ) · p, p′ = −iωρ u at the stapes, which moves at the velocity u, and p = 0 at the far end,
//!
//! from which the membrane moves at v = 2iω p / ξ. The authors give p approximately, by a Hankel function of
//! the phase that a wave gathers on its way. Here the equation itself is solved on a grid for every frequency:
//! that is as easy, and right where the stiffness changes within a wavelength too.
//!
//! All is in centimetres, grammes and seconds, as there.

use nalgebra::Complex;
use rayon::prelude::*;

use super::fourier::{Fourier, Lanes};
use super::sound;

/// Places whose motion is computed side by side.
pub const PLACES: usize = 16;
/// Complex numbers that hold as many real ones.
const PAIRS: usize = PLACES / 2;

/// Steps of the computation per second. Twice the rate of the recordings: what happens in hair cells takes a
/// tenth of a millisecond, less than a sample of them.
pub const RATE: u32 = 2 * sound::SAMPLE_RATE;

/// Length of the membrane, cm, from the stapes on. This and all constants of `MEMBRANE` are those of
/// lauscher, the program by the authors of the data sets (github.com/electronicvisions/lauscher).
pub const LENGTH: f64 = 3.5;

/// Mechanics of the membrane and the fluid.
struct Membrane {
    /// Stiffness at the stapes C₀, g/(cm² s²).
    stiffness: f64,
    /// What it is less by everywhere, a, g/(cm² s²).
    less: f64,
    /// How fast it falls along the membrane, α, 1/cm.
    fall: f64,
    /// Damping δ, as a part of what would be critical.
    damping: f64,
    /// Mass m, g/cm².
    mass: f64,
    /// Density of the fluid ρ, g/cm³.
    density: f64,
    /// Height of a channel h, cm.
    height: f64,
}

const MEMBRANE: Membrane = Membrane {
    stiffness: 1e8,
    less: 3500.0,
    fall: 3.0,
    damping: 0.15,
    mass: 0.05,
    density: 1.0,
    height: 0.1,
};

/// Velocity of the stapes at full scale of a sound, cm/s. lauscher has no such number: there a sound is
/// multiplied by what it calls the input impedance, which is 2/h times the ratio of pressure to velocity that
/// follows from its equations. With this the membrane is as fast as there, within the differences that the
/// module's text has.
const DRIVE: f64 = 2.0 / MEMBRANE.height;

/// Sections of the membrane in the solution. An *estimate*: twice as many change nothing above half a per cent
/// (a test). 700 places spread over the membrane lie on every other border.
const SECTIONS: usize = 2 * 699;

/// Steps of a piece, as a power of two. An *estimate*: most recordings are one or two pieces.
const PIECE_BITS: u32 = 13;
/// Steps of a piece: half a second.
const PIECE: usize = 1 << PIECE_BITS;
/// Steps of a piece that only repeat what was before, for what still rings: 128 ms. An *estimate*, six time
/// constants of the place of 100 Hz; where 60 Hz resonates, lower than a voice, a twenty-fifth of the motion
/// may be amiss after a seam.
const PAST: usize = 2048;
/// Steps at the end of a piece that are thrown away: the filter below rings before as well as after. An
/// *estimate*, thirty periods of it.
const FUTURE: usize = 128;
/// Steps that a piece adds.
const HOP: usize = PIECE - PAST - FUTURE;
/// Coefficients of a piece's spectrum, up to the highest frequency of a recording, which is not among them.
const BINS: usize = PIECE / 4;
/// From here up to 4 kHz, where recordings end, the sound fades out, Hz: an abrupt end would ring. An
/// *estimate*, to cost little of what the recordings hold.
const FADE_FROM: f64 = 3600.0;

impl Membrane {
    fn xi(&self, x: f64, omega: f64) -> Complex<f64> {
        let damping = self.damping * (self.stiffness * self.mass).sqrt() * libm::exp(-self.fall * x / 2.0);
        Complex::new(self.stiffness(x) - self.mass * omega * omega, omega * damping)
    }

    fn stiffness(&self, x: f64) -> f64 {
        self.stiffness * libm::exp(-self.fall * x) - self.less
    }

    /// Pressure at the borders of so many sections for a stapes velocity of 1 cm/s: `[sections + 1]`.
    fn pressure(&self, omega: f64, sections: usize) -> Vec<Complex<f64>> {
        let step = LENGTH / sections as f64;
        let zero = Complex::new(0.0, 0.0);
        // How much a border adds to the curvature of the pressure, by its differences to its neighbours.
        let curvature = |border: usize| {
            let xi = self.xi(border as f64 * step, omega);
            xi.inv() * (2.0 * self.density * omega * omega * step * step / self.height)
        };
        // The ratio of the pressure at a border to that at the one before, from the far end on, where it is 0.
        // It falls beyond resonance and turns before it, so that this way round nothing grows.
        let mut ratios = vec![zero; sections + 1];
        for border in (1..sections).rev() {
            ratios[border] = (Complex::new(2.0, 0.0) - curvature(border) - ratios[border + 1]).inv();
        }
        // At the stapes the slope is given: the border before it is mirrored.
        let slope = Complex::new(0.0, -omega * self.density);
        let first = slope * (2.0 * step) * (ratios[1] * 2.0 - 2.0 + curvature(0)).inv();
        let mut pressures = vec![first; sections + 1];
        for border in 1..=sections {
            pressures[border] = pressures[border - 1] * ratios[border];
        }
        pressures
    }

    /// Velocity at these places for a sound of amplitude 1, cm/s.
    fn response(&self, omega: f64, sections: usize, places: &[f64]) -> Vec<Complex<f64>> {
        let pressures = self.pressure(omega, sections);
        let velocity = |&x: &f64| {
            let at = (x / LENGTH * sections as f64).clamp(0.0, sections as f64);
            let border = (at as usize).min(sections - 1);
            let part = at - border as f64;
            let pressure = pressures[border] * (1.0 - part) + pressures[border + 1] * part;
            Complex::new(0.0, 2.0 * omega * DRIVE) * pressure * self.xi(x, omega).inv()
        };
        places.iter().map(velocity).collect()
    }
}

/// The frequency at which the membrane resonates at a place, Hz; none near its end, where nothing holds it.
///
/// A tone moves the membrane most a millimetre before its place.
#[must_use]
pub fn frequency(place: f64) -> Option<f64> {
    let stiffness = MEMBRANE.stiffness(place);
    (stiffness > 0.0).then(|| (stiffness / MEMBRANE.mass).sqrt() / core::f64::consts::TAU)
}

/// Responses of one frequency at as many places as are computed side by side, for a sound of amplitude 1, cm/s:
/// of the first half of them, and of the second.
type Response = [Lanes<PAIRS>; 2];

/// The membrane at some places.
#[derive(Clone, Debug)]
pub struct Basilar {
    fourier: Fourier,
    /// For each group of places, the response at each frequency of a piece: `[groups · BINS]`.
    responses: Vec<Response>,
}

impl Basilar {
    /// The membrane at these places, cm from the stapes.
    #[must_use]
    pub fn new(places: &[f64]) -> Self {
        let by_bin: Vec<Vec<Complex<f64>>> = (0..BINS)
            .into_par_iter()
            .map(|bin| {
                let hz = bin as f64 * f64::from(RATE) / PIECE as f64;
                // Of a sound that does not change nothing comes through, and the equation would be 0 = 0.
                let gain = if bin == 0 { 0.0 } else { fade(hz) };
                let mut responses = MEMBRANE.response(core::f64::consts::TAU * hz.max(1.0), SECTIONS, places);
                responses.iter_mut().for_each(|response| *response *= gain);
                responses
            })
            .collect();
        let groups = places.len().div_ceil(PLACES);
        let mut responses = vec![[Lanes::ZERO; 2]; groups * BINS];
        for (bin, all) in by_bin.iter().enumerate() {
            for (place, response) in all.iter().enumerate() {
                let (group, within) = (place / PLACES, place % PLACES);
                let lanes = &mut responses[group * BINS + bin][within / PAIRS];
                lanes.re[within % PAIRS] = response.re as f32;
                lanes.im[within % PAIRS] = response.im as f32;
            }
        }
        Self {
            fourier: Fourier::new(PIECE_BITS),
            responses,
        }
    }

    /// Number of groups of [`PLACES`] places.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.responses.len() / BINS
    }

    /// The spectra of a sound, one of each piece, at twice its rate.
    #[must_use]
    pub fn pieces(&self, sound: &[f32]) -> Vec<Piece> {
        let steps = 2 * sound.len();
        let piece = |start: usize| {
            // A sample at every other step, the others 0: below 4 kHz that is the sound at half its amplitude.
            let mut signal = vec![0.0; PIECE];
            for (step, value) in signal.iter_mut().enumerate().step_by(2) {
                let sample = (start + step).checked_sub(PAST).and_then(|at| sound.get(at / 2));
                *value = sample.copied().unwrap_or(0.0) * (2.0 / PIECE as f32);
            }
            Piece {
                steps: HOP.min(steps - start),
                spectrum: self.fourier.analyse(&signal, BINS),
            }
        };
        (0..steps).step_by(HOP).map(piece).collect()
    }

    /// Velocities of a group's places during a piece, cm/s: `[steps]`, step after step; `work` is memory to use
    /// again.
    ///
    /// # Panics
    /// If `group` is not below [`Basilar::groups`], like any slice index.
    pub fn motion<'a>(&self, group: usize, piece: &Piece, work: &'a mut Motion) -> &'a mut [[f32; PLACES]] {
        let responses = &self.responses[group * BINS..(group + 1) * BINS];
        let values = &mut work.values;
        values.clear();
        values.resize(PIECE, Lanes::ZERO);
        for bin in 1..BINS {
            let [re, im] = piece.spectrum[bin];
            let [a, b] = &responses[bin];
            let (mut below, mut above) = (Lanes::<PAIRS>::ZERO, Lanes::<PAIRS>::ZERO);
            for lane in 0..PAIRS {
                let first = [a.re[lane] * re - a.im[lane] * im, a.re[lane] * im + a.im[lane] * re];
                let second = [b.re[lane] * re - b.im[lane] * im, b.re[lane] * im + b.im[lane] * re];
                // Two real signals in one complex one: the first, and i times the second.
                above.re[lane] = first[0] - second[1];
                above.im[lane] = first[1] + second[0];
                below.re[lane] = first[0] + second[1];
                below.im[lane] = second[0] - first[1];
            }
            values[self.fourier.place(bin)] = above;
            values[self.fourier.place(PIECE - bin)] = below;
        }
        self.fourier.synthesise(values);
        work.velocities.clear();
        for value in &values[PAST..PAST + piece.steps] {
            let mut velocities = [0.0; PLACES];
            velocities[..PAIRS].copy_from_slice(&value.re);
            velocities[PAIRS..].copy_from_slice(&value.im);
            work.velocities.push(velocities);
        }
        &mut work.velocities
    }
}

/// A piece of a sound.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Steps that it lasts, of 1/[`RATE`] s.
    pub steps: usize,
    spectrum: Vec<[f32; 2]>,
}

/// Memory for [`Basilar::motion`].
#[derive(Clone, Debug, Default)]
pub struct Motion {
    values: Vec<Lanes<PAIRS>>,
    velocities: Vec<[f32; PLACES]>,
}

/// How much of a frequency is let through.
fn fade(hz: f64) -> f64 {
    let end = f64::from(sound::SAMPLE_RATE) / 2.0;
    let part = ((hz - FADE_FROM) / (end - FADE_FROM)).clamp(0.0, 1.0);
    0.5 + 0.5 * libm::cos(core::f64::consts::PI * part)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use core::f64::consts::TAU;

    /// A tone, Hz, of this amplitude and length in s, after so much silence, s.
    pub fn tone(hz: f64, amplitude: f64, seconds: f64, silence: f64) -> Vec<f32> {
        let rate = f64::from(sound::SAMPLE_RATE);
        let sample = |k: usize| {
            let t = k as f64 / rate - silence;
            if t < 0.0 {
                0.0
            } else {
                (amplitude * libm::sin(TAU * hz * t)) as f32
            }
        };
        (0..((silence + seconds) * rate) as usize).map(sample).collect()
    }

    /// Velocities of a membrane's places, `[steps][places]`.
    pub fn motion(basilar: &Basilar, sound: &[f32]) -> Vec<Vec<f32>> {
        let pieces = basilar.pieces(sound);
        let mut work = Motion::default();
        let mut out = vec![vec![]; 2 * sound.len()];
        let mut from = 0;
        for piece in &pieces {
            for group in 0..basilar.groups() {
                for (step, velocities) in basilar.motion(group, piece, &mut work).iter().enumerate() {
                    out[from + step].extend_from_slice(velocities);
                }
            }
            from += piece.steps;
        }
        assert_eq!(from, out.len());
        out
    }

    fn even(count: usize) -> Vec<f64> {
        (0..count).map(|k| LENGTH * k as f64 / (count - 1) as f64).collect()
    }

    fn largest(values: impl Iterator<Item = f64>) -> (usize, f64) {
        values
            .enumerate()
            .fold((0, f64::MIN), |best, next| if next.1 > best.1 { next } else { best })
    }

    /// The map of places to frequencies, by hand from the constants.
    #[test]
    fn resonance_falls_from_the_stapes_on() {
        assert!((frequency(0.0).unwrap() - 7117.5).abs() < 1.0);
        assert!((frequency(1.3076).unwrap() - 1000.0).abs() < 2.0);
        // The first of the 700 that the published choice of 70 keeps, and the last: what a recording at 8 kHz
        // can hold.
        let place = |channel: f64| LENGTH * channel / 699.0;
        assert!((frequency(place(70.0)).unwrap() - 4206.0).abs() < 5.0);
        assert!(frequency(place(678.0)).unwrap() > 8.0);
        assert_eq!(frequency(place(691.0)), None);
        assert_eq!(frequency(LENGTH), None);
    }

    /// Places and heights of the peaks of the authors' approximation with the same equation, √(G/g) H₀(G) over
    /// its value at the stapes with G = 2g(0)/α + ∫g, g² = 2ρω²/(hξ), computed once with SciPy's Hankel
    /// function.
    #[test]
    fn the_wave_peaks_where_the_published_approximation_has_it() {
        let places = even(1401);
        let peaks = [
            (60.0, 2.985, 156.7),
            (150.0, 2.458, 139.1),
            (500.0, 1.662, 107.4),
            (1000.0, 1.206, 83.6),
        ];
        for (hz, place, height) in peaks {
            let response = MEMBRANE.response(TAU * hz, SECTIONS, &places);
            let (at, peak) = largest(response.iter().map(|v| v.norm()));
            assert!((places[at] - place).abs() < 0.02, "{hz} Hz: {}", places[at]);
            assert!((peak / height - 1.0).abs() < 0.05, "{hz} Hz: {peak}");
        }
    }

    #[test]
    fn twice_as_many_sections_change_little() {
        let places = even(701);
        for hz in [30.0, 300.0, 1000.0, 4000.0] {
            let coarse = MEMBRANE.response(TAU * hz, SECTIONS, &places);
            let fine = MEMBRANE.response(TAU * hz, 2 * SECTIONS, &places);
            let (_, peak) = largest(fine.iter().map(|v| v.norm()));
            let (_, error) = largest(coarse.iter().zip(&fine).map(|(a, b)| (a - b).norm()));
            assert!(error < 0.005 * peak, "{hz} Hz: {error} of {peak}");
        }
    }

    /// The wave takes its time, so nothing moves before the sound, and what moves later is the response in
    /// steady state.
    #[test]
    fn the_membrane_follows_the_sound() {
        let places = even(36);
        let basilar = Basilar::new(&places);
        for hz in [120.0, 700.0, 2500.0] {
            let silence = 0.3;
            let sound = tone(hz, 1.0, 0.7, silence);
            let moved = motion(&basilar, &sound);
            let response = MEMBRANE.response(TAU * hz, SECTIONS, &places);
            let (at, peak) = largest(response.iter().map(|v| v.norm()));
            let speed = |from: f64, to: f64| {
                let steps = |t: f64| (t * f64::from(RATE)) as usize;
                largest(moved[steps(from)..steps(to)].iter().map(|v| f64::from(v[at].abs()))).1
            };
            assert!(speed(0.0, silence - 0.003) < 0.02 * peak, "{hz} Hz moves before");
            // Here the second and the third piece meet, so that a seam would be seen.
            assert!((speed(0.6, 0.99) / peak - 1.0).abs() < 0.03, "{hz} Hz");
            // The phase too: against e^{iωt}, sin being its imaginary part.
            let step = (0.75 * f64::from(RATE)) as usize;
            for k in step..step + 40 {
                let phase = TAU * hz * (k as f64 / f64::from(RATE) - silence);
                let expected = (response[at] * Complex::new(libm::cos(phase), libm::sin(phase))).im;
                assert!(
                    (f64::from(moved[k][at]) - expected).abs() < 0.03 * peak,
                    "{hz} Hz, step {k}"
                );
            }
        }
    }

    #[test]
    fn pieces_join_without_a_seam() {
        let basilar = Basilar::new(&even(16));
        let noise: Vec<f32> = (0..8000_u32)
            .map(|k| ((k.wrapping_mul(2_654_435_761) >> 8) % 2001) as f32 / 1000.0 - 1.0)
            .collect();
        // The same sound later, so that the seams fall elsewhere.
        let shift = 1234;
        let mut later = vec![0.0; shift];
        later.extend(&noise);
        let (now, then) = (motion(&basilar, &noise), motion(&basilar, &later));
        // By 100 Hz, and by 57 Hz.
        for (place, allowed) in (0..13).map(|place| (place, 0.02)).chain([(13, 0.05)]) {
            let (_, peak) = largest(now.iter().map(|v| f64::from(v[place].abs())));
            let error = now
                .iter()
                .zip(&then[2 * shift..])
                .map(|(a, b)| f64::from((a[place] - b[place]).abs()));
            let (step, error) = largest(error);
            assert!(error < allowed * peak, "place {place}, step {step}: {error} of {peak}");
        }
    }

    #[test]
    fn no_sound_has_no_pieces() {
        assert!(Basilar::new(&even(4)).pieces(&[]).is_empty());
    }
}
