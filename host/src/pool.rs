//! Buffers that outlive one task of the thread pool.

use std::sync::{Mutex, PoisonError};

/// Lends buffers; whoever is done gives them back.
#[derive(Debug)]
pub struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<T> Pool<T> {
    /// A used buffer, or a new one.
    pub fn take(&self, new: impl FnOnce() -> T) -> T {
        // A panic elsewhere leaves at worst a buffer less.
        let pooled = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        pooled.unwrap_or_else(new)
    }

    /// Gives a buffer back.
    pub fn give(&self, buffer: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}
