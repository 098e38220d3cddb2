//! A page of a site: from what is kept, or from a fetch that is waited for.

use std::pin::pin;
use std::sync::Arc;

use common::clock::Moment;
use http::header::HeaderValue;
use http::{Method, Response};
use tokio::sync::mpsc;

use super::sliced::Said;
use super::told::{Told, forward_reason, forward_status};
use super::{Client, Serving};
use crate::engine::flow::{Ask, Lookup, Miss, Plan};
use crate::engine::http::cache_status::{ForwardReason, Handling};
use crate::engine::http::fresh::Heat;
use crate::engine::http::hop;
use crate::engine::http::key::PrimaryKey;
use crate::engine::http::rewrite::Front;
use crate::engine::http::server_timing::SERVER_TIMING;
use crate::engine::reason::{FailReason, RefuseReason};
use crate::shell::body::SharedBody;
use crate::shell::fill::{Asker, Failure, Fill, Headed, Response as Object, Seat, Source};
use crate::shell::guard::Link;
use crate::shell::metrics::Outcome;
use crate::shell::outgoing::Outgoing;
use crate::shell::slices::Large;
use crate::shell::store;
use crate::shell::task::Task;
use crate::shell::upstream::Hints;

/// How often a waiter may find that what it waited for is not for it, before it fetches alone.
const ROUNDS_MAX: usize = 4;

/// Interim responses that wait for their client. More are not forwarded: nobody sends that many at
/// once that would be missed.
const HINTS_MOST: usize = 4;

/// What the engine says of a request.
type Found = Lookup<Arc<SharedBody>, Arc<Fill>>;

/// What one look at the cache gave.
enum Looked {
    /// An answer.
    Answered(Response<Outgoing>),
    /// A fetch to wait for.
    Waiting(Waiting),
    /// It is kept in slices, of which one is to be had first.
    Sliced(Large, Said),
    /// It is on disk.
    Shelved,
}

/// Which look at the cache it is.
#[derive(Clone, Copy)]
enum Look<'a> {
    /// The first: what is on disk is to be read first.
    First,
    /// The one after this was read from disk.
    Read(&'a [Arc<Object>]),
    /// A later one.
    Again,
    /// The last: nobody else is waited for.
    Alone,
}

/// What a fetch gave.
enum Fetched {
    /// An answer.
    Whole(Response<Outgoing>),
    /// The head of one whose body is in slices; and what was waited for, to be said in it.
    Sliced(Large, Said, Option<HeaderValue>),
}

/// A fetch that a client waits for.
struct Waiting {
    fill: Arc<Fill>,
    miss: Miss,
    /// Whether another client began it.
    collapsed: bool,
    seat: Option<Seat>,
    /// Interim responses, if this client gets any.
    hints: Option<mpsc::Receiver<Vec<u8>>>,
}

impl Waiting {
    /// The fetch's answer. What comes before it is passed on.
    async fn answer(&mut self, link: &Link) -> Result<Headed, Failure> {
        let Some(hints) = &mut self.hints else {
            return self.fill.answer().await;
        };
        let mut answer = pin!(self.fill.answer());
        loop {
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                Some(hint) = hints.recv() => link.hint(&hint),
            }
        }
    }
}

impl Client {
    pub(super) fn page(self, key: PrimaryKey, front: Front, link: &Arc<Link>) -> Serving {
        if hop::check_loop(&self.headers, &self.ctx.identity).is_err() {
            let response = self.refuse(RefuseReason::Loop, Some(&key));
            return Serving::Now(Some(self.done(response)));
        }
        match self.look_up(&key, front, self.began, Look::First) {
            Looked::Answered(response) => Serving::Now(Some(self.done(response))),
            looked => {
                let link = Arc::clone(link);
                Serving::Later(Box::pin(async move {
                    let response = self.await_answer(key, front, looked, &link).await;
                    self.done(response)
                }))
            }
        }
    }

