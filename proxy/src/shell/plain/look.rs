//! One plain request after the other: what it gets, and the answer's bytes.

use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use http::{HeaderMap, Method, StatusCode, Uri, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::file::FileBody;
use super::sending::{Body, Tail};
use super::{HEAD_ROOM, PlainDoor, SMALL_MAX, Stop};
use crate::engine::access::{self, Ending};
use crate::engine::hit::HandReason;
use crate::engine::hit::prepared::Prepared;
use crate::engine::hit::request::Plain;
use crate::engine::http::rewrite::Front;
use crate::engine::steps::deliver::Delivery;
use crate::shell::access::Due;
use crate::shell::context::Context;
use crate::shell::fill::Response as Object;
use crate::shell::line::FromFile;
use crate::shell::metrics::Outcome;
use crate::shell::ready::{self, Asker, Found, URL_ROOM};
use crate::shell::spill::Spill;

/// What has to be told of the answers that go out together.
#[derive(Debug)]
pub(super) struct Notes {
    began: Moment,
    hits: u32,
    last: bool,
    /// Lines of the access log, with the bytes of their bodies.
    due: Vec<(Due, u64)>,
}

impl Notes {
    pub(super) const fn new(began: Moment) -> Self {
        Self {
            began,
            hits: 0,
            last: false,
            due: Vec::new(),
        }
    }

    /// When the requests were read.
    pub(super) const fn began(&self) -> Moment {
        self.began
    }

    /// Whether the connection ends after them.
    pub(super) const fn last(&self) -> bool {
        self.last
    }

    /// Their heads are made.
    pub(super) fn made(&mut self, ctx: &Context) {
        if self.hits == 0 {
            return;
        }
        let after = ctx.now().since(self.began);
        for _ in 0..self.hits {
            ctx.metrics.request(Outcome::Hit);
            ctx.metrics.first_byte(after);
        }
        for (due, _) in &mut self.due {
            due.asked.first_byte = after;
        }
    }

    /// They went out, or the connection broke before all of them had: then nobody knows which had.
    pub(super) fn over(self, ctx: &Context, whole: bool) {
        for (due, body) in self.due {
            let ending = if whole {
                Ending::Complete
            } else {
                Ending::Left
            };
            due.ended(&ctx.clock, body, ending);
        }
    }

    /// Of the last of them as many bytes of the body went out as these, and the others went whole.
    pub(super) fn sent(&mut self, bytes: u64) {
        if let Some((_, sent)) = self.due.last_mut() {
            *sent = bytes;
        }
    }
}

/// A body that can be sent from here.
enum Here<'o> {
    Memory(&'o [u8]),
    File(Arc<Spill>, u64),
}

impl Here<'_> {
    const fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, len) => *len,
        }
    }
}

/// The prepared answer with `object` and its body, if they are such as can be sent from here: from a
/// file only with `files`.
fn usable<'o>(
    ctx: &Context,
    object: &'o Object,
    front: Front,
    files: bool,
) -> Option<(&'o Prepared, Here<'o>)> {
    let here = match object.body.one() {
        Some(bytes) => Here::Memory(bytes),
        None if files => {
            let (spill, len) = object.body.file()?;
            // What is wrong with it is dealt with elsewhere.
            if spill.is_spoilt() {
                return None;
            }
            Here::File(spill, len)
        }
        None => return None,
    };
    let prepared = match object.known(here.len(), front) {
        Some(prepared) => prepared,
        None => {
            let silent = HeaderMap::new();
            let delivery = Delivery {
                length: Some(here.len()),
                ..ready::delivery(ctx, &silent, front)
            };
            delivery.prepared(object)?
        }
    };
    (prepared.len_most() <= HEAD_ROOM).then_some((prepared, here))
}

