//! A receiving thread: its own sockets, its own answering engine, its own scheduler.
//!
//! It shares nothing with other threads on the way of a question: the snapshot is an `Arc` of its
//! own, the counters are copied out after each batch, places for connections are asked once per
//! connection.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::shell::datagrams::Socket;
use common::shell::signals::Shutdown;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::timeout;

use super::answering::Answering;
use super::change::{Gate, Pulse};
use super::places::Places;
use super::sockets::Pair;
use super::tcp::{self, Tcp};
use super::traffic::Traffic;
use super::udp;

/// For those who are connected, when another process takes what is new.
const LINGER: Duration = Duration::from_secs(2);

/// What every thread shares with the others, or has of its own.
#[derive(Debug)]
pub struct Worker {
    /// One pair of sockets per address.
    pub sockets: Vec<Pair>,
    /// Counts.
    pub traffic: Arc<Traffic>,
    /// Places for connections.
    pub places: Places,
    /// Patience with a connection.
    pub tcp_idle: Duration,
    /// When to begin.
    pub gate: Gate,
    /// Counts its turns.
    pub pulse: Pulse,
}

impl Worker {
    /// Starts the thread, which makes its engine with `answering`. What is returned ends with it.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        self,
        answering: impl FnOnce() -> Answering + Send + 'static,
        mut shutdown: Shutdown,
    ) -> io::Result<oneshot::Receiver<()>> {
        let (ended, end) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let run = move || {
            let all = LocalSet::new();
            let work = async {
                let answering = answering();
                tokio::select! {
                    () = self.gate.clone().opened() => {}
                    () = shutdown.draining() => return,
                }
                match self.open(&answering) {
                    Ok(doors) => {
                        shutdown.draining().await;
                        // Between two batches, so that what was read is answered.
                        doors.iter().for_each(JoinHandle::abort);
                    }
                    Err(error) => tracing::error!(%error, "a receiving thread has no sockets"),
                }
            };
            runtime.block_on(all.run_until(work));
            if shutdown.is_relieved() {
                // Who is connected may have a question on its way; new ones come to the other process.
                drop(runtime.block_on(async { timeout(LINGER, all).await }));
            }
            // Connections end with the tasks that own them.
            // Only a daemon that ended before does not listen.
            let _ = ended.send(());
        };
        thread::Builder::new()
            .name("answer".to_owned())
            .spawn(run)?;
        Ok(end)
    }

    fn open(self, answering: &Answering) -> io::Result<Vec<JoinHandle<()>>> {
        let mut doors = vec![spawn_local(self.pulse.beat())];
        for Pair { udp, tcp } in self.sockets {
            let socket = Socket::new(udp)?;
            let listener = TcpListener::from_std(tcp)?;
            let datagrams = udp::serve(socket, answering.clone(), Arc::clone(&self.traffic));
            doors.push(spawn_local(datagrams));
            let tcp = Tcp {
                answering: answering.clone(),
                traffic: Arc::clone(&self.traffic),
                places: self.places.clone(),
                idle: self.tcp_idle,
            };
            doors.push(spawn_local(tcp::serve(listener, tcp)));
        }
        Ok(doors)
    }
}