    /// The answer, once what was found under way, on disk or in slices has come so far.
    async fn await_answer(
        &self,
        key: PrimaryKey,
        front: Front,
        first: Looked,
        link: &Link,
    ) -> Response<Outgoing> {
        let mut looked = first;
        let mut last = FailReason::Abandoned;
        for round in 1..=ROUNDS_MAX + 1 {
            if matches!(looked, Looked::Shelved) {
                let read = store::reader::load(&self.ctx, &key).await;
                looked = self.look_up(&key, front, self.ctx.now(), Look::Read(&read));
            }
            let in_slices = match looked {
                Looked::Answered(response) => return response,
                // A later look does not say that.
                Looked::Shelved => return self.refuse(RefuseReason::Busy, Some(&key)),
                Looked::Sliced(large, said) => Some((large, said, None)),
                Looked::Waiting(mut waiting) => match waiting.answer(link).await {
                    Ok(headed) if !waiting.collapsed || self.may_have(&headed) => {
                        match self.fetched(headed, waiting, front) {
                            Fetched::Whole(response) => return response,
                            Fetched::Sliced(large, said, timing) => Some((large, said, timing)),
                        }
                    }
                    // Not for us: look again, it may have been stored or proved unshareable.
                    Ok(_) => None,
                    Err(failure) if failure.reason == FailReason::Abandoned => None,
                    Err(failure) => return self.fail(&failure, &key),
                },
            };
            if let Some((large, said, timing)) = in_slices {
                match self.sliced(&large, front, said).await {
                    Ok(mut response) => {
                        let fields = response.headers_mut();
                        timing.map(|timing| fields.append(SERVER_TIMING, timing));
                        return response;
                    }
                    // Another version by now: the next look finds out which.
                    Err(reason @ (FailReason::Changed | FailReason::RangeIgnored)) => last = reason,
                    Err(reason) => return self.fail(&Failure::of(reason), &key),
                }
            }
            if round > ROUNDS_MAX {
                break;
            }
            let look = if round == ROUNDS_MAX {
                Look::Alone
            } else {
                Look::Again
            };
            looked = self.look_up(&key, front, self.ctx.now(), look);
        }
        self.fail(&Failure::of(last), &key)
    }

    /// One look at what is kept and what is under way. Starts what has to be started.
    fn look_up(&self, key: &PrimaryKey, front: Front, now: Moment, look: Look<'_>) -> Looked {
        let ask = Ask {
            key,
            method: &self.method,
            headers: &self.headers,
        };
        let (found, seat) = self.find(now, ask, look);
        match found {
            Lookup::Shelved => Looked::Shelved,
            Lookup::Hit {
                object,
                heat,
                stale,
                background,
            } => {
                if let Some((fill, plan)) = background {
                    // Nobody waits for it, yet somebody wants it to finish.
                    let seat = fill.seat();
                    // Others may join it, whatever this client asked with.
                    self.start(fill, plan, (key, Method::GET, None), Some(seat));
                }
                let detail = stale.map(|reason| reason.as_str());
                match Large::of(&self.ctx, &object, &self.headers, self.version) {
                    Some(large) => Looked::Sliced(large, Said::of_hit(detail)),
                    None => Looked::Answered(self.hit(&object, front, (now, heat), detail)),
                }
            }
            Lookup::OnlyIfCached => {
                Looked::Answered(self.refuse(RefuseReason::OnlyIfCached, Some(key)))
            }
            Lookup::Busy => Looked::Answered(self.refuse(RefuseReason::Busy, Some(key))),
            Lookup::Join(fill, miss) => Looked::Waiting(Waiting {
                fill,
                miss,
                collapsed: true,
                seat,
                hints: None,
            }),
            Lookup::Start(fill, plan) => {
                let miss = plan.miss;
                let method = self.method.clone();
                let (sender, hints) = self.hints().unzip();
                self.start(Arc::clone(&fill), plan, (key, method, sender), None);
                Looked::Waiting(Waiting {
                    fill,
                    miss,
                    collapsed: false,
                    seat,
                    hints,
                })
            }
        }
    }

    /// What the cache says, and a seat at the fetch that it names.
    fn find(&self, now: Moment, ask: Ask<'_>, look: Look<'_>) -> (Found, Option<Seat>) {
        let mut flow = self.ctx.flow();
        let found = match look {
            Look::First => flow.lookup(now, ask, Fill::new),
            Look::Read(read) => flow.lookup_again(now, ask, read, Fill::new),
            Look::Again | Look::Alone => flow.lookup_again(now, ask, &[], Fill::new),
        };
        let found = match found {
            Lookup::Join(_, miss) if matches!(look, Look::Alone) => flow.alone(miss, Fill::new),
            // What it is the head of was found to be damaged.
            Lookup::Hit { object, .. } if object.body.is_spoilt() => {
                flow.forget(ask.key);
                flow.lookup_again(now, ask, &[], Fill::new)
            }
            found => found,
        };
        // Seated under the lock, or it might find nobody waiting and give up.
        let seat = match &found {
            Lookup::Join(fill, _) | Lookup::Start(fill, _) => Some(fill.seat()),
            Lookup::Hit { .. } | Lookup::Shelved | Lookup::OnlyIfCached | Lookup::Busy => None,
        };
        (found, seat)
    }

