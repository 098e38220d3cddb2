//! What transports count. Shared by all threads; none of it is counted per message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counters.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Datagrams that could not be handed to the socket.
    pub unsent: AtomicU64,
    /// Replies missing in the query log, which counts them itself.
    pub unlogged: Arc<AtomicU64>,
    /// TCP connections taken.
    pub tcp_taken: AtomicU64,
    /// TCP connections closed because as many as allowed were open.
    pub tcp_refused: AtomicU64,
    /// TCP connections closed because their neighbourhood had as many as allowed.
    pub tcp_crowded: AtomicU64,
    /// TCP connections closed for taking too long.
    pub tcp_timed_out: AtomicU64,
}

impl Traffic {
    /// Adds one to `counter`.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
