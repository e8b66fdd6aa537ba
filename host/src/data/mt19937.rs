//! The Mersenne Twister MT19937, with the seeding and the doubles of numpy's legacy `RandomState`.
//!
//! Only there to reproduce published data; the emulator's own random numbers come from elsewhere.
//! Sources: M. Matsumoto and T. Nishimura, ACM TOMACS 8 (1998) 3; their reference code
//! `mt19937ar.c` (`init_genrand`, `genrand_int32`, `genrand_res53`).

/// Words of state.
const N: usize = 624;
/// Distance of the words that are combined.
const M: usize = 397;

/// The generator.
#[derive(Debug, Clone)]
pub struct Mt19937 {
    state: [u32; N],
    /// Next word of `state` to give out; `N` means that a new block is due.
    next: usize,
}

impl Mt19937 {
    /// A generator seeded by the plain 32-bit initialiser, as `RandomState(seed)` is for an integer.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        let mut state = [seed; N];
        for i in 1..N {
            let before = state[i - 1];
            state[i] = (before ^ (before >> 30))
                .wrapping_mul(1_812_433_253)
                .wrapping_add(i as u32);
        }
        Self { state, next: N }
    }

    /// The next word, uniform over 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.next == N {
            self.refill();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// The next double, uniform on [0, 1) in steps of 2⁻⁵³; uses two words.
    pub fn next_double(&mut self) -> f64 {
        let high = f64::from(self.next_u32() >> 5);
        let low = f64::from(self.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// Makes the next block of words.
    fn refill(&mut self) {
        for i in 0..N {
            let joined = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let twist = if joined & 1 == 0 { 0 } else { 0x9908_b0df };
            self.state[i] = self.state[(i + M) % N] ^ (joined >> 1) ^ twist;
        }
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_of_the_default_seed() {
        let mut rng = Mt19937::new(5489);
        let first: Vec<u32> = (0..5).map(|_| rng.next_u32()).collect();
        assert_eq!(
            first,
            [3_499_211_612, 581_869_302, 3_890_346_734, 3_586_334_585, 545_404_204]
        );
        // The 10 000th word is the one that the C++ standard prescribes for std::mt19937.
        let ten_thousandth = (5..10_000).map(|_| rng.next_u32()).last();
        assert_eq!(ten_thousandth, Some(4_123_659_995));
    }

    #[test]
    fn doubles_are_numpys() {
        // numpy.random.RandomState(42).rand(3)
        let mut rng = Mt19937::new(42);
        assert_eq!(rng.next_double(), 0.374_540_118_847_362_5);
        assert_eq!(rng.next_double(), 0.950_714_306_409_916_2);
        assert_eq!(rng.next_double(), 0.731_993_941_811_405_1);
    }
}
