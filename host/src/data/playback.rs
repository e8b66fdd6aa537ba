//! How recordings of the world, in its time, become inputs of a chip that lives faster.

use super::{DataError, ns_from_us};

/// Tempo of a recording on a chip, and how much of it is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Playback {
    /// So many times faster than what was recorded does the chip live.
    speed_up: f64,
    /// Length of a run on the chip, ns.
    window_ns: u32,
}

impl Playback {
    /// `speed_up` times as fast, for at most `window_us` of the chip's time.
    ///
    /// # Errors
    /// [`DataError::BadParameter`].
    pub fn new(speed_up: f64, window_us: f64) -> Result<Self, DataError> {
        if !(speed_up > 0.0 && speed_up.is_finite()) {
            return Err(DataError::BadParameter {
                name: "data.recording.speed_up",
                value: speed_up,
                allowed: "a number above 0".into(),
            });
        }
        let window_ns = ns_from_us("data.window_us", window_us)?;
        Ok(Self { speed_up, window_ns })
    }

    /// Length of a run on the chip, ns.
    #[must_use]
    pub fn window_ns(&self) -> u32 {
        self.window_ns
    }

    /// When something that happened `seconds` after the beginning of a recording happens on the chip, ns; none where that is
    /// after the run, or no time at all.
    #[must_use]
    pub fn time_ns(&self, seconds: f64) -> Option<u32> {
        let ns = (seconds * 1e9 / self.speed_up).round();
        (ns >= 0.0 && ns <= f64::from(self.window_ns)).then_some(ns as u32)
    }
}

/// Which of a recording's channels are inputs: every so many from the first one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Channels left out from the beginning.
    pub skip: usize,
    /// One of so many is taken, from the first one that is not skipped.
    pub every: usize,
}

impl Channels {
    /// All.
    pub const ALL: Self = Self { skip: 0, every: 1 };

    /// How many inputs they are, of so many channels.
    #[must_use]
    pub fn count(&self, channels: usize) -> usize {
        channels.saturating_sub(self.skip).div_ceil(self.every.max(1))
    }

    /// The input that a channel is.
    #[must_use]
    pub fn input(&self, channel: usize) -> Option<u16> {
        let from = channel.checked_sub(self.skip)?;
        let every = self.every.max(1);
        from.is_multiple_of(every)
            .then(|| u16::try_from(from / every).ok())
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_played_faster_and_cut() {
        let playback = Playback::new(2000.0, 350.0).unwrap();
        assert_eq!(playback.time_ns(0.1), Some(50_000));
        assert_eq!(playback.time_ns(0.7), Some(350_000));
        for never in [0.701, -0.1, f64::NAN, f64::INFINITY] {
            assert_eq!(playback.time_ns(never), None);
        }
        assert!(Playback::new(0.0, 350.0).is_err() && Playback::new(1.0, -1.0).is_err());
    }

    /// As the published experiment on SHD has it: 70 of 700, without the first 70.
    #[test]
    fn every_ninth_channel_from_the_seventy_first_on() {
        let channels = Channels { skip: 70, every: 9 };
        assert_eq!(channels.count(700), 70);
        assert_eq!(channels.input(69), None);
        assert_eq!(channels.input(70), Some(0));
        assert_eq!(channels.input(71), None);
        assert_eq!(channels.input(79), Some(1));
        let taken = (0..700).filter(|&channel| channels.input(channel).is_some()).count();
        assert_eq!(taken, 70);
        assert_eq!(Channels::ALL.count(5), 5);
    }
}
