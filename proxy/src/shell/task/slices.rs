//! Where a fetch finds that it is of a large object: what the origin is asked for so that no more is sent than
//! is needed, and how its answer becomes a manifest. From there on the object is had in
//! [`slices`](crate::shell::slices).

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use http::header::HeaderValue;
use http::{Method, StatusCode};

use super::answers::received;
use super::{Step, Task};
use crate::engine::http::control::Directives;
use crate::engine::http::range::ContentRange;
use crate::engine::http::store::{self, NoStoreReason};
use crate::engine::peers;
use crate::engine::pursuit::News;
use crate::engine::reason::FailReason;
use crate::engine::slices::{first, manifest};
use crate::engine::store::object::{Object, Received};
use crate::engine::trail;
use crate::shell::body::SharedBody;
use crate::shell::fill::{Headed, Response, Source, Stage};
use crate::shell::peer::Answer;
use crate::shell::share::Slot;
use crate::shell::slices::Large;
use crate::shell::slices::stream::Stream;
use crate::shell::transfer::content_length;
use crate::shell::upstream::{Head, Upstream};

/// What the origin is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Asking {
    /// That is decided when it is asked.
    Undecided,
    /// This range, since the client wants no more.
    Part(HeaderValue),
    /// All of it.
    Whole,
}

/// What an answer is.
pub(super) enum Size {
    /// One to be taken as any other.
    Ordinary,
    /// That of a large object; these bytes of it follow.
    Large(Large, Range<u64>),
    /// A part that nothing can be made of.
    NoUse,
}

impl Task {
    /// Decides whether the origin is asked for a part: of what is not known to be small.
    pub(super) fn decide_what_to_ask(&mut self) {
        if self.asking != Asking::Undecided {
            return;
        }
        let known_small = self
            .plan
            .stale
            .as_ref()
            .is_some_and(|stale| stale.sliced().is_none());
        let part = first::ask(&self.asker.headers);
        let part = part.filter(|_| self.may_be_sliced() && !known_small);
        self.asking = part.map_or(Asking::Whole, Asking::Part);
    }

    fn may_be_sliced(&self) -> bool {
        let (ctx, key) = (&self.ctx, &self.asker.key);
        self.plan.shared
            && self.asker.method == Method::GET
            && self.transfer.is_none()
            && self.beginning.is_none()
            && ctx.extents.config.from > 0
            && ctx.flow().may_be_sliced(ctx.now(), key)
    }

    /// What the origin's answer is, as far as large objects go.
    pub(super) fn size_up(&self, upstream: &Upstream) -> Size {
        let part = matches!(self.asking, Asking::Part(_));
        let large = self.as_large(upstream).map(|(total, bytes)| {
            let large = self.manifest_of(upstream, total);
            large.map(|large| (large, bytes))
        });
        match large {
            Some(Some((large, bytes))) => Size::Large(large, bytes),
            // Of what may not be shared its client gets all or nothing.
            Some(None) if part => Size::NoUse,
            None if part && is_of_no_use(upstream) => Size::NoUse,
            Some(None) | None => Size::Ordinary,
        }
    }

    /// Cuts the answer's body, which is `bytes` of `large`, into slices.
    pub(super) fn cut(
        &self,
        upstream: Box<Upstream>,
        (large, bytes): (Large, Range<u64>),
        slot: Slot,
    ) -> Step {
        let stream = Stream::open(large.clone(), upstream, &bytes, slot);
        self.publish(large.known(), Source::Origin);
        tokio::spawn(stream.run());
        Step::Over
    }

    /// The part that was asked for does not do: the next request is for all of it.
    pub(super) fn ask_for_all(&mut self, upstream: Box<Upstream>) -> Step {
        self.asking = Asking::Whole;
        tokio::spawn(upstream.body.discard());
        Step::News(News::Unconfirmed)
    }

