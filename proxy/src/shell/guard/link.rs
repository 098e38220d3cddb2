//! What the guard of a connection and those who answer on it tell each other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::engine::reason::RefuseReason;

/// Bytes of interim responses that wait to go out; more are dropped.
pub(super) const HINTS_MAX: usize = 32 << 10;

/// What the guard tells those who answer.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// The number of the request after which the connection ends; zero while none is known.
    pub(super) last: AtomicU64,
    pub(super) refused: OnceLock<RefuseReason>,
    asked: AtomicU64,
    pub(super) serving: AtomicBool,
    /// Interim responses to the request being answered; they go out before the next flush ends.
    hints: Mutex<Vec<u8>>,
    pub(super) hinted: AtomicBool,
    /// The answer to the only request has gone out.
    pub(super) done: AtomicBool,
}

/// What is known of one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Word {
    /// The connection ends with it.
    pub(crate) last: bool,
    /// It is refused for this.
    pub(crate) refused: Option<RefuseReason>,
}

impl Link {
    /// What is known of the next request; to be asked once for each, in order.
    pub(crate) fn next(&self) -> Word {
        self.serving.store(true, Ordering::Relaxed);
        let number = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let last = self.last.load(Ordering::Acquire) == number;
        let refused = self.refused.get().copied().filter(|_| last);
        Word { last, refused }
    }

    /// The answer is complete, or given up.
    pub(crate) fn served(&self) {
        self.serving.store(false, Ordering::Relaxed);
    }

    /// Gives the client an interim response, while its request has no answer yet. To be called from
    /// where the answer is made, which hyper polls before it flushes.
    pub(crate) fn hint(&self, bytes: &[u8]) {
        let mut hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        if hints.len() + bytes.len() <= HINTS_MAX {
            hints.extend_from_slice(bytes);
            self.hinted.store(true, Ordering::Relaxed);
        }
    }

    /// The answer begins: it is too late for hints that have not begun to go out.
    pub(crate) fn answered(&self) {
        if self.hinted.load(Ordering::Relaxed) {
            drop(self.take_hints());
        }
    }

    /// Whether a request came and its answer is complete, or given up.
    pub(super) fn is_answered(&self) -> bool {
        self.asked.load(Ordering::Acquire) > 0 && !self.serving.load(Ordering::Relaxed)
    }

    /// Whether the answer to the only request of a [single](super::Guard::once) guard has gone out.
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    pub(super) fn take_hints(&self) -> Vec<u8> {
        let mut hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        self.hinted.store(false, Ordering::Relaxed);
        std::mem::take(&mut *hints)
    }

    pub(super) fn is_over(&self) -> bool {
        self.last.load(Ordering::Acquire) > 0
    }
}
