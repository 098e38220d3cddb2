//! What every request works on: the desk, the database, the programs; and how a decision is carried out.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use http::StatusCode;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, mpsc, watch};

use super::blobs::Blobs;
use super::problem::Problem;
use super::store::{Store, StoreError};
use crate::controller::engine::reason::DeskReason;
use crate::controller::engine::rollouts::Step;
use crate::controller::engine::{Desk, Row};
use crate::engine::document::key::{PublicKey, SigningKey};

/// Rows of reports that wait to be written. When it is full, reports wait.
const QUEUE: usize = 4_096;

/// Between two looks at the rollout under way.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Between two writes of what nodes reported.
const WRITE_EVERY: Duration = Duration::from_millis(500);

/// Rows that fail one after the other until the rest of their batch is given up: then it is the database.
const GIVE_UP: usize = 16;

/// What every request works on.
pub(super) struct Office {
    desk: Mutex<Desk>,
    pub(super) store: Store,
    pub(super) blobs: Blobs,
    pub(super) key: SigningKey,
    pub(super) trust_releases: Vec<PublicKey>,
    clock: SystemClock,
    /// Changes when any node's order does.
    orders: watch::Sender<u64>,
    /// One decision at a time: it is made, written and applied before the next one looks. Whoever writes
    /// events has the turn, since their numbers follow each other.
    turn: Arc<Turn<()>>,
    later: mpsc::Sender<Row>,
}

impl Office {
    /// An office with what the database has.
    pub(super) fn open(
        desk: Desk,
        store: Store,
        blobs: Blobs,
        key: SigningKey,
        trust_releases: Vec<PublicKey>,
    ) -> Arc<Self> {
        let (later, rows) = mpsc::channel(QUEUE);
        let office = Arc::new(Self {
            desk: Mutex::new(desk),
            clock: SystemClock::new(),
            orders: watch::Sender::new(0),
            turn: Arc::default(),
            store,
            blobs,
            key,
            trust_releases,
            later,
        });
        office.desk().begin(office.now());
        tokio::spawn(write_later(Arc::clone(&office), rows));
        tokio::spawn(look_on(Arc::clone(&office)));
        office
    }

    /// The desk. Held for as long as it takes to look, never over an await.
    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        // Whoever panicked with it held changed nothing half: rows are applied one by one.
        self.desk
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.moment()
    }

    /// Makes a decision, writes what it comes to, and only then counts on it.
    pub(super) async fn decide(
        self: &Arc<Self>,
        decision: impl FnOnce(&Desk) -> Result<Vec<Row>, DeskReason>,
    ) -> Result<(), Problem> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let rows = decision(&self.desk())?;
        self.carry_out(turn, rows, |_| {}).await
    }

    /// Makes a decision about a rollout, if there is one to make: as [`decide`](Self::decide).
    pub(super) async fn step(
        self: &Arc<Self>,
        decision: impl FnOnce(&Desk) -> Result<Option<Step>, DeskReason>,
    ) -> Result<(), Problem> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let Some(Step { rows, active }) = decision(&self.desk())? else {
            return Ok(());
        };
        self.carry_out(turn, rows, |desk| desk.take(active)).await
    }

    /// Writes the rows of a decision and applies them. Whoever asked may go away meanwhile, and be dropped
    /// at any await: what is written is applied all the same.
    async fn carry_out(
        self: &Arc<Self>,
        turn: OwnedMutexGuard<()>,
        rows: Vec<Row>,
        then: impl FnOnce(&mut Desk) + Send + 'static,
    ) -> Result<(), Problem> {
        let office = Arc::clone(self);
        let done = tokio::spawn(async move {
            // Most looks at a rollout find nothing new.
            let news = !rows.is_empty();
            office.store.write(&rows, office.clock.wall()).await?;
            let mut desk = office.desk();
            rows.into_iter().for_each(|row| desk.apply(row));
            then(&mut desk);
            drop(desk);
            if news {
                office.orders.send_modify(|count| *count += 1);
            }
            drop(turn);
            Ok(())
        });
        done.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a decision was not carried out");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Err(Problem::new(status, "failed", "see the controller's log"))
        })
    }

    /// Has rows written soon, together with others.
    pub(super) async fn write_soon(&self, rows: Vec<Row>) {
        for row in rows {
            drop(self.later.send(row).await);
        }
    }

    /// Tells when any order changes.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.orders.subscribe()
    }
}

/// Looks at the rollout under way, again and again.
async fn look_on(office: Arc<Office>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = office.now();
        // A database that fails was logged; the next look tries again.
        drop(office.step(|desk| Ok(desk.look(&office.key, now))).await);
    }
}

/// Writes what nodes reported, many reports in one transaction.
async fn write_later(office: Arc<Office>, mut rows: mpsc::Receiver<Row>) {
    let mut batch = Vec::new();
    while rows.recv_many(&mut batch, QUEUE).await > 0 {
        let turn = office.turn.lock().await;
        if let Err(error) = office.store.write(&batch, office.clock.wall()).await {
            let rows = match error {
                // One row of one node must not take everybody's with it.
                StoreError::Database(sqlx::Error::Database(_)) => write_each(&office, &batch).await,
                StoreError::Database(_) | StoreError::Newer(_) | StoreError::Row(_) => batch.len(),
            };
            // The desk has what was reported, and nodes report again; the events among it are lost.
            tracing::warn!(%error, rows, "reports were not written");
        }
        drop(turn);
        batch.clear();
        tokio::time::sleep(WRITE_EVERY).await;
    }
}

/// Writes rows one by one: how many the database did not take.
async fn write_each(office: &Office, rows: &[Row]) -> usize {
    let (mut lost, mut in_a_row) = (0, 0);
    for (at, row) in rows.iter().enumerate() {
        let one = std::slice::from_ref(row);
        if office.store.write(one, office.clock.wall()).await.is_ok() {
            in_a_row = 0;
            continue;
        }
        lost += 1;
        in_a_row += 1;
        if in_a_row == GIVE_UP {
            return lost + rows.len() - at - 1;
        }
    }
    lost
}

#[cfg(test)]
pub(super) mod tests;
