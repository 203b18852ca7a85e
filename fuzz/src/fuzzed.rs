//! The trait of a fuzz target.

use rand_chacha::ChaCha8Rng;

/// A fuzz target: makes the input of a case, and tries it.
pub(crate) trait Fuzzed {
    /// The input of a case.
    fn input(&mut self, rng: &mut ChaCha8Rng) -> Vec<u8>;
    /// Tries an input. `Ok(true)` if it was accepted, `Ok(false)` if refused.
    ///
    /// # Errors
    /// The promise that was broken.
    fn try_input(&mut self, input: &[u8], rng: &mut ChaCha8Rng) -> Result<bool, String>;
}
