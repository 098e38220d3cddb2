//! What comes on a fill's line, and what it makes of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Method, StatusCode};
use proxy::engine::http::control::Directives;
use proxy::engine::http::store::{self, Exchange, NoStoreReason};
use proxy::engine::http::{conditional, fresh};
use proxy::engine::lenient::Unclear;
use proxy::engine::pointer::Digest;
use proxy::engine::pursuit::News;
use proxy::engine::reason::FailReason;
use proxy::engine::splice::{Described, Promise, Splice};
use proxy::engine::store::object::Received;
use proxy::engine::words::Word;

use super::{Headed, NEXT_PIECE, Wait};
use crate::world::{Body, End, FillNo, From, LineNo, Object, Parcel, World};

impl World {
    pub(crate) fn arrives(&mut self, number: LineNo, parcel: Parcel) {
        let line = &self.lines[number];
        let fill = line.to;
        let ending = matches!(parcel, Parcel::Break(_) | Parcel::No(..));
        if self.fills[fill].over || self.fills[fill].line != Some(number) || (line.cut && !ending) {
            return;
        }
        self.be_patient(fill, NEXT_PIECE);
        match parcel {
            Parcel::Head {
                status,
                headers,
                offset,
                length,
                digest,
            } => {
                let promise = match (&self.lines[number].from, digest) {
                    (From::Origin, _) => Promise::None,
                    (From::Peer(..), Some(digest)) => Promise::Digest(digest),
                    (From::Peer(..), None) => Promise::Trailer,
                };
                self.head(fill, (status, &headers), (offset, length), promise);
            }
            Parcel::Piece(bytes) => self.piece(fill, bytes),
            Parcel::End(digest) => self.ended(fill, digest),
            Parcel::Break(reason) => self.broke(fill, reason, None),
            Parcel::No(reason, instead) => self.broke(fill, reason, instead),
        }
    }

    pub(crate) fn impatient(&mut self, fill: FillNo, step: u32, heard: u64) {
        let state = &self.fills[fill];
        if state.over || state.wait != Wait::Line || (state.step, state.heard) != (step, heard) {
            return;
        }
        let reason = match state.intake {
            Some(_) => FailReason::BodyTimeout,
            None => FailReason::HeaderTimeout,
        };
        self.broke(fill, reason, None);
    }

    /// An exchange came to nothing, or broke off in the middle.
    pub(super) fn broke(&mut self, fill: FillNo, reason: FailReason, instead: Option<SocketAddr>) {
        if self.fills[fill].intake.is_some() {
            return self.conclude(fill, reason);
        }
        let from = self.hang_up(fill);
        let (node, now) = (self.fills[fill].node, self.now);
        if let Some(From::Peer(peer, ..)) = from {
            let (own, addr) = (self.nodes[node].addr, self.nodes[peer].addr);
            self.nodes[node].flow.peer_failed(now, addr, reason);
            let instead = instead.filter(|other| *other != own);
            return self.news(fill, News::PeerFailed { instead });
        }
        self.origin_failed(fill, reason);
    }

    /// The fill has done with its line.
    pub(super) fn hang_up(&mut self, fill: FillNo) -> Option<From> {
        self.fills[fill].intake = None;
        let line = self.fills[fill].line.take()?;
        self.lines[line].cut = true;
        self.leave_peer(line);
        Some(self.lines[line].from.clone())
    }

    pub(super) fn head(
        &mut self,
        fill: FillNo,
        (status, headers): (StatusCode, &HeaderMap),
        (offset, length): (u64, Option<u64>),
        promise: Promise,
    ) {
        let from_origin = promise == Promise::None;
        let first = self.fills[fill].splice.is_none();
        if !from_origin {
            self.fills[fill].fed_by = self.source_of(fill);
        }
        if from_origin {
            let name = self.keys[self.fills[fill].key].clone();
            self.nodes[self.fills[fill].node]
                .flow
                .origin_answered(&name);
            if first && status == StatusCode::NOT_MODIFIED {
                return self.not_modified(fill, headers);
            }
            if first && status == StatusCode::PARTIAL_CONTENT {
                self.hang_up(fill);
                return self.origin_failed(fill, FailReason::Unclear(Unclear::Part));
            }
            if status.is_server_error() && self.may_stand_in(fill) {
                self.hang_up(fill);
                let reason = FailReason::ServerError(status);
                return self.news(fill, News::OriginFailed(reason));
            }
        }
        let answer = Described { status, headers };
        let joined = match (&self.fills[fill].splice, &self.fills[fill].head) {
            (Some(splice), Some(head)) => {
                let (status, headers) = (head.object.status, &head.object.headers());
                let shown = Described { status, headers };
                if from_origin {
                    splice.join_origin(shown, answer, length)
                } else {
                    splice.join(shown, answer, offset, length, promise)
                }
            }
            _ => {
                self.fills[fill].blamed = self.source_of(fill).filter(|_| !from_origin);
                self.show_head(fill, answer, length);
                Ok(Splice::first(promise))
            }
        };
        match joined {
            Ok(intake) => self.fills[fill].intake = Some(intake),
            Err(reason) => self.conclude(fill, reason),
        }
    }

