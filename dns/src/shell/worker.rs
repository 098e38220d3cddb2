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
use tokio::task::{LocalSet, spawn_local};

use super::answering::Answering;
use super::places::Places;
use super::sockets::Pair;
use super::tcp::{self, Tcp};
use super::traffic::Traffic;
use super::udp;

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
                match self.open(&answering()) {
                    Ok(()) => shutdown.draining().await,
                    Err(error) => tracing::error!(%error, "a receiving thread has no sockets"),
                }
            };
            runtime.block_on(all.run_until(work));
            // What was begun is answered; connections end with the tasks that own them.
            drop(all);
            // Only a daemon that ended before does not listen.
            let _ = ended.send(());
        };
        thread::Builder::new()
            .name("answer".to_owned())
            .spawn(run)?;
        Ok(end)
    }

    fn open(self, answering: &Answering) -> io::Result<()> {
        for Pair { udp, tcp } in self.sockets {
            let socket = Socket::new(udp)?;
            let listener = TcpListener::from_std(tcp)?;
            spawn_local(udp::serve(
                socket,
                answering.clone(),
                Arc::clone(&self.traffic),
            ));
            let tcp = Tcp {
                answering: answering.clone(),
                traffic: Arc::clone(&self.traffic),
                places: self.places.clone(),
                idle: self.tcp_idle,
            };
            spawn_local(tcp::serve(listener, tcp));
        }
        Ok(())
    }
}