    /// The length of the object and the bytes of it that follow, if it is to be kept in slices.
    fn as_large(&self, upstream: &Upstream) -> Option<(u64, Range<u64>)> {
        let head = &upstream.head;
        if !self.may_be_sliced() || head.doubtful {
            return None;
        }
        let length = content_length(&head.headers);
        let from = self.ctx.extents.config.from;
        let judged = manifest::is_sliced(head.status, &head.headers, length, from);
        let total = match judged {
            Ok(total) => total,
            Err(why) => {
                let url = &self.asker.key;
                tracing::trace!(%url, why = why.as_str(), "not in slices");
                return None;
            }
        };
        let part = ContentRange::of(&head.headers).filter(|_| head.status != StatusCode::OK);
        match part {
            Some(ContentRange::Part { range, .. }) => Some((total, range)),
            Some(ContentRange::Unsatisfied { .. }) => None,
            None => Some((total, 0..total)),
        }
    }

    /// Makes the manifest of an answer. `None` if it may not be shared.
    fn manifest_of(&self, upstream: &Upstream, total: u64) -> Option<Large> {
        let (ctx, key) = (&self.ctx, &self.asker.key);
        // What part of it came says nothing about the whole.
        let mut head = Head {
            status: StatusCode::OK,
            headers: upstream.head.headers.clone(),
            doubtful: upstream.head.doubtful,
        };
        manifest::mark(&mut head.headers, total);
        let directives = Directives::of(&head.headers);
        let shared: Result<(), NoStoreReason> = self.may_share(&head, upstream.wall, &directives);
        if shared.is_err() {
            return None;
        }
        let mut headers = store::stored_headers(&head.headers, &directives, upstream.wall);
        crate::shell::peer::strip(&mut headers);
        manifest::mark(&mut headers, total);
        let received = Received {
            status: head.status,
            headers: &head.headers,
            ..received(upstream)
        };
        let digest = *blake3::hash(b"").as_bytes();
        let body = SharedBody::whole(Box::default(), digest, &ctx.room);
        let policy = ctx.flow().policy().clone();
        let request = &self.asker.headers;
        let known = Object::new(key.clone(), &received, &headers, request, &policy, body);
        Large::of(ctx, &Arc::new(known), request, self.asker.version)
    }

    /// Keeps a manifest and lets whoever waits have it.
    fn publish(&self, known: &Arc<Response>, source: Source) {
        self.share_or_not(known, Ok(()));
        self.keep(known, || {});
        self.fill.reach(Stage::Headed(Headed {
            object: Arc::clone(known),
            source,
            shared: Ok(()),
            drawing: self.drawing,
            timing: self.timing(),
        }));
    }

    /// A peer has the object in slices, and gave its head.
    pub(super) fn take_manifest(&mut self, found: Answer, peer: SocketAddr) -> Step {
        let Answer {
            upstream,
            members,
            sliced,
            ..
        } = found;
        let level = self.levels.iter().find(|(addr, _)| *addr == peer);
        let word = peers::word_of(level.map(|(_, level)| *level));
        let source = Source::Peer(word, members);
        let total = sliced.filter(|_| self.transfer.is_none());
        let large = total.and_then(|total| self.manifest_of(&upstream, total));
        tokio::spawn(upstream.body.discard());
        match large {
            Some(large) => {
                let ctx = &self.ctx;
                ctx.extents.given(ctx, &self.asker.key, peer);
                self.publish(large.known(), source);
                Step::Over
            }
            None => {
                self.trail.push(trail::Step::Peer(FailReason::PeerRefused));
                Step::News(News::PeerFailed { instead: None })
            }
        }
    }
}

/// Whether an answer to a request for a part is of no use: neither a beginning that can be completed, nor
/// anything that is an answer whatever was asked for.
fn is_of_no_use(upstream: &Upstream) -> bool {
    match upstream.head.status {
        StatusCode::OK | StatusCode::NOT_MODIFIED => false,
        StatusCode::PARTIAL_CONTENT => !matches!(
            ContentRange::of(&upstream.head.headers),
            Some(ContentRange::Part { range, complete: Some(_) }) if range.start == 0
        ),
        // It may be what is said to this range, and to nobody else.
        _ => true,
    }
}
