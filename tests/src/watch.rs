//! Watches whom a name server names: asks it all the time and remembers when each address was named
//! last. A proxy that died is forgotten from the last answer on that named it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::clock::Moment;
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::origin::ZONE;
use crate::resolver::{addresses, question};
use crate::wait::{now, pause};

/// Between an answer and the next question of one asker.
const PAUSE: Duration = Duration::from_millis(2);

/// Questions asked at once by each asker, so that it sees four times as many answers.
const TOGETHER: u16 = 4;

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// When each address was named last: the moment its answer was read.
    pub named: BTreeMap<IpAddr, Moment>,
    /// Answers with addresses.
    pub answers: u64,
    /// Answers without any.
    pub empty: u64,
    /// Questions that got no answer within a second.
    pub silent: u64,
}

/// Who is told of each address in each answer.
type Listener = dyn Fn(IpAddr, Moment) + Send + Sync;

/// Askers at work; they end with it.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    askers: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

impl Watch {
    /// So many askers of `server`.
    #[must_use]
    pub fn start(server: SocketAddr, askers: usize) -> Self {
        Self::listening(server, askers, Arc::new(|_, _| {}))
    }

    /// The same, with somebody who is told of each address in each answer.
    #[must_use]
    pub fn listening(server: SocketAddr, askers: usize, listener: Arc<Listener>) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let start = |n| {
            let (seen, listener) = (Arc::clone(&seen), Arc::clone(&listener));
            tokio::spawn(async move { ask_on(server, n, &seen, &*listener).await })
        };
        Self {
            askers: (0..askers).map(start).collect(),
            seen,
        }
    }

    /// What was seen so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// When `ip` was named last.
    #[must_use]
    pub fn last_named(&self, ip: IpAddr) -> Option<Moment> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.named.get(&ip).copied()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.askers.iter().for_each(JoinHandle::abort);
    }
}

async fn ask_on(server: SocketAddr, asker: usize, seen: &Mutex<Seen>, listener: &Listener) {
    let socket = UdpSocket::bind(SocketAddr::new(server.ip(), 0))
        .await
        .unwrap();
    let mut buffer = [0; 1_500];
    for n in 0_u64.. {
        // Fresh names, as visitors of many sites ask for them.
        let name = format!("w{n}.a{asker}.example.com.{ZONE}.");
        let mut asked = question(&name, RecordType::A);
        let mut waiting = 0;
        for id in 0..TOGETHER {
            asked.metadata.id = id;
            let sent = socket.send_to(&asked.to_vec().unwrap(), server).await;
            waiting += u16::from(sent.is_ok());
        }
        for _ in 0..waiting {
            let received = timeout(Duration::from_secs(1), socket.recv(&mut buffer)).await;
            let Ok(Ok(length)) = received else {
                seen.lock().unwrap_or_else(PoisonError::into_inner).silent += 1;
                break;
            };
            let Ok(answer) = Message::from_vec(&buffer[..length]) else {
                continue;
            };
            note(&addresses(&answer), seen, listener);
        }
        pause(PAUSE).await;
    }
}

fn note(named: &[IpAddr], seen: &Mutex<Seen>, listener: &Listener) {
    let read = now();
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    if named.is_empty() {
        seen.empty += 1;
    } else {
        seen.answers += 1;
    }
    for ip in named {
        seen.named.insert(*ip, read);
        listener(*ip, read);
    }
}
