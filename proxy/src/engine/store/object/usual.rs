//! The usual answer with an object, kept with it once it was given: as fields, and as bytes.

use std::sync::OnceLock;

use http::HeaderMap;

use super::Object;
use crate::engine::hit::prepared::Prepared;
use crate::engine::http::rewrite::Front;

/// Through which of its doors an answer leaves the proxy; each has it made in its own way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door {
    /// As [fields](Ready).
    Careful,
    /// As [bytes](Prepared).
    Plain,
}

/// The usual answer with an object, once it was given.
#[derive(Debug, Default)]
pub(super) struct Usual {
    ready: OnceLock<Option<Box<Ready>>>,
    prepared: OnceLock<Option<Prepared>>,
}

/// The fields of the usual answer with an object, made once: only two of them change with time.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Length of the body that they are for.
    pub length: u64,
    /// Where the client sees us for whom they are; `None` if they are the same for all.
    pub front: Option<Front>,
    /// The fields, Age and Cache-Status among them.
    pub headers: HeaderMap,
}

impl Ready {
    /// Whether they are for a client that sees us at `front`.
    #[must_use]
    pub fn is_for(&self, front: Front) -> bool {
        self.front.is_none_or(|mine| mine == front)
    }
}

impl<B> Object<B> {
    fn usual(&self) -> &Usual {
        self.usual.get_or_init(Box::default)
    }

    /// The fields of the usual answer, of `make` the first time. `None` if there are none: each
    /// answer is made anew.
    pub(in crate::engine) fn ready(&self, make: impl FnOnce() -> Option<Ready>) -> Option<&Ready> {
        let ready = &self.usual().ready;
        ready.get_or_init(|| make().map(Box::new)).as_deref()
    }

    /// The same as bytes.
    pub(in crate::engine) fn prepared(
        &self,
        make: impl FnOnce() -> Option<Prepared>,
    ) -> Option<&Prepared> {
        self.usual().prepared.get_or_init(make).as_ref()
    }

    /// The head that was prepared for a body of `length` and clients that see us at `front`, if there is
    /// one by now.
    #[must_use]
    pub fn known(&self, length: u64, front: Front) -> Option<&Prepared> {
        let prepared = self.usual.get()?.prepared.get()?.as_ref()?;
        (prepared.length == length && prepared.is_for(front)).then_some(prepared)
    }

    /// Bytes that its usual answer takes through this door, about, as measured.
    #[must_use]
    pub fn answer_bytes(&self, door: Door) -> u64 {
        let (each, more) = match door {
            Door::Careful => (128, 1_344),
            Door::Plain => (16, 240),
        };
        (self.fields.len() * each + self.fields.weight() + more) as u64
    }
}
