//! The memory that the bytes of all bodies share, kept ones and those under way.
//!
//! Counted where bytes are held and let go, whoever holds the body. Beyond the limit nothing is
//! thrown away: bodies go to disk at once, windows shrink to a piece, and fetches of what may not
//! be kept are refused. So the most is the limit and one piece per fetch under way.

use std::sync::atomic::{AtomicU64, Ordering};

/// See the module.
#[derive(Debug)]
pub(crate) struct Room {
    limit: u64,
    used: AtomicU64,
}

impl Room {
    /// Room for `limit` bytes.
    pub(crate) const fn new(limit: u64) -> Self {
        Self {
            limit,
            used: AtomicU64::new(0),
        }
    }

    /// Bytes held.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether no more should be held than has to be.
    pub(crate) fn is_short(&self) -> bool {
        self.used() >= self.limit
    }

    pub(crate) fn hold(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn let_go(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}
