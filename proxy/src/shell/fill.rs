//! A fill: one fetch of one resource, that no client owns and any number wait for.
//!
//! Whoever waits holds a [`Seat`]; the fetch can tell when the last one has left. The stages are
//! published on a watch channel, so that waiters see the latest and none is missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderMap, HeaderValue, Method, Version};
use tokio::sync::{Notify, watch};

use super::body::SharedBody;
use super::traces::Track;
use super::upstream::Hints;
use crate::engine::drawing::Drawing;
use crate::engine::http::key::PrimaryKey;
use crate::engine::http::server_timing::Timing;
use crate::engine::http::store::NoStoreReason;
use crate::engine::reason::FailReason;
use crate::engine::store::object::Object;
use crate::engine::trail::Trail;

/// A response with the shell's body.
pub(crate) type Response = Object<Arc<SharedBody>>;

/// How far a fill has come.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// No head yet.
    Waiting(Drawing),
    /// The head is here, the body is coming or has come.
    Headed(Headed),
    /// Nobody had it.
    Failed(Failure),
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// What was wrong at last.
    pub(crate) reason: FailReason,
    /// What was tried.
    pub(crate) trail: Arc<Trail>,
}

/// Where an answer came from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The origin.
    Origin,
    /// The origin, for the rest of what had broken off before.
    Completed,
    /// The origin confirmed the copy that was here.
    Revalidated,
    /// Another proxy: where it was found, and what it and those before it did, as Cache-Status
    /// members.
    Peer(&'static str, Vec<HeaderValue>),
    /// The stale copy that was here, since the origin failed for this.
    Stale(FailReason),
}

/// A fill's answer.
#[derive(Clone, Debug)]
pub(crate) struct Headed {
    /// The response.
    pub(crate) object: Arc<Response>,
    /// Where it came from.
    pub(crate) source: Source,
    /// Where its body comes from at the moment.
    pub(crate) drawing: Drawing,
    /// Whether others than the first may have it.
    pub(crate) shared: Result<(), NoStoreReason>,
    /// What was waited for until its head was here.
    pub(crate) timing: Timing,
}

/// The request that started a fill.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) key: PrimaryKey,
    pub(crate) method: Method,
    /// The client's fields, for validation, Vary and what is passed on.
    pub(crate) headers: HeaderMap,
    pub(crate) version: Version,
    /// Where it hears of interim responses. They were made for it alone: who joins hears of none.
    pub(crate) hints: Option<Hints>,
    /// The trace it is part of.
    pub(crate) track: Option<Track>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Fill {
    stage: watch::Sender<Stage>,
    seats: AtomicUsize,
    /// The last seat was given up; heard by the task.
    emptied: Notify,
    /// A seat was taken; heard by a task that brings only what somebody waits for.
    taken: Arc<Notify>,
}

/// How a fill stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Where its bytes come from.
    pub(crate) from: &'static str,
    /// Who waits for it or reads it.
    pub(crate) readers: usize,
    /// Bytes of the body that have come; `None` before the head.
    pub(crate) received: Option<u64>,
    /// Bytes of the whole body, if they are known.
    pub(crate) length: Option<u64>,
}

/// Somebody's interest in a fill.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Fill>);

impl Failure {
    /// One before which nothing was tried.
    pub(crate) fn of(reason: FailReason) -> Self {
        let trail = Arc::default();
        Self { reason, trail }
    }
}

impl Fill {
    pub(crate) fn new() -> Arc<Self> {
        Self::heard_by(Arc::default())
    }

    /// One of several that one task brings: it hears of a seat at any of them.
    pub(crate) fn heard_by(taken: Arc<Notify>) -> Arc<Self> {
        let (stage, _) = watch::channel(Stage::Waiting(Drawing::Seeking));
        Arc::new(Self {
            stage,
            seats: AtomicUsize::new(0),
            emptied: Notify::new(),
            taken,
        })
    }

    /// Waits for this fill from now on.
    pub(crate) fn seat(self: &Arc<Self>) -> Seat {
        self.seats.fetch_add(1, Ordering::AcqRel);
        self.taken.notify_one();
        Seat(Arc::clone(self))
    }

    /// Whether nobody waits for it.
    pub(crate) fn is_unwatched(&self) -> bool {
        self.seats.load(Ordering::Acquire) == 0
    }

    /// Waits until nobody waits for it, which may be at once. One task may wait here at a time.
    pub(crate) async fn deserted(&self) {
        while !self.is_unwatched() {
            self.emptied.notified().await;
        }
    }

    /// How it stands, for the state page.
    pub(crate) fn look(&self) -> Look {
        let readers = self.seats.load(Ordering::Acquire);
        let (drawing, headed) = match &*self.stage.borrow() {
            Stage::Waiting(drawing) => (Some(*drawing), None),
            Stage::Headed(headed) => (Some(headed.drawing), Some(Arc::clone(&headed.object))),
            Stage::Failed(_) => (None, None),
        };
        Look {
            from: drawing.map_or("nowhere", Drawing::as_str),
            readers,
            received: headed.as_ref().map(|object| object.body.received()),
            length: headed.and_then(|object| object.body.length()),
        }
    }

    /// Whether its answer's head is here.
    pub(crate) fn is_headed(&self) -> bool {
        matches!(&*self.stage.borrow(), Stage::Headed(_))
    }

    /// Moves to `stage`.
    pub(crate) fn reach(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }

    /// Its task is gone: who still waits for an answer learns that none will come, and who waits for
    /// it to choose a source looks at what there is.
    pub(crate) fn give_up(&self) {
        self.stage.send_modify(|stage| {
            if matches!(stage, Stage::Waiting(_)) {
                *stage = Stage::Failed(Failure::of(FailReason::Abandoned));
            }
        });
    }

    /// Draws from another source from now on. To be said before that source is asked.
    pub(crate) fn draw(&self, from: Drawing) {
        self.stage.send_if_modified(|stage| {
            match stage {
                Stage::Waiting(drawing) => *drawing = from,
                Stage::Headed(headed) => headed.drawing = from,
                Stage::Failed(_) => {}
            }
            // Counted while the stage is locked: who comes after this finds it as it is now.
            self.stage.receiver_count() > 0
        });
    }

    /// Whether its answer is one that others may have.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(&*self.stage.borrow(), Stage::Headed(headed) if headed.shared.is_ok())
    }

    /// The first stage, now or later, for which `good` holds. Holding a fill keeps its channel open,
    /// so it is the task that has to say when it dies ([`give_up`](Self::give_up)).
    pub(crate) async fn until(&self, good: impl FnMut(&Stage) -> bool) -> Option<Stage> {
        let mut stages = self.stage.subscribe();
        stages.wait_for(good).await.ok().map(|stage| stage.clone())
    }

    /// Its answer, or why there is none.
    pub(crate) async fn answer(&self) -> Result<Headed, Failure> {
        let over = |stage: &Stage| matches!(stage, Stage::Headed(_) | Stage::Failed(_));
        match self.until(over).await {
            Some(Stage::Headed(headed)) => Ok(headed),
            Some(Stage::Failed(failure)) => Err(failure),
            Some(Stage::Waiting(_)) | None => Err(Failure::of(FailReason::Abandoned)),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.0.seats.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.emptied.notify_one();
        }
    }
}
