//! TCP, within bounds (RFC 7766): connections at once, in all and per neighbourhood; patience with
//! each question and each reply; a lifetime; bytes in hand.
//!
//! A client may send as many questions as it likes before it reads: they are answered in turn, all
//! that have come at a time, and their replies leave together. Answers are at hand at once, so
//! nothing would be gained by another order. While a client does not take its replies, no more of
//! its questions are read.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::answering::Answering;
use super::places::{NoPlace, Places};
use super::traffic::Traffic;
use crate::engine::inquiry::Transport;

/// Longest a connection lives, whatever it does: nobody owns a place for ever.
const LIFETIME_MAX: Duration = Duration::from_secs(120);

/// After an accept that failed, most likely for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes read at once. A buffer grows beyond it only as far as one message that has come in part.
const READ_LEN: usize = 4_096;

/// Replies in hand, in bytes, beyond which they are sent before more questions are answered.
const REPLIES_MAX: usize = 16_384;

/// Bytes of the length before each message (RFC 1035 §4.2.2).
const FRAME: usize = 2;

/// What one listener needs.
#[derive(Clone, Debug)]
pub struct Tcp {
    /// Answers.
    pub answering: Answering,
    /// Counts.
    pub traffic: Arc<Traffic>,
    /// Places for connections.
    pub places: Places,
    /// Patience for one question or for taking replies.
    pub idle: Duration,
}

/// Why a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    /// The client closed it, or broke off.
    Client,
    /// A question or the taking of a reply took too long.
    TimedOut,
    /// It sent something that no answer is known for.
    Hopeless,
}

/// Serves `listener` until the thread ends.
pub async fn serve(listener: TcpListener, tcp: Tcp) {
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let place = match tcp.places.take(from.ip()) {
            Ok(place) => place,
            Err(NoPlace::Full) => {
                Traffic::count(&tcp.traffic.tcp_refused);
                continue;
            }
            Err(NoPlace::Crowded) => {
                Traffic::count(&tcp.traffic.tcp_crowded);
                continue;
            }
        };
        Traffic::count(&tcp.traffic.tcp_taken);
        let tcp = tcp.clone();
        spawn_local(async move {
            let end = Instant::now() + LIFETIME_MAX;
            let talk = Connection::new(stream, from).converse(&tcp);
            let ending = timeout_at(end, talk).await.unwrap_or(Ending::TimedOut);
            if ending == Ending::TimedOut {
                Traffic::count(&tcp.traffic.tcp_timed_out);
            }
            drop(place);
        });
    }
}

/// A connection.
struct Connection {
    stream: TcpStream,
    from: SocketAddr,
    received: Vec<u8>,
    replies: Vec<u8>,
    reply: Vec<u8>,
}

impl Connection {
    const fn new(stream: TcpStream, from: SocketAddr) -> Self {
        Self {
            stream,
            from,
            received: Vec::new(),
            replies: Vec::new(),
            reply: Vec::new(),
        }
    }

    async fn converse(mut self, tcp: &Tcp) -> Ending {
        loop {
            // Until a whole question is there, however slowly its bytes come.
            match timeout(tcp.idle, self.receive()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ending::Client,
                Err(_) => return Ending::TimedOut,
            }
            while whole(&self.received).is_some() {
                let answerable = self.answer(&tcp.answering);
                let sent = timeout(tcp.idle, self.stream.write_all(&self.replies)).await;
                self.replies.clear();
                match sent {
                    Ok(Ok(())) if answerable => {}
                    Ok(Ok(())) => return Ending::Hopeless,
                    Ok(Err(_)) => return Ending::Client,
                    Err(_) => return Ending::TimedOut,
                }
            }
        }
    }

    /// Reads until a whole message is there. The buffer grows with what arrives, not with what is
    /// announced.
    async fn receive(&mut self) -> io::Result<()> {
        while whole(&self.received).is_none() {
            self.received.reserve(READ_LEN);
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Answers the messages that are there whole, until there are enough replies in hand. Whether
    /// every one could be answered.
    fn answer(&mut self, answering: &Answering) -> bool {
        let Self {
            from,
            received,
            replies,
            reply,
            ..
        } = self;
        let mut done = 0;
        let answerable = answering.batch(Transport::Tcp, |answer| {
            while let Some(message) = whole(received.get(done..).unwrap_or_default()) {
                done += FRAME + message.len();
                if !answer(from.ip(), message, reply) {
                    return false;
                }
                // A reply is never longer than a message can be.
                let length = u16::try_from(reply.len()).unwrap_or(u16::MAX);
                replies.extend_from_slice(&length.to_be_bytes());
                replies.extend_from_slice(reply);
                if replies.len() >= REPLIES_MAX {
                    break;
                }
            }
            true
        });
        received.drain(..done);
        answerable
    }
}

/// The first message in `bytes`, if all of it is there.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<FRAME>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_there_when_its_last_byte_is() {
        assert_eq!(whole(&[]), None);
        assert_eq!(whole(&[0]), None);
        assert_eq!(whole(&[0, 0]), Some(&[][..]));
        assert_eq!(whole(&[0, 2, 7]), None);
        assert_eq!(whole(&[0, 2, 7, 8, 9]), Some(&[7, 8][..]));
        assert_eq!(whole(&[0xff, 0xff, 7]), None);
    }
}
