//! Questions to the cache, and what they get.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};

use super::FillId;
use crate::engine::http::fresh::Heat;
use crate::engine::http::key::PrimaryKey;
use crate::engine::http::store::NoStoreReason;
use crate::engine::http::verdict::{RevalidateReason, StaleReason};
use crate::engine::store::object::Object;

/// Why a request is forwarded, in the words of RFC 9211 §2.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Miss {
    /// Nothing is kept of this URL.
    Uri,
    /// Variants are kept, but not the one asked for.
    Vary,
    /// What is kept has to be validated.
    Stale(RevalidateReason),
    /// The method is not one whose answers are shared.
    Method,
    /// Answers for this key proved not to be shareable.
    Unshareable(NoStoreReason),
}

/// A question to the cache.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Which resource.
    pub key: &'a PrimaryKey,
    /// GET or HEAD.
    pub method: &'a Method,
    /// The client's fields.
    pub headers: &'a HeaderMap,
}

/// What a new fill is to do.
#[derive(Debug)]
pub struct Plan<B> {
    /// Its name.
    pub id: FillId,
    /// Whether others may join it and its answer may be kept.
    pub shared: bool,
    /// A copy to validate, or to fall back on.
    pub stale: Option<Arc<Object<B>>>,
    /// Why it is needed.
    pub miss: Miss,
}

/// What a request gets.
#[derive(Debug)]
pub enum Lookup<B, F> {
    /// This copy answers it.
    Hit {
        /// The copy.
        object: Arc<Object<B>>,
        /// How hot its site is.
        heat: Heat,
        /// Why, if it is stale.
        stale: Option<StaleReason>,
        /// A fill that now has to be started to validate it in the background.
        background: Option<(F, Plan<B>)>,
    },
    /// This fill, already under way, will answer it.
    Join(F, Miss),
    /// This new fill will; the caller starts it.
    Start(F, Plan<B>),
    /// It is on disk: to be read, and then [looked up again](super::Flow::lookup_again).
    Shelved,
    /// The client wants a kept copy and there is none.
    OnlyIfCached,
    /// As many fills are under way as are carried.
    Busy,
}

/// What a peer's request gets: it never causes a fetch.
#[derive(Debug)]
pub enum PeerLookup<B, F> {
    /// This copy answers it.
    Hit(Arc<Object<B>>),
    /// This fill, under way, will.
    Join(F),
    /// It is on disk: to be read, and then looked up again.
    Shelved,
    /// Nothing here.
    Nothing,
}

/// What a pointer that is due should say.
#[derive(Debug)]
pub enum Renewal<B> {
    /// That this copy is here, for so long.
    Copy(Arc<Object<B>>, Duration),
    /// That a copy is on disk, for so long: to be read for what to say of it.
    Shelved(Duration),
    /// That these slices of an extent are here, for so long.
    Parts(u16, Duration),
    /// That it is being fetched.
    Fetching,
    /// Nothing: there is no fresh copy any more.
    Withdraw,
}

impl<B, F> Lookup<B, F> {
    pub(super) const fn hit(object: Arc<Object<B>>, heat: Heat) -> Self {
        Self::Hit {
            object,
            heat,
            stale: None,
            background: None,
        }
    }
}
