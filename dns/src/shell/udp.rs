//! UDP: datagrams in batches, answered on the spot.
//!
//! Nothing queues here: what the socket's buffer cannot hold the system drops, and what it does not
//! take back at once is dropped and counted. A resolver asks again.
//!
//! A socket of every address answers from the one that was asked, in a batch for each run of questions
//! that came to one address; a socket of one address does not look.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

#[cfg(target_os = "linux")]
use common::shell::datagrams::local::Local;
use common::shell::datagrams::{self, Socket};
use tokio::task::yield_now;

use super::answering::Answering;
use super::traffic::Traffic;
use crate::engine::inquiry::Transport;

/// Longest question read, in bytes; what is longer is cut off, and malformed. A question has a name,
/// a few options and perhaps a padding, in one datagram that crosses an Ethernet in one piece.
const READ_LEN: usize = 1_472;

/// Datagrams per system call. Beyond 32 a call hardly gets cheaper per datagram.
const BATCH: usize = 32;

/// Batches in a row before connections have their turn: a fraction of a millisecond.
const IN_A_ROW: usize = 4;

/// A socket with its buffers.
struct Udp {
    socket: Socket,
    buffers: Vec<[u8; READ_LEN]>,
    replies: Vec<(SocketAddr, Vec<u8>)>,
    /// Where the questions of `replies` came to, on a socket of every address.
    #[cfg(target_os = "linux")]
    locals: Option<Vec<Option<Local>>>,
    traffic: Arc<Traffic>,
}

/// Answers whatever comes to `socket`, until the thread ends.
pub async fn serve(socket: Socket, answering: Answering, traffic: Arc<Traffic>) {
    let nobody: SocketAddr = ([0; 4], 0).into();
    #[cfg(target_os = "linux")]
    let everywhere = socket
        .get()
        .local_addr()
        .is_ok_and(|addr| addr.ip().is_unspecified());
    let mut udp = Udp {
        #[cfg(target_os = "linux")]
        locals: everywhere.then(|| vec![None; BATCH]),
        socket,
        buffers: vec![[0; READ_LEN]; BATCH],
        replies: (0..BATCH)
            .map(|_| (nobody, Vec::with_capacity(512)))
            .collect(),
        traffic,
    };
    loop {
        if udp.socket.readable().await.is_err() {
            // Only a runtime that ends refuses to wait.
            return;
        }
        for batch in 1.. {
            if !udp.turn(&answering) {
                break;
            }
            if batch % IN_A_ROW == 0 {
                yield_now().await;
            }
        }
    }
}

impl Udp {
    /// Answers one batch. Whether there may be more.
    fn turn(&mut self, answering: &Answering) -> bool {
        #[cfg(target_os = "linux")]
        if self.locals.is_some() {
            let (received, made) = self.answer_everywhere(answering);
            self.send_from(made);
            return Self::may_be_more(received);
        }
        let (received, made) = self.answer(answering);
        self.send(0, made);
        Self::may_be_more(received)
    }

    /// Reads a batch and makes its replies; how that went, and how many are to be sent.
    fn answer(&mut self, answering: &Answering) -> (io::Result<()>, usize) {
        let Self {
            socket,
            buffers,
            replies,
            ..
        } = self;
        let mut made = 0;
        let received = answering.batch(Transport::Udp, |reply| {
            socket.try_read(|socket| {
                let count = datagrams::receive(socket, buffers, |from, bytes| {
                    let Some((to, out)) = replies.get_mut(made) else {
                        return;
                    };
                    if reply(from.ip(), bytes, out) {
                        *to = from;
                        made += 1;
                    }
                })?;
                if_full(count)
            })
        });
        (received, made)
    }

    /// The same, remembering where each question came to.
    #[cfg(target_os = "linux")]
    fn answer_everywhere(&mut self, answering: &Answering) -> (io::Result<()>, usize) {
        let Self {
            socket,
            buffers,
            replies,
            locals,
            ..
        } = self;
        let locals = locals.as_deref_mut().unwrap_or_default();
        let mut made = 0;
        let received = answering.batch(Transport::Udp, |reply| {
            socket.try_read(|socket| {
                let count = datagrams::local::receive(socket, buffers, |from, local, bytes| {
                    let Some(((to, out), at)) = replies.get_mut(made).zip(locals.get_mut(made))
                    else {
                        return;
                    };
                    if reply(from.ip(), bytes, out) {
                        (*to, *at) = (from, local);
                        made += 1;
                    }
                })?;
                if_full(count)
            })
        });
        (received, made)
    }

    /// Whether the socket may hold more, after a batch.
    fn may_be_more(received: io::Result<()>) -> bool {
        match received {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            // An earlier reply met a closed port.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => true,
            Err(error) => {
                tracing::debug!(%error, "reading datagrams failed");
                false
            }
        }
    }

    fn send(&self, from: usize, to: usize) {
        let rest = self.replies.get(from..to).unwrap_or_default();
        self.send_by(rest, |rest| datagrams::send(self.socket.get(), rest));
    }

    /// Sends the replies made, each run of those to questions that came to one address from there.
    #[cfg(target_os = "linux")]
    fn send_from(&self, made: usize) {
        let locals = self.locals.as_deref().unwrap_or_default();
        let locals = locals.get(..made).unwrap_or_default();
        let mut from = 0;
        for run in locals.chunk_by(|one, next| one == next) {
            let to = from + run.len();
            match run.first().copied().flatten() {
                Some(local) => self
                    .send_by(self.replies.get(from..to).unwrap_or_default(), |rest| {
                        datagrams::local::send(self.socket.get(), local, rest)
                    }),
                // The system did not say.
                None => self.send(from, to),
            }
            from = to;
        }
    }

    fn send_by(
        &self,
        mut rest: &[(SocketAddr, Vec<u8>)],
        send: impl Fn(&[(SocketAddr, Vec<u8>)]) -> io::Result<usize>,
    ) {
        while let Some((to, _)) = rest.first() {
            let done = match send(rest) {
                Ok(count) => count.max(1),
                Err(error) => {
                    tracing::debug!(%to, %error, "a reply was not sent");
                    Traffic::count(&self.traffic.unsent);
                    1
                }
            };
            rest = rest.get(done..).unwrap_or_default();
        }
    }
}

/// A batch of `count` datagrams that is not full was the last for now: then nothing is to be read until
/// the system says so again, and there is no need to try.
fn if_full(count: usize) -> io::Result<()> {
    if count < BATCH {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    Ok(())
}