    pub(super) fn source_of(&self, fill: FillNo) -> Option<SocketAddr> {
        match self.lines[self.fills[fill].line?].from {
            From::Peer(peer, ..) => Some(self.nodes[peer].addr),
            From::Origin => None,
        }
    }

    pub(super) fn show_head(
        &mut self,
        number: FillNo,
        answer: Described<'_>,
        announced: Option<u64>,
    ) {
        let (node, key) = (self.fills[number].node, self.fills[number].key);
        let (status, directives) = (answer.status, Directives::of(answer.headers));
        let request = self.fills[number].request.clone();
        let flow = &self.nodes[node].flow;
        let (heat, policy) = (flow.heat(self.now, &self.keys[key]), flow.policy().clone());
        let wall = self.wall();
        let lifetime = fresh::lifetime(answer.headers, status, &directives, wall, &policy, heat);
        let exchange = Exchange {
            method: &Method::GET,
            request: &request,
            status,
            response: answer.headers,
        };
        let shared = store::may_store(&exchange, &directives, lifetime);
        let headers = store::stored_headers(answer.headers, &directives, wall);
        let body = self.bodies.len();
        self.bodies.push(Body {
            bytes: Vec::new(),
            announced,
            end: End::Growing,
            followers: Vec::new(),
        });
        let received = Received {
            status,
            headers: answer.headers,
            at: self.now,
            wall,
            delay: Duration::ZERO,
        };
        let name = self.keys[key].clone();
        let object = Object::new(name, &received, &headers, &request, &policy, body);
        let object = Arc::new(object);
        if self.fills[number].errand.shared {
            self.share_or_not(number, &object, shared);
        }
        let keep = self.fills[number].errand.shared && shared.is_ok();
        self.fills[number].splice = Some(Splice::new(announced, keep));
        self.show(
            number,
            Headed {
                object,
                shared,
                stale: false,
            },
        );
    }

    pub(super) fn show(&mut self, fill: FillNo, head: Headed) {
        self.fills[fill].head = Some(head);
        self.notify(fill);
    }

    pub(super) fn share_or_not(
        &mut self,
        fill: FillNo,
        object: &Arc<Object>,
        shared: Result<(), NoStoreReason>,
    ) {
        let (node, key, id) = (
            self.fills[fill].node,
            self.fills[fill].key,
            self.fills[fill].errand.id,
        );
        let (now, name) = (self.now, self.keys[key].clone());
        let flow = &mut self.nodes[node].flow;
        let Err(reason) = shared else {
            return flow.headed(&name, id, object);
        };
        if !object.status.is_client_error() && !object.status.is_server_error() {
            flow.not_shareable(now, &name, reason);
        }
        flow.ended(&name, id);
        if flow.ledger().gone(&name) {
            self.tell(node, key, Word::Gone);
        }
    }

    pub(super) fn not_modified(&mut self, fill: FillNo, headers: &HeaderMap) {
        self.hang_up(fill);
        let state = &self.fills[fill];
        let Some(stale) = state.errand.stale.clone().filter(|_| state.conditional) else {
            return self.origin_failed(fill, FailReason::Unclear(Unclear::NotModified));
        };
        if conditional::confirms(headers, &stale.headers()).is_err() {
            self.fills[fill].conditional = false;
            return self.news(fill, News::Unconfirmed);
        }
        let mut merged = stale.headers();
        conditional::merge(&mut merged, headers, self.wall());
        let received = Received {
            status: StatusCode::NOT_MODIFIED,
            headers,
            at: self.now,
            wall: self.wall(),
            delay: Duration::ZERO,
        };
        let policy = self.nodes[state.node].flow.policy().clone();
        let object = stale.confirmed(&received, &merged, &state.request, &policy);
        self.keep(fill, &object);
        self.show(
            fill,
            Headed {
                object,
                shared: Ok(()),
                stale: false,
            },
        );
        self.over(fill);
    }

    pub(super) fn piece(&mut self, fill: FillNo, bytes: Bytes) {
        let state = &mut self.fills[fill];
        let (Some(splice), Some(intake)) = (&mut state.splice, &mut state.intake) else {
            return;
        };
        match splice.take(intake, bytes) {
            Ok(shown) if shown.is_empty() => {}
            Ok(shown) => {
                self.append(fill, &shown);
                self.end_if_unwanted(fill);
            }
            Err(reason) => self.conclude(fill, reason),
        }
    }

    pub(super) fn append(&mut self, fill: FillNo, bytes: &Bytes) {
        if let Some(head) = &self.fills[fill].head {
            let body = head.object.body;
            self.bodies[body].bytes.extend_from_slice(bytes);
            self.wake_followers(body);
        }
    }

    pub(super) fn ended(&mut self, fill: FillNo, trailer: Option<Digest>) {
        let state = &mut self.fills[fill];
        let (Some(splice), Some(intake)) = (&mut state.splice, state.intake.take()) else {
            return;
        };
        match splice.end(intake, trailer) {
            Ok(last) => {
                self.append(fill, &last);
                self.whole(fill);
            }
            Err(reason) => self.conclude(fill, reason),
        }
    }
}
