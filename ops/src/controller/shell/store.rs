//! The database: SQLite in one file, or PostgreSQL by URL. The same statements for both.
//!
//! One process writes. Rows are written in one transaction each time, however many they are: a check-in
//! costs no transaction of its own. Documents are stored as they were signed and read with their
//! signature. Times of day are for people: nothing is decided by them.

use std::path::Path;
use std::time::Duration;

use common::clock::WallTime;
use serde::Serialize;
use sqlx::any::{AnyPoolOptions, AnyRow, install_default_drivers};
use sqlx::{AnyConnection, AnyPool, Connection as _, Row as _};

use super::token::Scope;
use crate::controller::engine::rollouts::{MemberRow, REMEMBERED, RolloutRow};
use crate::controller::engine::{EventRow, NodeRow, Row};
use crate::engine::document::Signed;
use crate::engine::document::key::PublicKey;
use crate::engine::document::report::Report;

/// The database's file in the controller's directory.
pub const FILE: &str = "controller.db";

/// For a connection to a database that does not answer; whoever asks the controller waits no longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections at once. SQLite writes one at a time anyway.
const CONNECTIONS: u32 = 4;

/// The schema's versions, in order. What was released is never changed, only added to.
const MIGRATIONS: [&str; 2] = [include_str!("schema.sql"), include_str!("rollouts.sql")];

/// How often a step towards a database that can be used is taken anew because another process is about it.
const OPENED_AT_ONCE: u32 = 20;

/// For that process to come to an end with a step of it.
const OPENED_WITHIN: Duration = Duration::from_millis(100);

/// Most events of one answer.
pub const EVENTS_MAX: i64 = 1_000;

/// What SQLite says when there is no room (`SQLITE_FULL`).
const SQLITE_FULL: &str = "13";

/// What PostgreSQL says (`disk_full`).
const POSTGRES_FULL: &str = "53100";

/// Why the database failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database said no, or is not there.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A newer program wrote it.
    #[error("the database has schema {0}, this program knows up to {max}", max = MIGRATIONS.len())]
    Newer(i64),
    /// What is in it is not understood.
    #[error("the database has a row in {0} that is not understood")]
    Row(&'static str),
}

impl StoreError {
    /// Whether there is no room left where the database is.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else {
            return false;
        };
        error
            .code()
            .is_some_and(|code| [SQLITE_FULL, POSTGRES_FULL].contains(&&*code))
    }
}

/// An event as it is written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Event {
    /// Counts events.
    pub id: i64,
    /// The time of day, in seconds since 1970.
    pub at: i64,
    /// The node, by its key.
    pub node: Option<String>,
    /// What happened.
    pub kind: String,
    /// The rest.
    pub detail: String,
}

/// The database.
#[derive(Clone, Debug)]
pub struct Store(AnyPool);

/// Has SQLite work as it is to: whoever reads does not wait for who writes, and what is committed survives a power
/// cut. A new database is locked while another process does the same, and SQLite itself does not wait for that.
async fn set_up(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
    for _ in 0..OPENED_AT_ONCE {
        match sqlx::raw_sql(pragmas).execute(&mut *connection).await {
            Err(sqlx::Error::Database(_)) => tokio::time::sleep(OPENED_WITHIN).await,
            done => return done.map(drop),
        }
    }
    sqlx::raw_sql(pragmas).execute(connection).await.map(drop)
}

impl Store {
    /// The URL of the SQLite database in the directory `dir`.
    #[must_use]
    pub fn url(dir: &Path) -> String {
        format!("sqlite://{}?mode=rwc", dir.join(FILE).display())
    }

