//! The inside of a body, held by one thread; and the little that is left of it when all of it is one
//! piece in memory and nobody reads it: most bodies of a cache are so, and there may be a million.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{End, Inner, SharedBody};
use crate::engine::pointer::Digest;
use crate::shell::room::Room;

/// Why there is an inside while it is held.
const FILLED: &str = "it was filled when it was taken, and is emptied when it is let go";

/// With the two counters of an `Arc` a body is one of the allocator's sizes.
const _: () = assert!(size_of::<SharedBody>() <= 128 - 16);

/// All of a whole body, in one piece.
#[derive(Debug)]
pub(super) struct One {
    pub(super) bytes: Bytes,
    pub(super) digest: Digest,
    /// Where its bytes are counted, by the inside or without it.
    pub(super) room: Arc<Room>,
}

impl One {
    fn inside(&self) -> Inner {
        let length = self.bytes.len() as u64;
        let mut inner = Inner::empty(Arc::clone(&self.room), Some(length));
        inner.len = length;
        inner.end = End::Whole(self.digest);
        if length > 0 {
            inner.chunks.push_back(self.bytes.clone());
        }
        inner
    }
}

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

impl Drop for SharedBody {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let (None, Some(one)) = (inner, self.one.get()) {
            one.room.let_go(one.bytes.len() as u64);
        }
    }
}
