//! UDP: datagrams in batches, answered on the spot.
//!
//! Nothing queues here: what the socket's buffer cannot hold the system drops, and what it does not
//! take back at once is dropped and counted. A resolver asks again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use common::shell::datagrams;
use tokio::io::Interest;
use tokio::net::UdpSocket;
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
    socket: UdpSocket,
    buffers: Vec<[u8; READ_LEN]>,
    replies: Vec<(SocketAddr, Vec<u8>)>,
    traffic: Arc<Traffic>,
}

/// Answers whatever comes to `socket`, until the thread ends.
pub async fn serve(socket: UdpSocket, answering: Answering, traffic: Arc<Traffic>) {
    let nobody: SocketAddr = ([0; 4], 0).into();
    let mut udp = Udp {
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
        let Self {
            socket,
            buffers,
            replies,
            ..
        } = self;
        let (mut made, mut count) = (0, 0);
        let received = answering.batch(Transport::Udp, |reply| {
            socket.try_io(Interest::READABLE, || {
                count = datagrams::receive(socket, buffers, |from, bytes| {
                    let Some((to, out)) = replies.get_mut(made) else {
                        return;
                    };
                    if reply(from.ip(), bytes, out) {
                        *to = from;
                        made += 1;
                    }
                })?;
                // A batch that is not full was the last for now: then nothing is to be read until
                // the system says so again, and there is no need to try.
                if count < BATCH {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(())
            })
        });
        self.send(made);
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

    fn send(&self, made: usize) {
        let mut rest = self.replies.get(..made).unwrap_or_default();
        while let Some((to, _)) = rest.first() {
            let done = match datagrams::send(&self.socket, rest) {
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
