//! What every request works on: the desk, the database, the programs; and how a decision is carried out.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use tokio::sync::{Mutex as Turn, mpsc, watch};

use super::blobs::Blobs;
use super::problem::Problem;
use super::store::Store;
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
    /// One decision at a time: it is made, written and applied before the next one looks.
    turn: Turn<()>,
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
            turn: Turn::new(()),
            store: store.clone(),
            blobs,
            key,
            trust_releases,
            later,
        });
        office.desk().begin(office.now());
        tokio::spawn(write_later(store, rows, office.clock));
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
        &self,
        decision: impl FnOnce(&Desk) -> Result<Vec<Row>, DeskReason>,
    ) -> Result<(), Problem> {
        let _turn = self.turn.lock().await;
        let rows = decision(&self.desk())?;
        self.store.write(&rows, self.clock.wall()).await?;
        let mut desk = self.desk();
        rows.into_iter().for_each(|row| desk.apply(row));
        drop(desk);
        self.orders.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Makes a decision about a rollout, if there is one to make: as [`decide`](Self::decide).
    pub(super) async fn step(
        &self,
        decision: impl FnOnce(&Desk) -> Result<Option<Step>, DeskReason>,
    ) -> Result<(), Problem> {
        let _turn = self.turn.lock().await;
        let Some(Step { rows, active }) = decision(&self.desk())? else {
            return Ok(());
        };
        // Most looks find nothing new.
        let news = !rows.is_empty();
        if news {
            self.store.write(&rows, self.clock.wall()).await?;
        }
        let mut desk = self.desk();
        rows.into_iter().for_each(|row| desk.apply(row));
        desk.take(active);
        drop(desk);
        if news {
            self.orders.send_modify(|count| *count += 1);
        }
        Ok(())
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
async fn write_later(store: Store, mut rows: mpsc::Receiver<Row>, clock: SystemClock) {
    let mut batch = Vec::new();
    while rows.recv_many(&mut batch, QUEUE).await > 0 {
        if let Err(error) = store.write(&batch, clock.wall()).await {
            // The desk has them, and nodes report again; the events among them are lost.
            tracing::error!(%error, rows = batch.len(), "reports were not written");
        }
        batch.clear();
        tokio::time::sleep(WRITE_EVERY).await;
    }
}
