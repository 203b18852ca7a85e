//! What happened, as a hash and, when wanted, as text.

use xxhash_rust::xxh3::Xxh3;

/// The events of a world, in order.
#[derive(Default)]
pub(crate) struct Trace {
    hash: Xxh3,
    verbose: bool,
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trace").field("hash", &self.hash()).finish_non_exhaustive()
    }
}

impl Trace {
    pub(crate) fn new(verbose: bool) -> Self {
        Self { hash: Xxh3::new(), verbose }
    }

    pub(crate) fn event(&mut self, what: std::fmt::Arguments<'_>) {
        let text = what.to_string();
        self.hash.update(text.as_bytes());
        self.hash.update(b"\n");
        if self.verbose {
            println!("{text}");
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.digest()
    }
}