    /// Opens the database, and brings its schema up to date.
    ///
    /// # Errors
    /// It cannot be opened, or is of a newer program.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        install_default_drivers();
        let sqlite = url.starts_with("sqlite:");
        let mut options = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE);
        if sqlite {
            // A connection that is opened needs room, and one that is open reads without any.
            options = options
                .min_connections(1)
                .idle_timeout(None)
                .max_lifetime(None);
        }
        let options = options.after_connect(move |connection, _| {
            Box::pin(async move {
                if sqlite {
                    set_up(connection).await?;
                }
                Ok(())
            })
        });
        let store = Self(options.connect(url).await?);
        store.migrate().await?;
        Ok(store)
    }

    /// Brings the schema up to date. Who starts a controller and makes its first token does so in two processes
    /// at once; the one that is second finds the database locked, or a table there.
    async fn migrate(&self) -> Result<(), StoreError> {
        for _ in 0..OPENED_AT_ONCE {
            match self.migrate_alone().await {
                Err(StoreError::Database(_)) => tokio::time::sleep(OPENED_WITHIN).await,
                done => return done,
            }
        }
        self.migrate_alone().await
    }

    async fn migrate_alone(&self) -> Result<(), StoreError> {
        let table = "CREATE TABLE IF NOT EXISTS migrations (version BIGINT PRIMARY KEY)";
        sqlx::query(table).execute(&self.0).await?;
        let known = "SELECT COALESCE(MAX(version), 0) AS version FROM migrations";
        let version: i64 = sqlx::query(known).fetch_one(&self.0).await?.try_get(0)?;
        let done = usize::try_from(version).unwrap_or_default();
        if done > MIGRATIONS.len() {
            return Err(StoreError::Newer(version));
        }
        for (at, migration) in MIGRATIONS.iter().copied().enumerate().skip(done) {
            let mut transaction = self.0.begin().await?;
            sqlx::raw_sql(migration).execute(&mut *transaction).await?;
            sqlx::query("INSERT INTO migrations (version) VALUES ($1)")
                .bind(i64::try_from(at).unwrap_or(i64::MAX).saturating_add(1))
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Everything that a desk is made of.
    ///
    /// # Errors
    /// The database fails, or has what is not understood.
    pub async fn load(&self) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        for row in self.all("SELECT document FROM releases").await? {
            let text: String = row.try_get(0)?;
            // Checked when it came; who may sign may have changed since.
            let release = Signed::read_of_anyone(text.as_bytes(), |_| true);
            let release = release.map_err(|_| StoreError::Row("releases"))?;
            rows.push(Row::Release(Box::new(release)));
        }
        for row in self
            .all("SELECT key, name, cluster, intent FROM nodes")
            .await?
        {
            rows.push(Row::Node(node(&row)?));
        }
        for row in self.all("SELECT report FROM observed").await? {
            let text: String = row.try_get(0)?;
            let report: Report =
                serde_json::from_str(&text).map_err(|_| StoreError::Row("observed"))?;
            rows.push(Row::Observed(Box::new(report)));
        }
        self.load_rollouts(&mut rows).await?;
        Ok(rows)
    }

    /// The last rollouts, oldest first, and the nodes of the last one.
    async fn load_rollouts(&self, rows: &mut Vec<Row>) -> Result<(), StoreError> {
        let wrong = |_| StoreError::Row("rollouts");
        let query = "SELECT state FROM rollouts ORDER BY id DESC LIMIT $1";
        let most = i64::try_from(REMEMBERED).unwrap_or(i64::MAX);
        let found = sqlx::query(query).bind(most).fetch_all(&self.0).await?;
        for row in found.iter().rev() {
            let text: String = row.try_get(0)?;
            rows.push(Row::Rollout(serde_json::from_str(&text).map_err(wrong)?));
        }
        let query = "SELECT rollout, node, state FROM rollout_nodes \
            WHERE rollout = (SELECT MAX(id) FROM rollouts)";
        for row in self.all(query).await? {
            let (id, key, text): (i64, String, String) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let node = PublicKey::parse(&key).map_err(|_| StoreError::Row("rollout_nodes"))?;
            rows.push(Row::Member(Box::new(MemberRow {
                rollout: u64::try_from(id).unwrap_or_default(),
                node,
                written: serde_json::from_str(&text).map_err(wrong)?,
            })));
        }
        Ok(())
    }

    async fn all(&self, query: &'static str) -> Result<Vec<AnyRow>, StoreError> {
        Ok(sqlx::query(query).fetch_all(&self.0).await?)
    }

    /// Writes rows, all of them or none.
    ///
    /// # Errors
    /// The database fails.
    pub async fn write(&self, rows: &[Row], now: WallTime) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut connection = self.0.acquire().await?;
        let written = write_all(&mut connection, rows, now).await;
        if written.is_err() {
            // Where there is no room SQLite ends the transaction by itself. The driver, which does not know,
            // takes the next one for a part of it, and would leave it open, and the database locked.
            drop(sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await);
        }
        Ok(written?)
    }

    /// The events after number `after`, oldest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn events(&self, after: i64, most: i64) -> Result<Vec<Event>, StoreError> {
        let query =
            "SELECT id, at, node, kind, detail FROM events WHERE id > $1 ORDER BY id LIMIT $2";
        let most = most.clamp(1, EVENTS_MAX);
        let rows = sqlx::query(query)
            .bind(after)
            .bind(most)
            .fetch_all(&self.0)
            .await?;
        let event = |row: &AnyRow| {
            Ok(Event {
                id: row.try_get(0)?,
                at: row.try_get(1)?,
                node: row.try_get(2)?,
                kind: row.try_get(3)?,
                detail: row.try_get(4)?,
            })
        };
        rows.iter().map(event).collect()
    }

    /// What the token with this hash may do.
    ///
    /// # Errors
    /// The database fails.
    pub async fn scope(&self, hash: &str) -> Result<Option<Scope>, StoreError> {
        let query = "SELECT scope FROM tokens WHERE hash = $1";
        let row = sqlx::query(query)
            .bind(hash)
            .fetch_optional(&self.0)
            .await?;
        let scope: Option<String> = row.map(|row| row.try_get(0)).transpose()?;
        Ok(scope.and_then(|scope| Scope::parse(&scope).ok()))
    }

    /// Adds a token by its hash; one of the same name is replaced.
    ///
    /// # Errors
    /// The database fails.
    pub async fn add_token(&self, hash: &str, name: &str, scope: Scope) -> Result<(), StoreError> {
        let mut transaction = self.0.begin().await?;
        sqlx::query("DELETE FROM tokens WHERE name = $1")
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO tokens (hash, name, scope) VALUES ($1, $2, $3)")
            .bind(hash)
            .bind(name)
            .bind(scope.as_str())
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Copies the SQLite database to the new file `to`, as it is at one moment, while it is used.
    ///
    /// # Errors
    /// The file exists or cannot be written, or the database is not SQLite.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let to = to.display().to_string();
        sqlx::query("VACUUM INTO $1")
            .bind(to)
            .execute(&self.0)
            .await?;
        Ok(())
    }
}

