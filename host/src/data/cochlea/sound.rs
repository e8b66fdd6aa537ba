//! Recordings: reading a wav file, and what is done to a sound before it reaches the ear.

use std::io::Cursor;
use std::path::Path;

use hound::{Error as WavError, SampleFormat, WavReader};

use crate::data::DataError;

/// Samples per second of a recording, Hz: that of the Free Spoken Digit Dataset.
pub const SAMPLE_RATE: u32 = 8000;

/// Longest recording that is read, s. The longest spoken digit of the set takes 2.3 s, so that what is longer
/// is something else, and a set of such files would take hours.
pub const LONGEST: u32 = 10;

/// What of the last sample is taken from the next one: from 130 Hz on the sound becomes louder with its
/// frequency, 6 dB an octave up to 2 kHz. An *estimate* of what the outer and the middle ear do. The
/// published front end leaves it out; but in recordings that end at 4 kHz the loud low formants then hide the
/// others: of the test recordings, 33 % were mistaken by a linear classifier of spike counts (70 channels, ten
/// parts of the recording), and 17 % with this.
const EAR: f64 = 0.9;
/// Root mean square to which a recording is then scaled, of full scale. An *estimate*: the published 0.3 is for
/// sound that is loud at low frequencies, which move the membrane more. With this there are some 13 000 spikes
/// a second in 700 channels, as many as without the ear at 0.3.
const LEVEL: f64 = 0.6;
/// Length of the ramps at both ends, s. An *estimate*: these recordings are cut where the word begins, so that
/// the published ramp, which in lauscher takes half of the recording by default, would fade the first consonant
/// out.
const RAMP: f64 = 0.01;
/// Silence after the end, s, in which the membrane comes to rest. An *estimate*: a few periods of its slowest
/// channels that hear anything.
const REST: f64 = 0.05;

/// What a wav file has to be, for messages.
const KIND: &str = "a spoken digit";
/// How to make one of a file that is not.
const CONVERT: &str = "convert it with `sox IN -r 8000 -c 1 -b 16 OUT`, or fetch the set again";

/// A recording: one channel, [`SAMPLE_RATE`].
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    samples: Vec<f32>,
}

impl Sound {
    /// A sound of these samples, 1 being full scale; what is not a finite number is silence.
    #[must_use]
    pub fn new(mut samples: Vec<f32>) -> Self {
        for sample in &mut samples {
            if !sample.is_finite() {
                *sample = 0.0;
            }
        }
        Self { samples }
    }

    /// Reads the bytes of a wav file: 8 kHz, 16 bit, one channel, at most [`LONGEST`] seconds. `path` is for
    /// messages.
    ///
    /// # Errors
    /// [`DataError::Malformed`] if it is anything else, or damaged.
    pub fn from_wav(bytes: &[u8], path: &Path) -> Result<Self, DataError> {
        let wrong = |message: String| DataError::Malformed {
            path: path.to_path_buf(),
            kind: KIND,
            message,
        };
        let damaged = |error: WavError| {
            wrong(match error {
                WavError::IoError(_) => "the file is cut short; fetch it again".into(),
                other => format!("{other}; fetch it again, or {CONVERT}"),
            })
        };
        let reader = WavReader::new(Cursor::new(bytes)).map_err(damaged)?;
        let spec = reader.spec();
        if spec.channels != 1 {
            return Err(wrong(format!("it has {} channels, not one; {CONVERT}", spec.channels)));
        }
        if spec.sample_rate != SAMPLE_RATE {
            return Err(wrong(format!(
                "it has {} samples a second, not {SAMPLE_RATE}; {CONVERT}",
                spec.sample_rate
            )));
        }
        if (spec.bits_per_sample, spec.sample_format) != (16, SampleFormat::Int) {
            let format = match spec.sample_format {
                SampleFormat::Int => "bit",
                SampleFormat::Float => "bit floating-point",
            };
            return Err(wrong(format!(
                "its samples are {} {format} numbers, not 16 bit ones; {CONVERT}",
                spec.bits_per_sample
            )));
        }
        // Checked before anything is reserved: the length is what the header says.
        let length = reader.len();
        if length > LONGEST * SAMPLE_RATE {
            return Err(wrong(format!(
                "it says that it lasts {} s, and a spoken digit takes at most {LONGEST} s; cut it into words",
                length / SAMPLE_RATE
            )));
        }
        let read: Result<Vec<i16>, WavError> = reader.into_samples().collect();
        let samples: Vec<f32> = read.map_err(damaged)?.into_iter().map(full_scale).collect();
        if samples.is_empty() {
            return Err(wrong("it holds no sound; leave it out, or fetch it again".into()));
        }
        Ok(Self { samples })
    }

    /// The samples, 1 being full scale.
    #[must_use]
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// What reaches the cochlea: the sound through the outer and the middle ear, at one loudness, faded in and
    /// out, with a rest after it.
    ///
    /// Silence stays silence.
    #[must_use]
    pub fn conditioned(&self) -> Vec<f32> {
        let mut last = 0.0;
        let passed = |&x: &f32| {
            let (x, before) = (f64::from(x), last);
            last = x;
            x - EAR * before
        };
        let passed: Vec<f64> = self.samples.iter().map(passed).collect();
        let square: f64 = passed.iter().map(|x| x * x).sum();
        let rms = (square / passed.len().max(1) as f64).sqrt();
        let gain = if rms > 0.0 { LEVEL / rms } else { 0.0 };
        let rate = f64::from(SAMPLE_RATE);
        let ramp = ((RAMP * rate) as usize).min(self.samples.len() / 2);
        let mut out: Vec<f32> = passed.iter().map(|x| (x * gain) as f32).collect();
        let length = out.len();
        for k in 0..ramp {
            // Half of a Hann window.
            let phase = core::f64::consts::PI * (k as f64 + 0.5) / ramp as f64;
            let weight = (0.5 - 0.5 * libm::cos(phase)) as f32;
            out[k] *= weight;
            out[length - 1 - k] *= weight;
        }
        out.resize(length + (REST * rate) as usize, 0.0);
        out
    }
}

