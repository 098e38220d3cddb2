//! What the local API asks of the engine, and the way there.

use std::sync::Arc;
use std::time::Duration;

use common::shell::signals::Shutdown;
use common::trace::Context;
use tokio::sync::mpsc;

use super::state::Shared;
use crate::engine::{Answer, Wish};

/// For commands that the engine answers at once.
pub(super) const AT_ONCE: Duration = Duration::from_secs(2);

/// A command on its way to the engine.
#[derive(Debug)]
pub(super) struct Order {
    /// What is wanted.
    pub(super) wish: Wish,
    /// Time allowed from when the engine takes it.
    pub(super) allowed: Duration,
    /// The trace it is part of.
    pub(super) trace: Option<Context>,
    /// Where answers go; the last one is final.
    pub(super) answers: mpsc::Sender<Answer>,
}

/// The way to the engine.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    /// The trace that the request at hand is part of.
    pub(super) trace: Option<Context>,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) shared: Arc<Shared>,
    pub(super) shutdown: Shutdown,
}
