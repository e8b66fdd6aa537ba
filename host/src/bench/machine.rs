//! What this machine can do at best, measured: arithmetic, and bandwidth by how far data come from.
//!
//! * **Arithmetic**: x ← a x + b on as many independent vectors as keep every unit busy, with the
//!   instruction set that the kernels run with. Multiplication and addition are two operations and are not
//!   fused, since Rust never fuses by itself; on processors whose adders stand beside the multipliers that
//!   costs nothing, on others a fused peak would be twice as high.
//! * **Bandwidth**: the triad of STREAM, x ← y + a z, 12 bytes an element, over arrays of several sizes in
//!   each thread: what stays in the first cache, in the second, in the last, and what does not fit any.
//!
//! Each figure is the best of several windows of time; all threads begin a window together.

use std::{
    hint::black_box,
    sync::Barrier,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    blocks::{Block, Blocks, LANES},
    isa::{Isa, Kernel, Unit},
};

/// Windows of which the best one counts.
const WINDOWS: usize = 3;

/// Bytes of a thread's three arrays that stay in caches: within 32 KiB, within the usual 1 MiB, beyond it.
const CACHED: [usize; 3] = [24 << 10, 768 << 10, 6 << 20];

/// Bytes of an array that no cache holds, at least and at most; between them four times the last cache.
const UNCACHED: [usize; 2] = [64 << 20, 256 << 20];

/// How fast so many threads can be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Roofline {
    /// Threads.
    pub nt: usize,
    /// Arithmetic, 10⁹ operations on f32 a second.
    pub peak_gops_per_s: f64,
    /// Bandwidth, from small arrays to large ones.
    pub levels: Vec<Level>,
}

/// Bandwidth of a level of memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Level {
    /// Bytes of the arrays of one thread.
    pub bytes_per_thread: usize,
    /// 10⁹ bytes a second, all threads together.
    pub gb_per_s: f64,
}

impl Roofline {
    /// Bandwidth where a thread walks over so many bytes: that of the smallest arrays measured that are
    /// not smaller.
    pub fn bandwidth_gb_per_s(&self, working_set_bytes: f64) -> f64 {
        let holds = |level: &&Level| level.bytes_per_thread as f64 >= working_set_bytes;
        let level = self.levels.iter().find(holds).or(self.levels.last());
        level.map_or(f64::INFINITY, |level| level.gb_per_s)
    }
}

/// Processor, cores and instruction set, as a sentence without its point.
pub fn description() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = model(&cpuinfo).unwrap_or("an unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    format!(
        "{name}, cores at hand: {cores}, instruction set: {}",
        Isa::current().name()
    )
}

fn model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim()).filter(|name| !name.is_empty())
}

/// Measures one thread, and all of the pool if it has more; about `window` for each of 18 figures.
pub fn measure(window: Duration) -> Vec<Roofline> {
    let all = rayon::current_num_threads();
    let mut threads = vec![1, all];
    threads.dedup();
    threads.into_iter().map(|nt| roofline(nt, window)).collect()
}

fn roofline(nt: usize, window: Duration) -> Roofline {
    let together = |work: &(dyn Fn(&Barrier) -> [f64; WINDOWS] + Sync)| {
        let barrier = Barrier::new(nt);
        let threads = if nt == 1 {
            vec![work(&barrier)]
        } else {
            rayon::broadcast(|_| work(&barrier))
        };
        let sum = |k: usize| threads.iter().map(|windows| windows[k]).sum::<f64>();
        (0..WINDOWS).map(sum).fold(0.0, f64::max)
    };
    let [few, some, many] = [arithmetic::<64>, arithmetic::<96>, arithmetic::<192>];
    let peak = [few, some, many].map(|kernel| together(&|barrier| kernel(barrier, window)));
    let uncached = 3 * uncached_array_bytes() / nt;
    let level = |bytes_per_thread| Level {
        bytes_per_thread,
        gb_per_s: together(&|barrier| triad(barrier, window, bytes_per_thread)) / 1e9,
    };
    Roofline {
        nt,
        peak_gops_per_s: peak.into_iter().fold(0.0, f64::max) / 1e9,
        levels: CACHED.into_iter().chain([uncached]).map(level).collect(),
    }
}

/// Units of work a second in each window; `work` does some and says how many.
fn rates(barrier: &Barrier, window: Duration, mut work: impl FnMut() -> f64) -> [f64; WINDOWS] {
    // Pages that were never touched and clocks that have not risen yet do not count.
    work();
    [(); WINDOWS].map(|()| {
        barrier.wait();
        let (begin, mut done) = (Instant::now(), 0.0);
        loop {
            done += work();
            let elapsed = begin.elapsed();
            if elapsed >= window {
                return done / elapsed.as_secs_f64();
            }
        }
    })
}