fn full_scale(sample: i16) -> f32 {
    f32::from(sample) / 32768.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::{WavSpec, WavWriter};

    fn spec() -> WavSpec {
        WavSpec {
            channels: 1,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        }
    }

    fn file(spec: WavSpec, samples: usize) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).expect("a header");
        for k in 0..samples {
            let sample = if k % 2 == 0 { 100 } else { -100 };
            match spec.sample_format {
                SampleFormat::Int => writer.write_sample(sample),
                SampleFormat::Float => writer.write_sample(sample as f32),
            }
            .expect("a sample");
        }
        writer.finalize().expect("an end");
        bytes.into_inner()
    }

    fn message(bytes: &[u8]) -> String {
        let error = Sound::from_wav(bytes, Path::new("7_ann_3.wav")).expect_err("it is wrong");
        let message = error.to_string();
        assert!(message.starts_with("7_ann_3.wav is not a spoken digit: "), "{message}");
        message
    }

    #[test]
    fn a_wav_file_is_read() {
        let sound = Sound::from_wav(&file(spec(), 3), Path::new("a")).expect("it is right");
        let step = 100.0 / 32768.0;
        assert_eq!(sound.samples(), [step, -step, step]);
    }

    #[test]
    fn every_wrong_file_is_named_with_a_way_out() {
        let right = file(spec(), 100);
        let stereo = WavSpec { channels: 2, ..spec() };
        assert!(message(&file(stereo, 10)).contains("2 channels, not one; convert"));
        let fast = WavSpec {
            sample_rate: 48_000,
            ..spec()
        };
        assert!(message(&file(fast, 10)).contains("48000 samples a second, not 8000; convert"));
        let coarse = WavSpec {
            bits_per_sample: 8,
            ..spec()
        };
        assert!(message(&file(coarse, 10)).contains("8 bit numbers, not 16 bit ones; convert"));
        let float = WavSpec {
            bits_per_sample: 32,
            sample_format: SampleFormat::Float,
            ..spec()
        };
        assert!(message(&file(float, 10)).contains("32 bit floating-point numbers"));
        assert!(message(&right[..right.len() - 10]).contains("cut short; fetch it again"));
        assert!(message(&right[..20]).contains("cut short; fetch it again"));
        assert!(message(b"").contains("fetch it again"));
        assert!(message(b"<html>not found, and this is a long text about it</html>").contains("fetch it again"));
        assert!(message(&file(spec(), 0)).contains("no sound"));
        let long = file(spec(), (LONGEST * SAMPLE_RATE + 1) as usize);
        assert!(message(&long).contains("at most 10 s; cut it into words"));
    }

    #[test]
    fn a_sound_is_scaled_faded_and_given_a_rest() {
        let ramp: Vec<f32> = (0..8000).map(|k| if k % 2 == 0 { 0.01 } else { -0.01 }).collect();
        let out = Sound::new(ramp).conditioned();
        assert_eq!(out.len(), 8400);
        // The first sample alone is not louder by the one before.
        assert!((out[4000] - 0.6).abs() < 1e-3 && (out[4001] + 0.6).abs() < 1e-3);
        assert!(out[0].abs() < 1e-3 && out[7999].abs() < 1e-3);
        // Ramps are over after 80 samples, and half way up in their middle.
        assert!((out[80] - 0.6).abs() < 1e-3 && (out[40] - 0.3).abs() < 0.01);
        assert!(out[8000..].iter().all(|&x| x == 0.0));
        for silent in [vec![], vec![0.0], vec![0.0; 100], vec![f32::NAN; 3]] {
            assert!(Sound::new(silent).conditioned().iter().all(|&x| x == 0.0));
        }
    }

    /// Between two tones of one amplitude: |1 − 0.9 e^{−iω}| at each, by hand 0.125 and 0.733.
    #[test]
    fn the_ear_passes_high_tones_better() {
        let pair = |k: usize| {
            let tone = |hz: f64| libm::sin(core::f64::consts::TAU * hz * k as f64 / 8000.0);
            (0.1 * (tone(100.0) + tone(1000.0))) as f32
        };
        let out = Sound::new((0..8000).map(pair).collect()).conditioned();
        // Away from the ramps, over whole periods of both.
        let part = |hz: f64| {
            let (mut re, mut im) = (0.0, 0.0);
            for (k, &x) in out.iter().enumerate().take(7600).skip(400) {
                let (sin, cos) = libm::sincos(core::f64::consts::TAU * hz * k as f64 / 8000.0);
                (re, im) = (re + f64::from(x) * cos, im + f64::from(x) * sin);
            }
            (re * re + im * im).sqrt()
        };
        assert!((part(1000.0) / part(100.0) - 0.7329 / 0.1247).abs() < 0.1);
    }
}
