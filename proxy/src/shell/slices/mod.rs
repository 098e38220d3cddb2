//! Large objects in slices, carried out: who reads them, who fetches them, who cuts them out of a body that
//! passes. What an answer means and what is looked for next is the engine's
//! [`slices`](crate::engine::slices); the design is in docs/design/slices.md.
//!
//! | file | owns |
//! |---|---|
//! | [`obtain`] | one slice for one reader: from what is here, or from a fetch |
//! | [`fetch`] | the task that fetches one |
//! | [`stream`] | the task that cuts a body into them |
//! | [`keep`] | what is kept of one, and told |
//! | [`reader`] | an answer made of them |

mod fetch;
mod keep;
mod obtain;
mod reader;
pub(super) mod stream;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::expiring::ExpiringMap;
use http::{HeaderMap, Method, Version};
use tokio::sync::OnceCell;

pub(crate) use self::keep::tell as tell_extent;
pub(crate) use self::obtain::{Found, From};
pub(crate) use self::reader::Sliced;
use super::context::Context;
use super::fill::{Asker, Response};
use super::index::Levels;
use crate::engine::config::SlicesConfig;
use crate::engine::flow::EXTENT_LIFE;
use crate::engine::http::key::PrimaryKey;
use crate::engine::pointer::Pointer;
use crate::engine::slices::manifest::Manifest;

/// Extents about which is remembered what the index said, or was told; the one that ends first makes
/// room, and is asked about, or told of, once more.
const EXTENTS_MAX: usize = 4_096;

/// How long the index is believed about an extent: others fetch it too, and have more of it by the second.
const LOCATED_FOR: Duration = Duration::from_secs(5);

/// How long whoever gave a manifest, or a slice after it, is asked for more without a pointer that says so:
/// those who begin a large file together have put none yet. One question too many, when it read on no further,
/// costs a round trip.
const GIVER_FOR: Duration = Duration::from_secs(10);

/// What the index said about an extent; asked once for all who want to know.
type Located = Arc<OnceCell<(Vec<Pointer>, Levels)>>;

/// What is known of extents.
#[derive(Debug)]
pub(crate) struct Extents {
    located: Mutex<ExpiringMap<PrimaryKey, Located>>,
    /// What the index was told of those here.
    told: Mutex<ExpiringMap<PrimaryKey, u16>>,
    /// Who gave the manifest under this key.
    givers: Mutex<ExpiringMap<PrimaryKey, SocketAddr>>,
    pub(crate) config: SlicesConfig,
}

impl Extents {
    pub(crate) fn new(config: SlicesConfig) -> Self {
        Self {
            located: Mutex::new(ExpiringMap::new(EXTENTS_MAX)),
            told: Mutex::new(ExpiringMap::new(EXTENTS_MAX)),
            givers: Mutex::new(ExpiringMap::new(EXTENTS_MAX)),
            config,
        }
    }

    /// `peer` gave the manifest `key`, or a slice of it.
    pub(super) fn given(&self, ctx: &Context, key: &PrimaryKey, peer: SocketAddr) {
        let now = ctx.now();
        let mut givers = self.givers.lock().unwrap_or_else(PoisonError::into_inner);
        while givers.expire(now).is_some() {}
        givers.insert(key.clone(), peer, now + GIVER_FOR);
    }

    /// Who gave the manifest `key` a moment ago, if nothing is held against them.
    fn giver(&self, ctx: &Context, key: &PrimaryKey) -> Option<SocketAddr> {
        let now = ctx.now();
        let givers = self.givers.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = givers.at(key, now).copied()?;
        drop(givers);
        let blame = ctx.flow().blame().against(now, &peer);
        blame.is_none().then_some(peer)
    }

    /// The cell for what the index says about `extent`.
    fn located(&self, ctx: &Context, extent: &PrimaryKey) -> Located {
        let now = ctx.now();
        let mut located = self.located.lock().unwrap_or_else(PoisonError::into_inner);
        while located.expire(now).is_some() {}
        if let Some(cell) = located.at(extent, now) {
            return Arc::clone(cell);
        }
        let cell = Located::default();
        located.insert(extent.clone(), Arc::clone(&cell), now + LOCATED_FOR);
        cell
    }

    /// What the index was told of `extent`, replaced by `held` if `is_news` says so of it.
    fn tell(
        &self,
        ctx: &Context,
        extent: &PrimaryKey,
        held: u16,
        is_news: impl Fn(u16, u16) -> bool,
    ) -> bool {
        let now = ctx.now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        while told.expire(now).is_some() {}
        let before = told.at(extent, now).copied().unwrap_or_default();
        let news = is_news(before, held);
        if news {
            told.insert(extent.clone(), held, now + EXTENT_LIFE / 2);
        }
        news
    }
}

/// One large object as one client asks for it: what is needed to get any slice of it.
#[derive(Clone)]
pub(crate) struct Large {
    ctx: Arc<Context>,
    /// Its manifest as it is kept.
    known: Arc<Response>,
    manifest: Arc<Manifest>,
    /// What the origin chose the variant by.
    headers: Arc<HeaderMap>,
    version: Version,
}

impl std::fmt::Debug for Large {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Large")
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}

impl Large {
    /// What `known` is the manifest of, for a client that asked with these fields. `None` if it is none.
    pub(crate) fn of(
        ctx: &Arc<Context>,
        known: &Arc<Response>,
        headers: &HeaderMap,
        version: Version,
    ) -> Option<Self> {
        Some(Self {
            ctx: Arc::clone(ctx),
            manifest: Arc::new(Manifest::of(&**known)?),
            known: Arc::clone(known),
            headers: Arc::new(headers.clone()),
            version,
        })
    }

    /// Its manifest as it is kept.
    pub(crate) const fn known(&self) -> &Arc<Response> {
        &self.known
    }

    /// Bytes of all of it.
    pub(crate) fn total(&self) -> u64 {
        self.manifest.total
    }

    /// Its slice `n` as somebody to be asked is told of it.
    fn asker(&self, n: u64) -> Asker {
        Asker {
            key: self.manifest.slice(n),
            method: Method::GET,
            headers: HeaderMap::clone(&self.headers),
            version: self.version,
            hints: None,
            track: None,
        }
    }
}
