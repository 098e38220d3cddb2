//! Signals as events: stop politely on SIGTERM and SIGINT, at once on the second one.
//!
//! Two more come from a supervisor that lets another process take this one's place: SIGUSR1 asks for what
//! only one process can have, SIGUSR2 says that the other one serves. Both only ever come to a process
//! that had its sockets kept.

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

/// How far it has come, and how it came to that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Course {
    phase: Phase,
    /// How often a successor asked for what only one can have.
    asked: u32,
    /// Another process serves.
    relieved: bool,
}

/// Tells every task of a process when to end. Clones watch the same process.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<Course>);

/// The side that starts a shutdown.
#[derive(Clone, Debug)]
pub struct ShutdownHandle(watch::Sender<Course>);

impl ShutdownHandle {
    /// Moves on to `phase`; never back.
    pub fn advance(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let later = phase > now.phase;
            if later {
                now.phase = phase;
            }
            later
        });
    }

    /// A successor asks for what only one process can have.
    pub fn ask_for_what_is_one(&self) {
        self.0.send_modify(|now| now.asked += 1);
    }

    /// Another process serves: drains, and leaves to that one what both are known for.
    pub fn relieve(&self) {
        self.0.send_modify(|now| now.relieved = true);
        self.advance(Phase::Draining);
    }
}

impl Shutdown {
    /// A shutdown that only its handle starts.
    #[must_use]
    pub fn manual() -> (ShutdownHandle, Self) {
        let (sender, receiver) = watch::channel(Course {
            phase: Phase::Running,
            asked: 0,
            relieved: false,
        });
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
        let asked = signal(SignalKind::user_defined1())?;
        let relieved = signal(SignalKind::user_defined2())?;
        tokio::spawn(forward(term, interrupt, handle.clone()));
        tokio::spawn(change_places(asked, relieved, handle.clone()));
        Ok((handle, shutdown))
    }

    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.borrow().phase
    }

    /// Whether another process serves in this one's place.
    #[must_use]
    pub fn is_relieved(&self) -> bool {
        self.0.borrow().relieved
    }

    /// Waits until another process serves in this one's place.
    pub fn relieved(&mut self) -> impl Future<Output = ()> + Send {
        self.comes(|now| now.relieved)
    }

    /// Waits until a successor asks for what only one process can have, more than `before` times. Gives
    /// how often it has.
    pub async fn asked_for_what_is_one(&mut self, before: u32) -> u32 {
        let asked = self.0.wait_for(|now| now.asked > before).await;
        let asked = asked.map(|now| now.asked);
        match asked {
            Ok(asked) => asked,
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until the process drains, or worse.
    pub fn draining(&mut self) -> impl Future<Output = ()> + Send {
        self.comes(|now| now.phase >= Phase::Draining)
    }

    /// Waits until everything is to be dropped.
    pub fn abandoned(&mut self) -> impl Future<Output = ()> + Send {
        self.comes(|now| now.phase >= Phase::Abandoned)
    }

    /// Waits until it is so. Thousands do: each layer of futures and each thing that they hold takes room.
    async fn comes(&mut self, so: impl Fn(&Course) -> bool + Send) {
        if self.0.wait_for(so).await.is_err() {
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

async fn change_places(mut asked: Signal, mut relieved: Signal, handle: ShutdownHandle) {
    loop {
        tokio::select! {
            _ = asked.recv() => handle.ask_for_what_is_one(),
            _ = relieved.recv() => break,
        }
    }
    tracing::info!("another process serves: finishing what was begun");
    handle.relieve();
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

    #[tokio::test]
    async fn who_is_relieved_drains_and_knows_why() {
        let (handle, mut shutdown) = Shutdown::manual();
        handle.ask_for_what_is_one();
        assert_eq!(shutdown.asked_for_what_is_one(0).await, 1);
        assert_eq!(shutdown.phase(), Phase::Running, "it goes on serving");
        assert!(!shutdown.is_relieved());
        handle.relieve();
        shutdown.draining().await;
        assert!(shutdown.is_relieved());
        assert_eq!(shutdown.phase(), Phase::Draining);
    }
}
