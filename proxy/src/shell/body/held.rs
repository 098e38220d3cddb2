//! The inside of a body, held by one thread. There is none while all of the body is [one
//! piece](super::one) and nobody reads it.

use std::ops::{Deref, DerefMut};
use std::sync::{MutexGuard, PoisonError};

use super::{Inner, SharedBody};

/// Why there is an inside while it is held.
const FILLED: &str = "it was filled when it was taken, and is emptied when it is let go";

/// See the module.
pub(super) struct Held<'a> {
    inner: MutexGuard<'a, Option<Box<Inner>>>,
    body: &'a SharedBody,
}

impl<'a> Held<'a> {
    pub(super) fn of(body: &'a SharedBody) -> Self {
        // Nothing in a critical section can leave the numbers half changed.
        let mut inner = body.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.is_none() {
            *inner = body.one.get().map(|one| Box::new(one.inside()));
        }
        Self { inner, body }
    }
}

impl Deref for Held<'_> {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        self.inner.as_deref().expect(FILLED)
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Inner {
        self.inner.as_deref_mut().expect(FILLED)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.body.one.get().is_some() && self.readers.is_empty() {
            // What it counted is counted on.
            self.base = self.len;
            *self.inner = None;
        }
    }
}
