//! Signals as events: stop politely on SIGTERM and SIGINT, at once on the second one.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How far the end of the process has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Serving.
    Running,
    /// Finish what was begun, take nothing new.
    Draining,
    /// Drop everything.
    Abandoned,
}

/// Tells every task of a process when to end. Clones watch the same process.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<Phase>);

/// The side that starts a shutdown.
#[derive(Clone, Debug)]
pub struct ShutdownHandle(watch::Sender<Phase>);

impl ShutdownHandle {
    /// Moves on to `phase`; never back.
    pub fn advance(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let later = phase > *now;
            if later {
                *now = phase;
            }
            later
        });
    }
}

impl Shutdown {
    /// A shutdown that only its handle starts.
    #[must_use]
    pub fn manual() -> (ShutdownHandle, Self) {
        let (sender, receiver) = watch::channel(Phase::Running);
        (ShutdownHandle(sender), Self(receiver))
    }

    /// A shutdown that SIGTERM or SIGINT starts; a second signal abandons what still runs.
    ///
    /// # Errors
    /// The process cannot install signal handlers.
    pub fn on_signals() -> std::io::Result<(ShutdownHandle, Self)> {
        let (handle, shutdown) = Self::manual();
        let term = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        tokio::spawn(forward(term, interrupt, handle.clone()));
        Ok((handle, shutdown))
    }

    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Waits until the process drains, or worse.
    pub async fn draining(&mut self) {
        self.reached(Phase::Draining).await;
    }

    /// Waits until everything is to be dropped.
    pub async fn abandoned(&mut self) {
        self.reached(Phase::Abandoned).await;
    }

    async fn reached(&mut self, phase: Phase) {
        if self.0.wait_for(|now| *now >= phase).await.is_err() {
            // Whoever could have said so is gone: then nothing ends this wait but its own task.
            std::future::pending::<()>().await;
        }
    }
}

async fn forward(mut term: Signal, mut interrupt: Signal, handle: ShutdownHandle) {
    for phase in [Phase::Draining, Phase::Abandoned] {
        let name = tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, ?phase, "stopping");
        handle.advance(phase);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn phases_only_move_on() {
        let (handle, mut shutdown) = Shutdown::manual();
        assert_eq!(shutdown.phase(), Phase::Running);
        handle.advance(Phase::Abandoned);
        handle.advance(Phase::Draining);
        shutdown.draining().await;
        shutdown.abandoned().await;
        assert_eq!(shutdown.phase(), Phase::Abandoned);
    }
}
