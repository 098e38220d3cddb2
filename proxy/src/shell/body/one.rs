//! The little that is left of a body when all of it is one piece in memory: most bodies of a cache are so,
//! and there may be a million.
//!
//! Its bytes are a plain piece of memory with nothing beside it. Who takes them away with him holds the body, and
//! the counter that a handle of bytes needs lives as long as his handle.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock, PoisonError};

use bytes::Bytes;

use super::{End, Inner, Next, SharedBody};
use crate::engine::pointer::Digest;
use crate::shell::room::Room;

/// With the two counters of an `Arc` a body is one of the allocator's sizes.
const _: () = assert!(size_of::<SharedBody>() == 112 - 16);

/// All of a whole body, in one piece.
#[derive(Debug)]
pub(super) struct One {
    pub(super) bytes: Box<[u8]>,
    pub(super) digest: Digest,
    /// Where its bytes are counted, by the inside or without it.
    room: Arc<Room>,
}

impl One {
    /// The inside of a body that this is all of. It has no pieces of its own.
    pub(super) fn inside(&self) -> Inner {
        let length = self.bytes.len() as u64;
        let mut inner = Inner::empty(Arc::clone(&self.room), Some(length));
        inner.len = length;
        inner.end = End::Whole(self.digest);
        inner
    }
}

/// One who holds a body for its bytes.
struct Holder(Arc<SharedBody>);

impl AsRef<[u8]> for Holder {
    fn as_ref(&self) -> &[u8] {
        self.0.one().unwrap_or_default()
    }
}

impl SharedBody {
    /// A whole body of one piece in memory.
    pub(crate) fn whole(bytes: Box<[u8]>, digest: Digest, room: &Arc<Room>) -> Arc<Self> {
        room.hold(bytes.len() as u64);
        let room = Arc::clone(room);
        let one = One {
            bytes,
            digest,
            room,
        };
        Arc::new(Self::made(None, OnceLock::from(one)))
    }

    /// All of it, if it is whole and known to be one piece in memory.
    pub(crate) fn one(&self) -> Option<&[u8]> {
        self.one.get().map(|one| &*one.bytes)
    }

    /// The same for who takes it away with him.
    pub(crate) fn piece(self: &Arc<Self>) -> Option<Bytes> {
        self.one()?;
        Some(Bytes::from_owner(Holder(Arc::clone(self))))
    }

    /// What a reader at `at` gets of the one piece, if that is all there is.
    pub(super) fn next_of_one(self: &Arc<Self>, at: u64, to: Option<u64>) -> Option<Next> {
        let length = self.one()?.len();
        let upto = to.and_then(|to| usize::try_from(to).ok());
        let upto = upto.unwrap_or(length).min(length);
        let from = usize::try_from(at).unwrap_or(length);
        if from >= upto {
            return Some(Next::End);
        }
        Some(Next::Bytes(self.piece()?.slice(from..upto)))
    }

    /// Makes one piece of what is in memory and will stay. One piece is cheaper to send, any number of
    /// times, than many; and a piece as it came is a view of the connection's buffer, which may be a
    /// thousand times as large.
    pub(crate) fn compact(&self) {
        let mut inner = self.lock();
        if self.one().is_some() || inner.spill.is_some() || inner.base > 0 {
            return;
        }
        let mut joined = Vec::with_capacity(usize::try_from(inner.len).unwrap_or(0));
        for chunk in &inner.chunks {
            joined.extend_from_slice(chunk);
        }
        let End::Whole(digest) = inner.end else {
            inner.chunks = VecDeque::from([joined.into()]);
            return;
        };
        // A body becomes whole once. Who reads it goes on with this.
        let _ = self.one.set(One {
            bytes: joined.into_boxed_slice(),
            digest,
            room: Arc::clone(&inner.room),
        });
        inner.chunks = VecDeque::new();
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