    /// A way for interim responses, if this client gets any.
    fn hints(&self) -> Option<(Hints, mpsc::Receiver<Vec<u8>>)> {
        let reaches = self.ctx.interim.reaches(self.version, &self.headers);
        reaches.then(|| mpsc::channel(HINTS_MOST))
    }

    /// Whether a fetch that another began gave something for this client too.
    fn may_have(&self, headed: &Headed) -> bool {
        use crate::engine::http::store::NoStoreReason::{NoLifetimeNoValidator, Status};
        // Without a lifetime it cannot be kept, but those who asked before it came may have it. So
        // may they an error of the site: to ask again, each of them, is what it needs least.
        let shared = match headed.shared {
            Ok(()) | Err(NoLifetimeNoValidator) => true,
            Err(Status) => headed.object.status.is_server_error(),
            Err(_) => false,
        };
        shared && headed.object.answers(&self.headers) && headed.object.body.is_joinable()
    }

    fn start(
        &self,
        fill: Arc<Fill>,
        plan: Plan<Arc<SharedBody>>,
        (key, method, hints): (&PrimaryKey, Method, Option<Hints>),
        seat: Option<Seat>,
    ) {
        let asker = Asker {
            key: key.clone(),
            method,
            headers: self.headers.clone(),
            version: self.version,
            hints,
            track: Some(self.track),
        };
        let mut task = Task::new(Arc::clone(&self.ctx), fill, plan, asker);
        tokio::spawn(async move {
            task.run().await;
            drop(task);
            drop(seat);
        });
    }

    fn hit(
        &self,
        object: &Arc<Object>,
        front: Front,
        (now, heat): (Moment, Heat),
        detail: Option<&'static str>,
    ) -> Response<Outgoing> {
        let outcome = if detail.is_some() {
            Outcome::Stale
        } else {
            Outcome::Hit
        };
        self.ctx.metrics.request(outcome);
        self.note(outcome, detail.unwrap_or_default());
        let told = Told {
            handling: Handling::Hit,
            detail,
            before: &[],
            validated: false,
            now,
            heat,
        };
        self.deliver(object, front, &told, None)
    }

    fn fetched(&self, headed: Headed, waiting: Waiting, front: Front) -> Fetched {
        let Waiting {
            miss,
            collapsed,
            seat,
            ..
        } = waiting;
        let (outcome, detail, before): (_, _, &[HeaderValue]) = match &headed.source {
            Source::Origin => (Outcome::Origin, "origin", &[]),
            Source::Completed => (Outcome::Origin, "completed", &[]),
            Source::Revalidated => (Outcome::Revalidated, "revalidated", &[]),
            Source::Peer(found, members) => (Outcome::Peer, found, members),
            Source::Stale(reason) => (Outcome::Stale, reason.as_str(), &[]),
        };
        let outcome = if collapsed {
            Outcome::Collapsed
        } else {
            outcome
        };
        let reason = match &headed.source {
            Source::Stale(reason) => reason.as_str(),
            Source::Origin | Source::Completed | Source::Revalidated | Source::Peer(..) => "",
        };
        let handling = Handling::Forwarded {
            why: match headed.source {
                Source::Completed => ForwardReason::Partial,
                _ => forward_reason(miss),
            },
            status: forward_status(&headed.source),
            stored: is_kept(&headed, miss),
            collapsed,
        };
        let by_origin = matches!(
            headed.source,
            Source::Origin | Source::Completed | Source::Revalidated
        );
        // Who joined came later, and waited less.
        let timing = headed.timing.field().filter(|_| !collapsed);
        let validated = by_origin && !collapsed;
        if let Some(large) = Large::of(&self.ctx, &headed.object, &self.headers, self.version) {
            let said = Said {
                outcome,
                reason,
                handling,
                detail: Some(detail),
                before: before.to_vec(),
                validated,
            };
            return Fetched::Sliced(large, said, timing);
        }
        self.ctx.metrics.request(outcome);
        self.note(outcome, reason);
        let now = self.ctx.now();
        let told = Told {
            handling,
            detail: Some(detail),
            before,
            validated,
            now,
            heat: self.ctx.flow().heat(now, &headed.object.key),
        };
        let mut response = self.deliver(&headed.object, front, &told, seat);
        if let Some(timing) = timing {
            response.headers_mut().append(SERVER_TIMING, timing);
        }
        Fetched::Whole(response)
    }
}

/// Whether the answer is kept here: not one fetched for a single client, nor an old copy.
const fn is_kept(headed: &Headed, miss: Miss) -> bool {
    let alone = matches!(miss, Miss::Method | Miss::Unshareable(_));
    headed.shared.is_ok() && !alone && !matches!(headed.source, Source::Stale(_))
}
