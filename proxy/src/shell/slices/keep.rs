//! What is kept of a slice, and what the index is told of it.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderMap;

use super::Large;
use crate::engine::flow::{EXTENT_LIFE, FillId};
use crate::engine::http::key::PrimaryKey;
use crate::engine::pointer::{Digest, Progress};
use crate::engine::slices::{SLICE, bytes_of, extent, manifest};
use crate::engine::store::object::{Object, Received};
use crate::shell::body::{SharedBody, SpillRule, Writer};
use crate::shell::context::Context;
use crate::shell::fill::Response;
use crate::shell::index;
use crate::shell::upstream::{Head, Upstream};

/// When the message that brought a slice came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    at: common::clock::Moment,
    wall: common::clock::WallTime,
    delay: std::time::Duration,
}

impl Arrival {
    pub(super) const fn of(upstream: &Upstream) -> Self {
        Self {
            at: upstream.at,
            wall: upstream.wall,
            delay: upstream.delay,
        }
    }
}

impl Large {
    /// Slice `n`, without its bytes yet, as it came in a message with this `head`.
    pub(super) fn empty_slice(
        &self,
        n: u64,
        head: &HeaderMap,
        arrival: Arrival,
    ) -> (Arc<Response>, Writer) {
        let of = bytes_of(n, self.total());
        let spill = SpillRule {
            over: self.ctx.spill.over.max(SLICE),
            ..self.ctx.spill.clone()
        };
        let (body, writer) = SharedBody::new(Some(of.end - of.start), Some(spill), &self.ctx.room);
        let mut headers = manifest::slice_headers(&self.known.headers(), head);
        let received = Received {
            status: StatusCode::PARTIAL_CONTENT,
            headers: &headers.clone(),
            at: arrival.at,
            wall: arrival.wall,
            delay: arrival.delay,
        };
        headers.remove(http::header::AGE);
        let policy = self.ctx.flow().policy().clone();
        let key = self.manifest.slice(n);
        let none = HeaderMap::new();
        let slice = Object::new(key, &received, &headers, &none, &policy, body);
        (Arc::new(slice), writer)
    }

    /// A slice is whole with `last`: from here on it is found, and the fill `id` is not.
    pub(super) fn keep(
        &self,
        slice: &Arc<Response>,
        id: FillId,
        writer: Writer,
        (last, digest): (Bytes, Digest),
    ) {
        let ctx = &self.ctx;
        let (gone, shelving) = {
            let mut flow = ctx.flow();
            writer.finish(last, digest);
            slice.body.compact();
            flow.ended(&slice.key, id);
            let Some(weight) = slice.body.weight() else {
                return;
            };
            let now = ctx.now();
            let (_, gone) = flow.keep(now, Arc::clone(slice), weight);
            (gone, (flow.shelve(now, slice, weight), weight))
        };
        let (shelving, weight) = shelving;
        ctx.shelve(slice, shelving, weight);
        tell(ctx, &slice.key);
        for key in gone {
            index::withdraw(ctx, &key);
        }
    }
}

/// Tells the index which slices of the extent of `slice` are here, if that is news to it.
pub(crate) fn tell(ctx: &Arc<Context>, slice: &PrimaryKey) {
    if ctx.index.is_none() {
        return;
    }
    let held = ctx.flow().held_of(slice);
    let Some((extent, held)) = held else { return };
    if ctx.extents.tell(ctx, &extent, held, extent::is_news) {
        index::announce(ctx, &extent, Progress::Parts { held }, EXTENT_LIFE);
    }
}

/// A part's head as that of the slice that it belongs to: what was shown of it before is compared with.
pub(super) const fn as_slice(mut head: Head) -> Head {
    head.status = StatusCode::PARTIAL_CONTENT;
    head
}