impl<S: AsyncRead + AsyncWrite + FromFile + Unpin + Send> PlainDoor<S> {
    /// Makes answers to the requests in `rest`, as many as there is room for in `out`. Afterwards `rest`
    /// is what was not answered.
    pub(super) fn gather(
        &mut self,
        rest: &mut &[u8],
        out: &mut ReadBuf<'_>,
        notes: &mut Notes,
    ) -> Stop {
        let mut url = String::with_capacity(URL_ROOM);
        while !rest.is_empty() {
            if out.remaining() < HEAD_ROOM + SMALL_MAX {
                return Stop::Full;
            }
            let looked = Plain::read(rest).and_then(|plain| {
                let found = self.look(&plain, notes.began, &mut url)?;
                Ok((plain, found))
            });
            let (plain, found) = match looked {
                Ok(looked) => looked,
                Err(reason) => return Stop::Hand(reason),
            };
            notes.last = plain.close || self.draining;
            let tail = match self.put(&plain, found, out, notes) {
                Ok(tail) => tail,
                // Nothing was written for it: the careful door answers it.
                Err(reason) => return Stop::Hand(reason),
            };
            *rest = &rest[plain.len..];
            if let Some(tail) = tail {
                return Stop::Large(tail);
            }
            if notes.last {
                return Stop::Last;
            }
        }
        Stop::Empty
    }

    /// What answers `plain`.
    fn look(
        &mut self,
        plain: &Plain<'_>,
        now: Moment,
        url: &mut String,
    ) -> Result<Found, HandReason> {
        let (ctx, files) = (&*self.ctx, self.takes_files());
        let asker = Asker {
            ctx,
            entry: &self.entry,
            now,
            seen: &mut self.seen,
            url,
            asked: &mut self.asked,
        };
        let usable = |object: &Object, front| usable(ctx, object, front, files).is_some();
        let found = asker.find((plain.host, plain.target), || plain.headers(), usable)?;
        self.asked = None;
        Ok(found)
    }

    /// Writes the answer, for which there is room. What of it goes out by itself is left.
    ///
    /// # Errors
    /// It was found, and cannot be used any more; nothing was written.
    fn put(
        &self,
        plain: &Plain<'_>,
        found: Found,
        out: &mut ReadBuf<'_>,
        notes: &mut Notes,
    ) -> Result<Option<Tail>, HandReason> {
        let (ctx, now) = (&self.ctx, notes.began);
        let Found {
            object,
            heat,
            front,
        } = found;
        let (prepared, here) =
            usable(ctx, &object, front, self.takes_files()).ok_or(HandReason::Answer)?;
        let (age, ttl) = (object.age(now), object.standing(now, heat).ttl());
        prepared.write(age.as_secs(), ttl, notes.last, |piece| out.put_slice(piece));
        notes.hits += 1;
        let length = if plain.head_only { 0 } else { here.len() };
        if let Some(due) = self.due(plain, object.status, now) {
            notes.due.push((due, length));
        }
        let account = ctx.shares.account(&object.key);
        let body = match here {
            _ if length == 0 => None,
            Here::Memory(bytes) if bytes.len() <= SMALL_MAX => {
                out.put_slice(bytes);
                None
            }
            Here::Memory(bytes) => {
                let len = bytes.len() as u64;
                let stream = self.stream.as_ref();
                let better = stream.is_some_and(FromFile::spares_a_copy);
                let beside = || FileBody::beside(&object.body, len);
                let file = better.then(beside).flatten();
                Some(file.map_or_else(|| Body::Memory(Arc::clone(&object)), Body::File))
            }
            Here::File(spill, len) => Some(Body::File(FileBody::new(spill, len, now))),
        };
        if let Some(body) = body {
            return Ok(Some(Tail::new(body, account, ctx.metrics.in_flight())));
        }
        if let Some(account) = account {
            account.sent(now, length, Some(length));
        }
        Ok(None)
    }

    fn takes_files(&self) -> bool {
        self.stream.as_ref().is_some_and(FromFile::takes_files)
    }

    /// The line of the access log, if there is one.
    fn due(&self, plain: &Plain<'_>, status: StatusCode, began: Moment) -> Option<Due> {
        let log = self.ctx.access.clone()?;
        let method = if plain.head_only {
            Method::HEAD
        } else {
            Method::GET
        };
        let uri = Uri::try_from(plain.target).ok();
        let asked = access::Asked {
            client: self.entry.client,
            scheme: self.entry.scheme,
            request: uri.map(|uri| (method, uri, Version::HTTP_11)),
            fields: access::Fields::of(plain.headers()),
            status,
            first_byte: Duration::ZERO,
            outcome: Outcome::Hit.as_str(),
            reason: "",
        };
        Some(Due { log, asked, began })
    }
}
