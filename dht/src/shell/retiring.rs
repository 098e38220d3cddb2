//! The index of an old network beside that of a new one: what it hears of that one, and what it shows.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::clock::Moment;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::api::IN_BOTH;
use crate::client::Client;
use crate::engine::retire::{self, Asked, LeaveReason, Retirement, Terms};

/// Between two looks at what both were asked.
pub(super) const LOOK: Duration = Duration::from_secs(5);

/// For the new index to answer: it is on this machine.
const ANSWER: Duration = Duration::from_secs(2);

/// Stragglers that are named.
const NAMED_MAX: usize = 64;

/// The service that every proxy has.
const PEER: &str = "peer";

/// An index that is to leave when its network has had its day.
#[derive(Debug)]
pub(super) struct Retiring {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    retirement: Retirement,
    /// What the new index was asked since it started; `None` if it does not say.
    new: Option<u64>,
    stragglers: Vec<SocketAddr>,
    left: Option<LeaveReason>,
}

impl Retiring {
    /// One that begins now.
    pub(super) const fn new(terms: Terms, now: Moment) -> Self {
        Self {
            state: Mutex::new(State {
                retirement: Retirement::new(terms, now),
                new: None,
                stragglers: Vec::new(),
                left: None,
            }),
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes note of what this index was asked. Whether it is time to leave.
    pub(super) fn observe(&self, now: Moment, old: u64) -> Option<LeaveReason> {
        self.with(|state| {
            let asked = Asked {
                old,
                new: state.new,
                stragglers: state.stragglers.len(),
            };
            state.left = state.retirement.observe(now, asked);
            state.left
        })
    }

    /// Whether it has left.
    pub(super) fn has_left(&self) -> bool {
        self.with(|state| state.left.is_some())
    }

    /// What operators see.
    pub(super) fn shown(&self, now: Moment) -> Value {
        self.with(|state| {
            let rates = state.retirement.rates();
            let terms = state.retirement.terms();
            json!({
                "left": state.left.map(LeaveReason::as_str),
                "old_asked_per_s": rates.map(|(old, _)| old),
                "new_asked_per_s": rates.map(|(_, new)| new),
                "quiet_under_per_s": rates.map(|(_, new)| retire::quiet_under(new)),
                "quiet_s": terms.quiet.as_secs(),
                "quiet_for_s": state.retirement.quiet(now).map(|quiet| quiet.as_secs()),
                "deadline_in_s": state.retirement.left(now).as_secs(),
                "stragglers": state.stragglers,
            })
        })
    }
}

/// Asks the index at `beside` what it is asked, and looks who is in this network alone, for ever. `here` says who is known in this
/// network with a service.
pub(super) async fn look(
    here: impl Fn(&str) -> BTreeSet<SocketAddr>,
    retiring: Arc<Retiring>,
    beside: PathBuf,
) {
    let client = Client::new(beside);
    loop {
        let said = client.state(ANSWER).await;
        let asked = said.ok().and_then(|state| state["asked"].as_u64());
        // By what each says of itself: nobody knows all of a large network.
        let stragglers = here(PEER).into_iter();
        let moved = here(IN_BOTH);
        let mut stragglers: Vec<_> = stragglers.filter(|addr| !moved.contains(addr)).collect();
        stragglers.truncate(NAMED_MAX);
        retiring.with(|state| {
            state.new = asked;
            state.stragglers = stragglers;
        });
        sleep(LOOK).await;
    }
}
