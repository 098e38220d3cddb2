//! A digest of everything that happened, in order: two runs with one seed have the same.

use common::clock::Moment;

/// Bytes gathered before they are hashed: many small pieces cost more than one large.
const GATHER: usize = 1 << 16;

/// The running digest.
#[derive(Debug)]
pub(crate) struct Fingerprint {
    hasher: Box<blake3::Hasher>,
    gathered: Vec<u8>,
}

impl Fingerprint {
    /// Of nothing.
    pub(crate) fn new() -> Self {
        Self {
            hasher: Box::new(blake3::Hasher::new()),
            gathered: Vec::with_capacity(GATHER + 2_048),
        }
    }

    /// `what` happened at `at` to `host`; `bytes` say it exactly.
    pub(crate) fn add(&mut self, what: u8, at: Moment, host: usize, bytes: &[u8]) {
        self.gathered.push(what);
        self.gathered
            .extend_from_slice(&at.as_nanos().to_be_bytes());
        self.gathered.extend_from_slice(&host.to_be_bytes());
        self.gathered.extend_from_slice(&bytes.len().to_be_bytes());
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHER {
            self.hasher.update(&self.gathered);
            self.gathered.clear();
        }
    }

    /// The digest so far, in hexadecimal.
    pub(crate) fn text(&self) -> String {
        let mut hasher = self.hasher.clone();
        hasher.update(&self.gathered);
        hasher.finalize().to_hex().to_string()
    }
}
