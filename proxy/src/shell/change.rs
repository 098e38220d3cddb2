//! Changing places with another process of this node: what only one can have, and who has it.
//!
//! That is the disk store alone. The one that comes asks for it as the last thing before it serves; the
//! one that goes writes what waits, gives up the lock and goes on serving: what it has in memory, and
//! from files that it has open, which stay readable whatever the other one does with their names.

use std::sync::Arc;
use std::time::Duration;

use common::shell::signals::Shutdown;
use common::shell::supervisor::Supervisor;

use super::context::Context;
use super::store::DiskStore;
use super::store::recover::{OpenError, Recovered};

/// For what waits to be written when the store goes over: at most 32 MiB.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between two tries.
const TRY: Duration = Duration::from_millis(5);

/// Tries until the patience is over: 20 s.
const TRIES: u32 = 4_000;

/// Tries after which it is asked for once more: a second.
const ASK_AGAIN: u32 = 200;

/// Opens the store; one that a predecessor has is waited for. Blocks.
pub(super) fn taken_over(
    store: &DiskStore,
    supervisor: &Supervisor,
) -> Result<Recovered, OpenError> {
    let mut tries = 0;
    loop {
        if tries % ASK_AGAIN == 0 {
            supervisor.prepared();
        }
        tries += 1;
        match store.open() {
            Err(OpenError::InUse { .. }) if supervisor.has_predecessor() && tries < TRIES => {
                std::thread::park_timeout(TRY);
            }
            opened => return opened,
        }
    }
}

/// Gives up what only one process can have, as often as it is asked for, until this one's place is taken.
pub(super) async fn places(ctx: Arc<Context>, mut shutdown: Shutdown) {
    let mut asked = 0;
    loop {
        let mut again = shutdown.clone();
        tokio::select! {
            times = again.asked_for_what_is_one(asked) => asked = times,
            () = shutdown.relieved() => break,
        }
        on_disk(&ctx, DiskStore::give_up).await;
    }
    // It is not to be taken back from here on, whatever becomes of the other one.
    on_disk(&ctx, |store| store.stop(PATIENCE)).await;
}

async fn on_disk(ctx: &Arc<Context>, act: impl FnOnce(&DiskStore) + Send + 'static) {
    let ctx = Arc::clone(ctx);
    let done = tokio::task::spawn_blocking(move || ctx.store.as_deref().map(act));
    drop(done.await);
}

/// Tells the supervisor that this process lives, for as long as requests could get what they all need: a
/// turn on the runtime and the lock of the cache.
pub(super) async fn live(ctx: Arc<Context>, supervisor: Arc<Supervisor>, shutdown: Shutdown) {
    let mut ended = shutdown.clone();
    let work = move || {
        drop(ctx.flow());
        true
    };
    supervisor.live(shutdown, work).await;
    ended.draining().await;
    if !ended.is_relieved() {
        supervisor.stopping();
    }
}
