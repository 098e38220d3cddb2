//! What changes while the proxy runs: the block list and the certificates, when their files do; on
//! SIGHUP the settings that can be taken over without losing a request, and the file of the access
//! log.
//!
//! Whatever cannot be read or understood changes nothing, and is said loudly: the last good state
//! goes on.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use common::shell::supervisor::Supervisor;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::context::Context;
use super::tls::Held;
use crate::engine::block::{BlockList, FILE_MAX};
use crate::engine::config::Config;

/// Between two looks at the file.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Builds the configuration anew, from where it came at the start.
pub type Again = Box<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// The block list in force; shared with whoever connects.
#[derive(Clone, Default, Debug)]
pub(crate) struct Blocked(Arc<InForce>);

#[derive(Default, Debug)]
struct InForce {
    list: RwLock<Arc<BlockList>>,
    /// Whether it blocks anything: most do not, and everybody asks.
    any: AtomicBool,
}

impl Blocked {
    /// The list in force.
    pub(crate) fn list(&self) -> Arc<BlockList> {
        Arc::clone(&self.0.list.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it blocks anything.
    pub(crate) fn any(&self) -> bool {
        self.0.any.load(Ordering::Acquire)
    }

    fn set(&self, list: BlockList) {
        let any = !list.is_empty();
        let mut held = self.0.list.write().unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(list);
        self.0.any.store(any, Ordering::Release);
    }

    /// Takes the list in `file` over.
    ///
    /// # Errors
    /// It cannot be read or has a mistake; the list in force stays.
    pub(crate) fn load(&self, file: &Path) -> Result<usize, String> {
        let said = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let opened = std::fs::File::open(file).map_err(|error| said(&error))?;
        let mut text = String::new();
        let read = opened.take(FILE_MAX as u64 + 1).read_to_string(&mut text);
        if read.map_err(|error| said(&error))? > FILE_MAX {
            return Err(said(&"larger than 16 MiB"));
        }
        let list = BlockList::parse(&text).map_err(|error| said(&error))?;
        let rules = list.len();
        self.set(list);
        Ok(rules)
    }
}

/// Files that are read anew when they change.
#[derive(Debug)]
pub(crate) struct Watched {
    /// The block list.
    pub(crate) block: Option<PathBuf>,
    /// The certificates that clients are shown.
    pub(crate) certificates: Option<Arc<Held>>,
}

/// Watches files and waits for SIGHUP, for ever.
pub(crate) async fn watch(
    ctx: Arc<Context>,
    watched: Watched,
    again: Again,
    supervisor: Arc<Supervisor>,
) {
    let Watched {
        block: file,
        certificates,
    } = watched;
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => Some(hangup),
        Err(error) => {
            tracing::warn!(%error, "SIGHUP will not reload the configuration");
            None
        }
    };
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = file.as_deref().and_then(stamp);
    loop {
        let told = tokio::select! {
            _ = tick.tick() => false,
            () = next(&mut hangup) => true,
        };
        if told {
            supervisor.reloading();
            if let Some(access) = &ctx.access {
                access.reopen();
            }
            reload(&ctx, &again);
            renew_tokens(&ctx);
        }
        let now = file.as_deref().and_then(stamp);
        if let Some(file) = file.as_deref().filter(|_| told || now != seen) {
            seen = now;
            take_over(&ctx, file);
        }
        if let Some(held) = &certificates {
            renew(&ctx, Arc::clone(held), told).await;
        }
        if told {
            supervisor.ready();
        }
    }
}

/// Looks after the certificates, where the disk may take its time.
async fn renew(ctx: &Context, held: Arc<Held>, told: bool) {
    let looked = tokio::task::spawn_blocking(move || held.look(told)).await;
    let Ok(Some(renewed)) = looked else { return };
    for error in &renewed.mistakes {
        ctx.metrics.reload_failed("certificates");
        tracing::warn!(%error, "a certificate is bad: the last good one stays in force");
    }
    let (held, bad) = (renewed.held, renewed.mistakes.len());
    tracing::info!(held, bad, "the certificates were read anew");
}

async fn next(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => {
            hangup.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// What tells one version of a file from another.
fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let about = std::fs::metadata(file).ok()?;
    Some((about.modified().ok()?, about.len()))
}

fn take_over(ctx: &Context, file: &Path) {
    match ctx.blocked.load(file) {
        Ok(rules) => tracing::info!(rules, "the block list was read anew"),
        Err(error) => {
            ctx.metrics.reload_failed("block_list");
            tracing::warn!(%error, "the block list is bad: the last good one stays in force");
        }
    }
}

fn renew_tokens(ctx: &Context) {
    match ctx.purge.load() {
        Ok(tokens) => tracing::info!(tokens, "the tokens for purges were read anew"),
        Err(error) => {
            ctx.metrics.reload_failed("purge_tokens");
            tracing::warn!(%error, "the tokens are bad: the last good ones stay in force");
        }
    }
}

fn reload(ctx: &Context, again: &Again) {
    match again() {
        Ok(config) => {
            ctx.shares.reset(config.share);
            tracing::info!(
                "client.* and share.* and origin.fetches_max, queue_max, queue_timeout were read \
                 anew; other settings change with a restart"
            );
        }
        Err(error) => {
            ctx.metrics.reload_failed("config");
            tracing::warn!(%error, "the configuration is bad: the last good one stays in force");
        }
    }
}