/// Operations a second on so many numbers side by side. How many fill the units and still fit the registers
/// depends on the instruction set.
fn arithmetic<const N: usize>(barrier: &Barrier, window: Duration) -> [f64; WINDOWS] {
    const TIMES: usize = 4096;
    rates(barrier, window, || {
        let kernel = Accumulate::<N> {
            times: TIMES,
            factor: black_box(0.75),
            summand: black_box(0.25),
        };
        black_box(Isa::current().run(kernel));
        (2 * TIMES * N) as f64
    })
}

/// Bytes a second of the triad over three arrays of `bytes` together.
fn triad(barrier: &Barrier, window: Duration, bytes: usize) -> [f64; WINDOWS] {
    // So much at least between two looks at the clock.
    const BYTES_A_LOOK: usize = 1 << 20;
    let blocks = (bytes / 3 / size_of::<Block>()).max(1);
    let [mut to, from, scaled] = [(); 3].map(|()| Blocks::from_iter(vec![[1.0; LANES]; blocks]));
    let moved = 3 * blocks * size_of::<Block>();
    let times = BYTES_A_LOOK.div_ceil(moved);
    rates(barrier, window, || {
        for _ in 0..times {
            Isa::current().run(Triad {
                to: black_box(&mut to),
                from: black_box(&from),
                scaled: black_box(&scaled),
                factor: black_box(0.5),
            });
        }
        (times * moved) as f64
    })
}

struct Accumulate<const N: usize> {
    times: usize,
    factor: f32,
    summand: f32,
}

impl<const N: usize> Kernel for Accumulate<N> {
    type Output = f32;
    #[inline(always)]
    fn run<U: Unit>(self) -> f32 {
        // They tend to summand / (1 − factor): nothing under- or overflows.
        let mut sums = [2.0_f32; N];
        for _ in 0..self.times {
            for sum in &mut sums {
                *sum = *sum * self.factor + self.summand;
            }
        }
        sums.iter().sum()
    }
}

struct Triad<'a> {
    to: &'a mut [Block],
    from: &'a [Block],
    scaled: &'a [Block],
    factor: f32,
}

impl Kernel for Triad<'_> {
    type Output = ();
    #[inline(always)]
    fn run<U: Unit>(self) {
        let sources = self.from.as_flattened().iter().zip(self.scaled.as_flattened());
        for (to, (from, scaled)) in self.to.as_flattened_mut().iter_mut().zip(sources) {
            *to = from + self.factor * scaled;
        }
    }
}

/// Bytes of an array well beyond the last cache.
fn uncached_array_bytes() -> usize {
    let [least, most] = UNCACHED;
    (4 * last_cache_bytes()).clamp(least, most)
}

/// Bytes of the largest cache as Linux tells; 0 where nobody does.
fn last_cache_bytes() -> usize {
    let size = |index: usize| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size");
        parse_size(std::fs::read_to_string(path).ok()?.trim())
    };
    (0..8).filter_map(size).max().unwrap_or(0)
}

/// `32768K` → 33 554 432
fn parse_size(text: &str) -> Option<usize> {
    let units = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)];
    let (digits, unit) = units
        .into_iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))
        .unwrap_or((text, 1));
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_measured() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let rooflines = pool.install(|| measure(Duration::from_micros(100)));
        assert_eq!(rooflines.iter().map(|r| r.nt).collect::<Vec<_>>(), [1, 2]);
        for roofline in rooflines {
            assert!(roofline.peak_gops_per_s > 0.0);
            assert_eq!(roofline.levels.len(), CACHED.len() + 1);
            assert!(roofline.levels.iter().all(|level| level.gb_per_s > 0.0));
        }
    }

    #[test]
    fn bandwidth_is_that_of_the_level_which_holds_the_data() {
        let level = |bytes_per_thread, gb_per_s| Level {
            bytes_per_thread,
            gb_per_s,
        };
        let roofline = Roofline {
            nt: 1,
            peak_gops_per_s: 100.0,
            levels: vec![level(1000, 300.0), level(1_000_000, 20.0)],
        };
        let bandwidth = |bytes| roofline.bandwidth_gb_per_s(bytes);
        assert_eq!([10.0, 1000.0, 1001.0, 1e9].map(bandwidth), [300.0, 300.0, 20.0, 20.0]);
    }

    #[test]
    fn the_processor_is_named() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC 9R14\nstepping\t: 1\n";
        assert_eq!(model(text), Some("AMD EPYC 9R14"));
        assert_eq!(model("processor: 0"), None);
        assert!(description().contains(Isa::current().name()));
    }

    #[test]
    fn sizes_of_caches_are_read() {
        assert_eq!(parse_size("32768K"), Some(32 << 20));
        assert_eq!(parse_size("1M"), Some(1 << 20));
        assert_eq!(parse_size("512"), Some(512));
        assert_eq!(parse_size("big"), None);
    }
}
