//! What was learned, as bytes: to begin with, and to be taken home.
//!
//! ```text
//! updates (8) │ rates [neuron] │ weights │ first moments │ second moments       all little-endian, 4 bytes a number
//! ```

use alloc::vec::Vec;

use spikeloop_wire::message::Reason;

use super::Plasticity;
use crate::Refusal;

impl Plasticity {
    fn numbers_of_state(&mut self) -> [&mut Vec<f32>; 4] {
        let [first, second] = &mut self.moments.of_weights;
        [&mut self.rates, &mut self.weights, first, second]
    }

    /// Length of a state, bytes.
    pub fn state_bytes(&mut self) -> usize {
        8 + 4 * self
            .numbers_of_state()
            .map(|numbers| numbers.len())
            .iter()
            .sum::<usize>()
    }

    /// Begins a batch from this state.
    ///
    /// # Errors
    /// It is of another length, or something in it is no number.
    pub fn take_state(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if bytes.len() != self.state_bytes() {
            let text = format_args!(
                "what was learned before has {} bytes, and the plan's network has {}: begin anew",
                bytes.len(),
                self.state_bytes()
            );
            return Err(Refusal::new(Reason::Invalid, text));
        }
        let (updates, mut rest) = bytes.split_at(8);
        let mut finite = true;
        for numbers in self.numbers_of_state() {
            let (own, after) = rest.split_at(4 * numbers.len());
            for (number, bytes) in numbers.iter_mut().zip(own.chunks_exact(4)) {
                *number = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                finite &= number.is_finite();
            }
            rest = after;
        }
        if !finite {
            return Err(Refusal::new(
                Reason::Invalid,
                "what was learned holds something that is no number",
            ));
        }
        self.moments.updates = updates.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        self.begin_batch();
        Ok(())
    }

    /// What was learned up to the last update.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn state(&mut self) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        let room = bytes.try_reserve_exact(self.state_bytes());
        room.map_err(|_| Refusal::new(Reason::TooLarge, "no memory is left to say what was learned"))?;
        bytes.extend(self.moments.updates.to_le_bytes());
        for numbers in self.numbers_of_state() {
            numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        }
        Ok(bytes)
    }
}