fn node(row: &AnyRow) -> Result<NodeRow, StoreError> {
    let wrong = || StoreError::Row("nodes");
    let key: String = row.try_get(0)?;
    let intent: Option<String> = row.try_get(3)?;
    let intent = intent.map(|text| Signed::read_of_anyone(text.as_bytes(), |_| true));
    Ok(NodeRow {
        key: PublicKey::parse(&key).map_err(|_| wrong())?,
        name: row.try_get(1)?,
        cluster: row.try_get(2)?,
        intent: intent.transpose().map_err(|_| wrong())?,
    })
}

/// Writes rows in one transaction.
async fn write_all(to: &mut AnyConnection, rows: &[Row], now: WallTime) -> Result<(), sqlx::Error> {
    let mut transaction = to.begin().await?;
    for row in rows {
        match row {
            Row::Node(node) => write_node(&mut transaction, node).await?,
            Row::Observed(report) => write_report(&mut transaction, report, now).await?,
            Row::Release(release) => {
                // There only if it was written before and the answer to that was lost.
                let statement = "INSERT INTO releases (version, document) VALUES ($1, $2) \
                        ON CONFLICT (version) DO UPDATE SET document = excluded.document";
                sqlx::query(statement)
                    .bind(release.body.version.to_string())
                    .bind(release.text())
                    .execute(&mut *transaction)
                    .await?;
            }
            Row::Event(event) => write_event(&mut transaction, event, now).await?,
            Row::Rollout(rollout) => write_rollout(&mut transaction, rollout).await?,
            Row::Member(member) => write_member(&mut transaction, member).await?,
        }
    }
    transaction.commit().await
}

async fn write_node(to: &mut AnyConnection, node: &NodeRow) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO nodes (key, name, cluster, intent) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (key) DO UPDATE SET name = excluded.name, cluster = excluded.cluster, \
        intent = excluded.intent";
    let intent = node.intent.as_ref().map(|intent| intent.text().to_owned());
    sqlx::query(statement)
        .bind(node.key.to_string())
        .bind(node.name.clone())
        .bind(node.cluster.clone())
        .bind(intent)
        .execute(to)
        .await?;
    Ok(())
}

async fn write_report(
    to: &mut AnyConnection,
    report: &Report,
    now: WallTime,
) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO observed (key, at, report) VALUES ($1, $2, $3) \
        ON CONFLICT (key) DO UPDATE SET at = excluded.at, report = excluded.report";
    sqlx::query(statement)
        .bind(report.node.to_string())
        .bind(now.unix())
        .bind(serde_json::to_string(report).unwrap_or_default())
        .execute(to)
        .await?;
    Ok(())
}

async fn write_rollout(to: &mut AnyConnection, rollout: &RolloutRow) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO rollouts (id, state) VALUES ($1, $2) \
        ON CONFLICT (id) DO UPDATE SET state = excluded.state";
    sqlx::query(statement)
        .bind(i64::try_from(rollout.id).unwrap_or(i64::MAX))
        .bind(serde_json::to_string(rollout).unwrap_or_default())
        .execute(to)
        .await?;
    Ok(())
}

async fn write_member(to: &mut AnyConnection, member: &MemberRow) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO rollout_nodes (rollout, node, state) VALUES ($1, $2, $3) \
        ON CONFLICT (rollout, node) DO UPDATE SET state = excluded.state";
    sqlx::query(statement)
        .bind(i64::try_from(member.rollout).unwrap_or(i64::MAX))
        .bind(member.node.to_string())
        .bind(serde_json::to_string(&member.written).unwrap_or_default())
        .execute(to)
        .await?;
    Ok(())
}

async fn write_event(
    to: &mut AnyConnection,
    event: &EventRow,
    now: WallTime,
) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO events (id, at, node, kind, detail) \
        VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM events), $1, $2, $3, $4)";
    sqlx::query(statement)
        .bind(now.unix())
        .bind(event.node.map(|node| node.to_string()))
        .bind(event.kind.as_str())
        .bind(event.detail.clone())
        .execute(to)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
