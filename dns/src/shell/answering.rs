//! The answering engine of one receiving thread, between its sockets and its engine.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use common::clock::{Clock as _, SystemClock};
use common::rng::Generator;
use tokio::sync::mpsc;

use super::lock;
use super::published::Published;
use super::query_log::QueryLog;
use crate::engine::config::MannersConfig;
use crate::engine::exchange::Arrival;
use crate::engine::inquiry::Transport;
use crate::engine::named::Named;
use crate::engine::near::Network;
use crate::engine::server::Server;
use crate::engine::sign::cache::CacheConfig;
use crate::engine::stats::AnswerStats;

/// What the engines of all threads have counted, one place per thread.
#[derive(Clone, Debug)]
pub struct Tally(Vec<Arc<Mutex<AnswerStats>>>);

impl Tally {
    /// A tally of `threads` threads.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self((0..threads).map(|_| Arc::default()).collect())
    }

    /// The sum.
    #[must_use]
    pub fn sum(&self) -> AnswerStats {
        let mut sum = AnswerStats::default();
        for counted in &self.0 {
            sum.merge(&lock(counted));
        }
        sum
    }

    /// The places, one for each thread.
    pub fn places(&self) -> impl Iterator<Item = Arc<Mutex<AnswerStats>>> + '_ {
        self.0.iter().map(Arc::clone)
    }
}

/// What a thread answers with. Clones are handles to the same, within the thread.
#[derive(Clone, Debug)]
pub struct Answering(Rc<RefCell<Inner>>);

#[derive(Debug)]
struct Inner {
    server: Server,
    published: Arc<Published>,
    edition: u64,
    counted: Arc<Mutex<AnswerStats>>,
    named: Arc<Mutex<Named>>,
    /// Replies to pass over before the next one whose addresses are counted.
    pass_over: usize,
    log: Option<QueryLog>,
    learner: Option<mpsc::Sender<Vec<Network>>>,
    clock: SystemClock,
}

/// What an engine tells others of its work.
#[derive(Clone, Debug)]
pub struct Told {
    /// Where it counts.
    pub counted: Arc<Mutex<AnswerStats>>,
    /// Where it counts who was named.
    pub named: Arc<Mutex<Named>>,
    /// The query log, if there is one.
    pub log: Option<QueryLog>,
    /// Who hears for which networks it answered, if anybody does.
    pub learner: Option<mpsc::Sender<Vec<Network>>>,
}

impl Answering {
    /// An engine that answers from what is published and tells of it by `told`.
    #[must_use]
    pub fn new(
        published: Arc<Published>,
        manners: Arc<MannersConfig>,
        signatures: CacheConfig,
        rng: Generator,
        told: Told,
        clock: SystemClock,
    ) -> Self {
        let mut edition = 0;
        let first = published.newer(&mut edition);
        let snapshot = first.unwrap_or_else(|| published.current());
        Self(Rc::new(RefCell::new(Inner {
            server: Server::new(snapshot, manners, rng).with_signatures(signatures),
            published,
            edition,
            counted: told.counted,
            named: told.named,
            pass_over: 0,
            log: told.log,
            learner: told.learner,
            clock,
        })))
    }

    /// Answers a batch of messages: `work` is handed a function that replies to one of them.
    pub fn batch<T>(&self, transport: Transport, work: impl FnOnce(&mut Reply<'_>) -> T) -> T {
        let mut inner = self.0.borrow_mut();
        let inner = &mut *inner;
        if let Some(snapshot) = inner.published.newer(&mut inner.edition) {
            inner.server.publish(snapshot);
        }
        let (now, wall) = (inner.clock.moment(), inner.clock.wall());
        let server = &mut inner.server;
        let (named, pass_over, log) = (&inner.named, &mut inner.pass_over, inner.log.as_ref());
        let done = work(&mut |from, message, out| {
            let arrival = Arrival {
                now,
                wall,
                from: from.to_canonical(),
                transport,
            };
            let replied = server.handle_message(&arrival, message, out).is_none();
            if let Some(rest) = pass_over.checked_sub(1) {
                *pass_over = rest;
            } else {
                let mut named = lock(named);
                named.count(out);
                *pass_over = named.pass_over();
            }
            if let Some(log) = log.filter(|_| replied) {
                log.note((arrival.wall, arrival.from), transport, message, out);
            }
            replied
        });
        if let Some(learner) = &inner.learner
            && let Some(list) = inner.server.take_seen(now)
        {
            // A learner that cannot keep up hears of them with a later question.
            drop(learner.try_send(list));
        }
        // Whoever reads the counters just now reads them again later.
        if let Ok(mut counted) = inner.counted.try_lock() {
            *counted = *inner.server.stats();
        }
        done
    }
}

/// Replies to a message of `IpAddr` in the buffer; false if it deserves silence.
pub type Reply<'a> = dyn FnMut(IpAddr, &[u8], &mut Vec<u8>) -> bool + 'a;
