//! Changing places with another process of this node, and signs of life.
//!
//! Two processes can answer from the same sockets. The one that comes begins when it has proxies to name
//! that it verified itself, or has tried for long enough; until then the one before it answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::shell::signals::Shutdown;
use common::shell::supervisor::Supervisor;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// For the first checks in a predecessor's place: with nothing to find, that one has nothing either.
const CHECKS: Duration = Duration::from_secs(20);

/// Between two looks how they went.
const LOOK: Duration = Duration::from_millis(50);

/// Between two beats of a receiving thread's pulse.
const BEAT: Duration = Duration::from_secs(1);

/// Holds back those who answer, until it is opened.
#[derive(Clone, Debug)]
pub struct Gate(watch::Receiver<bool>);

/// Opens a [`Gate`].
#[derive(Debug)]
pub struct GateKeeper(watch::Sender<bool>);

/// A gate that is open, or is to be opened.
#[must_use]
pub fn gate(open: bool) -> (GateKeeper, Gate) {
    let (keeper, gate) = watch::channel(open);
    (GateKeeper(keeper), Gate(gate))
}

impl GateKeeper {
    fn open(&self) {
        let _ = self.0.send(true);
    }
}

impl Gate {
    /// Waits until it is open. Whose keeper has gone never is.
    pub async fn opened(mut self) {
        if self.0.wait_for(|open| *open).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The turns of a receiving thread.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// Counts turns of the thread that runs this, until it ends.
    pub async fn beat(self) {
        let mut turns = interval(BEAT);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Opens the gate when this process can answer as well as the one before it, and says so.
pub async fn take_over(keeper: GateKeeper, supervisor: Arc<Supervisor>, ready: impl Fn() -> bool) {
    supervisor.prepared();
    let began = Instant::now();
    while supervisor.has_predecessor() && !ready() {
        if began.elapsed() >= CHECKS {
            tracing::warn!("no proxy was verified in time: answering all the same");
            break;
        }
        sleep(LOOK).await;
    }
    keeper.open();
    supervisor.ready();
    // Whoever looks at the gate later finds it open.
    std::future::pending::<()>().await;
}

/// Tells the supervisor that this process lives, for as long as all its receiving threads have turns.
pub async fn live(supervisor: Arc<Supervisor>, pulses: Vec<Pulse>, shutdown: Shutdown) {
    let mut before: Vec<Option<u64>> = vec![None; pulses.len()];
    let all_beat = move || {
        let now: Vec<_> = pulses
            .iter()
            .map(|pulse| Some(pulse.0.load(Ordering::Relaxed)))
            .collect();
        let beat = now.iter().zip(&before).all(|(now, before)| now != before);
        before = now;
        beat
    };
    supervisor.live(shutdown.clone(), all_beat).await;
    if !shutdown.is_relieved() {
        supervisor.stopping();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_answers_before_the_gate_is_open() {
        let (keeper, gate) = gate(false);
        let mut waits = Box::pin(gate.opened());
        let now = tokio::time::timeout(Duration::ZERO, &mut waits).await;
        assert!(now.is_err());
        keeper.open();
        waits.await;
    }
}
