//! A line with a baud rate and faults.

use std::{
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use spikeloop_chip::random::{Purpose, Stream};

/// What a line does to bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    /// Bytes pass at this rate, ten bits each; without, as fast as they can.
    pub baud: Option<u32>,
    /// What goes wrong.
    pub faults: Option<Faults>,
}

/// Faults of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faults {
    /// Probability that something happens to a byte: a bit flips, it is dropped, doubled, delayed by
    /// up to 20 ms, or another one comes before it, each as often.
    pub rate: f64,
    /// Which bytes it happens to.
    pub seed: u64,
}

impl Line {
    /// The same kind of line with other draws.
    pub(super) fn with_seed(mut self, direction: u64) -> Self {
        if let Some(faults) = &mut self.faults {
            faults.seed = faults.seed.wrapping_mul(4).wrapping_add(direction);
        }
        self
    }
}

/// Carries bytes until told to stop, or until one end is gone for good.
pub(super) fn pump(
    name: &str,
    line: Line,
    mut from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    stop: &Arc<AtomicBool>,
) -> thread::JoinHandle<()> {
    let stop = Arc::clone(stop);
    let carry = move || {
        let mut shape = Shape::new(line);
        let mut bytes = [0; 4096];
        let mut out = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            // On a slow line a byte must not wait for those after it.
            let room = if line.baud.is_some() { 64 } else { bytes.len() };
            match from.read(&mut bytes[..room]) {
                Ok(0) => break,
                Ok(count) => {
                    shape.pass(&bytes[..count], &mut out);
                    shape.pace(out.len());
                    if !write_all(&mut to, &out, &stop) {
                        break;
                    }
                }
                // Nothing has come, or nobody has the port open.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                Err(error) if is_closed(&error) => thread::sleep(Duration::from_millis(3)),
                Err(_) => break,
            }
        }
    };
    let thread = thread::Builder::new().name(name.to_owned());
    // Without threads there is nothing to emulate on.
    thread.spawn(carry).unwrap_or_else(|_| thread::spawn(|| ()))
}

/// A pseudo-terminal whose other end nobody has open gives EIO.
fn is_closed(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::NotFound
    )
}

fn write_all(to: &mut impl Write, mut bytes: &[u8], stop: &AtomicBool) -> bool {
    while !bytes.is_empty() && !stop.load(Ordering::Relaxed) {
        match to.write(bytes) {
            Ok(0) => return false,
            Ok(count) => bytes = &bytes[count..],
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return false,
            // Nobody listens: the bytes are gone, as on any line.
            Err(_) => break,
        }
    }
    let _ = to.flush();
    true
}

/// The state of a line.
struct Shape {
    line: Line,
    stream: Stream,
    position: u32,
    begin: Instant,
    passed: f64,
}

impl Shape {
    fn new(line: Line) -> Self {
        let seed = line.faults.map_or(0, |faults| faults.seed);
        Self {
            line,
            stream: Stream::new(Purpose::Benchmark, &[seed]),
            position: 0,
            begin: Instant::now(),
            passed: 0.0,
        }
    }

    /// What becomes of some bytes.
    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.clear();
        let Some(faults) = self.line.faults else {
            out.extend_from_slice(bytes);
            return;
        };
        for &byte in bytes {
            self.position = self.position.wrapping_add(1);
            let [chance, what, which, _] = self.stream.words(self.position, 0, 0);
            if (f64::from(chance) + 0.5) / 4_294_967_296.0 >= faults.rate {
                out.push(byte);
                continue;
            }
            match what % 5 {
                0 => out.push(byte ^ 1 << (which % 8)),
                1 => {}
                2 => out.extend([byte; 2]),
                3 => out.extend([which as u8, byte]),
                _ => {
                    thread::sleep(Duration::from_millis(u64::from(which % 20)));
                    out.push(byte);
                }
            }
        }
    }

    /// Waits until so many bytes have passed.
    fn pace(&mut self, bytes: usize) {
        let Some(baud) = self.line.baud else {
            return;
        };
        let now = self.begin.elapsed().as_secs_f64();
        let passed = self.passed.max(now) + 10.0 * bytes as f64 / f64::from(baud.max(1));
        self.passed = passed;
        if passed > now {
            thread::sleep(Duration::from_secs_f64(passed - now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_as_frequent_as_asked_for_and_the_same_each_time() {
        let faults = Faults { rate: 0.01, seed: 3 };
        let line = Line {
            baud: None,
            faults: Some(faults),
        };
        let bytes = [0x55; 5_000];
        let (mut first, mut second) = (Vec::new(), Vec::new());
        Shape::new(line).pass(&bytes, &mut first);
        Shape::new(line).pass(&bytes, &mut second);
        assert_eq!(first, second);
        let other = first.iter().filter(|&&byte| byte != 0x55).count();
        // Two of five faults show as another byte: 20 expected.
        assert!((5..45).contains(&other), "{other}");
    }

    #[test]
    fn a_perfect_line_changes_nothing() {
        let mut out = vec![9];
        Shape::new(Line::default()).pass(&[1, 2, 3], &mut out);
        assert_eq!(out, [1, 2, 3]);
    }
}
