//! The order of starting and stopping.
//!
//! Everything that can fail because of the configuration fails before the first client is
//! accepted: secret, roots, spill directory, listeners. On the first signal the proxy leaves the
//! index, finishes what is under way, and ends; on the second it ends at once.

mod doors;
mod parts;

use std::sync::Arc;
use std::time::Duration;

use common::rng::Generator;
use common::shell::admin;
use common::shell::cli::StartError;
use common::shell::inherited::Inherited;
use common::shell::signals::{Phase, Shutdown};
use common::shell::supervisor::Supervisor;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::doors::{bind, doorways};
pub(super) use self::parts::context;
use super::change;
use super::context::Context;
use super::hints;
use super::index::{self, presence};
use super::inspect::Window;
use super::line::Terms;
use super::listen::{self, Bounds};
use super::reload::{self, Again, Watched};
use crate::engine::config::Config;

/// For answers under way when the process ends.
const DRAIN: Duration = Duration::from_secs(30);

/// For what waits to be written to disk when the process ends.
const STORE_STOP: Duration = Duration::from_secs(5);

/// Runs the proxy until it is told to stop. On SIGHUP it takes over what it can of `again`.
///
/// # Errors
/// It could not start; the text says what to do.
pub fn run(config: Config, again: Again) -> Result<(), StartError> {
    // Before there are other threads.
    let (inherited, supervisor) = (Inherited::from_env(), Arc::new(Supervisor::from_env()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Runtime(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(serve(config, again, (inherited, supervisor)))
}

/// Takes as many descriptors as the system allows: usual limits are below what the bounds on
/// connections add up to.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// A shutdown that drains `grace` later than `first` does. Meanwhile the node is not ready. Where another
/// process serves there is nothing for others to learn.
fn after_grace(mut first: Shutdown, ctx: Arc<Context>, grace: Duration) -> Shutdown {
    let (handle, later) = Shutdown::manual();
    tokio::spawn(async move {
        first.draining().await;
        if first.is_relieved() {
            handle.relieve();
            first.abandoned().await;
            return handle.advance(Phase::Abandoned);
        }
        ctx.drain(true);
        let mut again = first.clone();
        tokio::select! {
            () = tokio::time::sleep(grace) => {}
            () = again.abandoned() => {}
        }
        handle.advance(Phase::Draining);
        first.abandoned().await;
        handle.advance(Phase::Abandoned);
    });
    later
}

#[expect(
    clippy::cognitive_complexity,
    reason = "what the log's macros hide counts"
)]
async fn serve(
    config: Config,
    again: Again,
    (mut inherited, supervisor): (Inherited, Arc<Supervisor>),
) -> Result<(), StartError> {
    let (_handle, shutdown) = Shutdown::on_signals()
        .map_err(|error| StartError::Runtime(format!("cannot handle signals: {error}")))?;
    raise_descriptor_limit();
    let terms = Arc::new(Terms::new(config.listen.send_timeout));
    let listeners = bind(&config, &terms, (&mut inherited, &supervisor)).await?;
    supervisor.forget(&inherited.close());
    let bounds = Bounds {
        connections: config.listen.connections_max,
        per_client: config.listen.connections_per_client,
        exempt: config.listen.exempt.clone(),
        header: config.listen.header_timeout,
        terms,
        idle: config.listen.idle_timeout,
        drain: DRAIN,
        finish: config.listen.drain_finish,
        secure: None,
        http2: config.listen.http2,
        plain: config.listen.plain,
    };
    let block_file = config.listen.block_file.clone();
    let grace = config.listen.drain_grace;
    let (ctx, registry, rng) = context(config, &supervisor)?;
    // Serving goes on for a while after the first signal, so that others learn of it.
    let asked = shutdown.clone();
    let shutdown = after_grace(shutdown, Arc::clone(&ctx), grace);
    tokio::spawn(change::places(Arc::clone(&ctx), asked));
    if let Some(listener) = listeners.admin {
        let window = Arc::new(Window(Arc::clone(&ctx)));
        tokio::spawn(admin::serve(listener, registry, window, shutdown.clone()));
    }
    tokio::spawn(Arc::clone(&ctx.client).prune());
    if let Some(file) = &block_file {
        let rules = ctx.blocked.load(file);
        let rules = rules.map_err(|error| StartError::Runtime(format!("block.file {error}")))?;
        tracing::info!(rules, "the block list was read");
    }
    let held = listeners.doors.https.as_ref();
    let watched = Watched {
        block: block_file,
        certificates: held.map(|(_, secure)| Arc::clone(secure.held())),
    };
    let watch = reload::watch(Arc::clone(&ctx), watched, again, Arc::clone(&supervisor));
    tokio::spawn(watch);
    talk_to_index(&ctx, rng, &shutdown);
    tracing::info!(zone = %ctx.zone, node = ctx.identity.name(), "serving");
    let access = ctx.access.clone();
    // Spawned like the connections, with which they take turns.
    let mut serving = JoinSet::new();
    for doorway in doorways(listeners.doors, bounds) {
        serving.spawn(listen::serve(Arc::clone(&ctx), doorway, shutdown.clone()));
    }
    supervisor.ready();
    tokio::spawn(change::live(
        Arc::clone(&ctx),
        Arc::clone(&supervisor),
        shutdown.clone(),
    ));
    // Others may be in the middle of a page of ours; each listener has a deadline of its own.
    while serving.join_next().await.is_some() {}
    if let Some(access) = access {
        access.close();
    }
    if let Some(store) = &ctx.store {
        // Blocks, and nothing else is left that it could keep from its work.
        store.stop(STORE_STOP);
    }
    tracing::info!("stopped");
    Ok(())
}

/// What is told to the index for as long as the process runs.
fn talk_to_index(ctx: &Arc<Context>, mut rng: Generator, shutdown: &Shutdown) {
    if ctx.index.is_some() {
        let (told, mut relieved) = (Arc::clone(ctx), shutdown.clone());
        let (done, announced) = watch::channel(false);
        let again = index::tell_again(Arc::clone(ctx), rng.child());
        let again = async move {
            again.await;
            done.send_replace(true);
        };
        tokio::spawn(async move {
            let telling = async {
                tokio::join!(
                    index::keep_pointers(Arc::clone(&told)),
                    hints::keep_telling(Arc::clone(&told)),
                    again,
                )
            };
            tokio::select! {
                _ = telling => {}
                // What is said from here on is the other process's to say.
                () = relieved.relieved() => {}
            }
        });
        let (ctx, shutdown) = (Arc::clone(ctx), shutdown.clone());
        tokio::spawn(presence::keep_registered(ctx, rng, shutdown, announced));
    }
}
