//! Compiling one kernel for several vector units, and choosing at run time.
//!
//! Kernels are plain Rust in `#[inline(always)]` functions; here they are instantiated under wider
//! instruction sets. Rust never reorders or fuses floating-point operations, so all of them give
//! the same bits. The few things that loops cannot say are a [`Unit`]'s.

mod unit;

use std::sync::OnceLock;

pub use unit::Unit;

/// A piece of work that can be compiled for any instruction set.
pub trait Kernel {
    /// What it returns.
    type Output;
    /// The work on a vector unit; mark it `#[inline(always)]`, and all that it calls in its loops.
    fn run<U: Unit>(self) -> Self::Output;
}

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What every processor of the target has.
    Baseline,
    /// 256-bit vectors, and the counting of bits.
    Avx2,
    /// 512-bit vectors, with multiplications of integers that add.
    Avx512,
}

impl Isa {
    /// All that this processor has.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut)]
        let mut all = vec![Self::Baseline];
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("popcnt");
            if avx2 {
                all.push(Self::Avx2);
            }
            let avx512 = avx2
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c")
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni");
            if avx512 {
                all.push(Self::Avx512);
            }
        }
        all
    }

    /// Name, as in the environment variable `SPIKELOOP_ISA`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// The widest available, or what `SPIKELOOP_ISA` (`baseline`, `avx2`, `avx512`) asks for.
    ///
    /// # Errors
    /// An unknown name, or one that this processor does not have.
    pub fn from_environment() -> Result<Self, String> {
        let available = Self::available();
        let Ok(wanted) = std::env::var("SPIKELOOP_ISA") else {
            return Ok(available[available.len() - 1]);
        };
        available
            .iter()
            .copied()
            .find(|isa| isa.name() == wanted)
            .ok_or_else(|| {
                let names: Vec<_> = available.iter().map(|isa| isa.name()).collect();
                format!("SPIKELOOP_ISA is {wanted:?}; this processor has {}", names.join(", "))
            })
    }

    /// The process-wide choice; an impossible wish counts as none (the program checks it first).
    pub fn current() -> Self {
        static CHOICE: OnceLock<Isa> = OnceLock::new();
        *CHOICE.get_or_init(|| Self::from_environment().unwrap_or(Self::Baseline))
    }

    /// Runs a kernel compiled for this instruction set.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        {
            assert!(self <= Self::widest(), "{} is not there", self.name());
            match self {
                Self::Baseline => kernel.run::<unit::Baseline>(),
                // SAFETY: `widest` found the features on this processor.
                Self::Avx2 => unsafe { run_avx2(kernel) },
                // SAFETY: as above.
                Self::Avx512 => unsafe { run_avx512(kernel) },
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        kernel.run::<unit::Baseline>()
    }

    #[cfg(target_arch = "x86_64")]
    fn widest() -> Self {
        static WIDEST: OnceLock<Isa> = OnceLock::new();
        *WIDEST.get_or_init(|| {
            let available = Self::available();
            available[available.len() - 1]
        })
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,popcnt")]
fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<unit::Avx2>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "bmi1,popcnt,avx512f,avx512vl,avx512dq,avx512bw,avx512vnni")]
fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<unit::Avx512>()
}
