//! Runs the delegation watch: its timer, and its questions over UDP, again over TCP if the answer was
//! cut. Each step has one deadline; nothing here outlives it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::clock::{Clock as _, SystemClock};
use common::rng::Generator;
use common::shell::signals::Shutdown;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as Asked};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::lock;
use crate::engine::watch::{Action, Change, Heard, Query, Watch};

/// Datagrams sent for one question.
const ATTEMPTS: u32 = 2;

/// Largest answer over UDP that is asked for, in bytes (DNS flag day 2020).
const PAYLOAD: u16 = 1_232;

/// The task.
#[derive(Clone, Debug)]
pub struct Watcher {
    /// The engine; the admin pages read it.
    pub watch: Arc<Mutex<Watch>>,
    /// For one question, with all its attempts.
    pub timeout: Duration,
    /// The clock.
    pub clock: SystemClock,
}

impl Watcher {
    /// Runs until the process drains.
    pub async fn run(self, mut rng: Generator, mut shutdown: Shutdown) {
        loop {
            let action = lock(&self.watch).act(self.clock.moment());
            let step = async {
                match action {
                    Action::Wait(at) => {
                        sleep_until(Instant::from_std(self.clock.instant(at))).await;
                        None
                    }
                    Action::Ask(queries) => Some(ask_all(queries, self.timeout, &mut rng).await),
                }
            };
            let heard = tokio::select! {
                () = shutdown.draining() => return,
                heard = step => heard,
            };
            if let Some(heard) = heard {
                let change = lock(&self.watch).handle_answers(self.clock.moment(), &heard);
                if let Some(change) = change {
                    log(&change);
                }
            }
        }
    }
}

fn log(change: &Change) {
    let zone = change.zone.to_ascii();
    for difference in &change.found {
        let (mismatch, server) = (difference.mismatch, &difference.server);
        let detail = &difference.detail;
        tracing::warn!(zone, %mismatch, server, detail, "the delegation differs from the zone");
    }
    for difference in &change.gone {
        let (mismatch, server) = (difference.mismatch, &difference.server);
        tracing::info!(zone, %mismatch, server, "the delegation differs no more");
    }
}

async fn ask_all(
    queries: Vec<Query>,
    allowed: Duration,
    rng: &mut Generator,
) -> Vec<Option<Heard>> {
    let mut heard: Vec<Option<Heard>> = vec![None; queries.len()];
    let mut tasks = JoinSet::new();
    for (place, query) in queries.into_iter().enumerate() {
        let id = u16::from_be_bytes(rng.bytes());
        tasks.spawn(async move { (place, ask(&query, id, allowed).await) });
    }
    while let Some(done) = tasks.join_next().await {
        if let Ok((place, answer)) = done
            && let Some(slot) = heard.get_mut(place)
        {
            *slot = answer;
        }
    }
    heard
}

/// The answer to `query`; `None` if none comes in time, or nothing that is one.
async fn ask(query: &Query, id: u16, allowed: Duration) -> Option<Heard> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = query.recursive;
    message.add_query(Asked::query(query.name.clone(), query.kind));
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD);
    message.set_edns(edns);
    let bytes = message.to_vec().ok()?;
    let asking = async {
        let answer = over_udp(query.server, &bytes, id, allowed / ATTEMPTS).await?;
        if answer.metadata.truncation {
            return over_tcp(query.server, &bytes, id).await;
        }
        Some(answer)
    };
    let answer = timeout(allowed, asking).await.ok()??;
    let mut others = answer.authorities;
    others.extend(answer.additionals);
    Some(Heard {
        code: answer.metadata.response_code,
        authoritative: answer.metadata.authoritative,
        answers: answer.answers,
        others,
    })
}

async fn over_udp(server: SocketAddr, bytes: &[u8], id: u16, each: Duration) -> Option<Message> {
    let own: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own).await.ok()?;
    socket.connect(server).await.ok()?;
    let mut buffer = [0; PAYLOAD as usize];
    for _ in 0..ATTEMPTS {
        socket.send(bytes).await.ok()?;
        let received = timeout(each, async {
            loop {
                let length = socket.recv(&mut buffer).await.ok()?;
                let answer = buffer.get(..length).and_then(|bytes| read(bytes, id));
                if answer.is_some() {
                    return answer;
                }
            }
        });
        match received.await {
            Ok(answer) => return answer,
            Err(_) => continue,
        }
    }
    None
}

async fn over_tcp(server: SocketAddr, bytes: &[u8], id: u16) -> Option<Message> {
    let mut stream = TcpStream::connect(server).await.ok()?;
    let mut framed = u16::try_from(bytes.len()).ok()?.to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    stream.write_all(&framed).await.ok()?;
    let length = stream.read_u16().await.ok()?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.ok()?;
    read(&answer, id)
}

fn read(bytes: &[u8], id: u16) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    let ours = answer.metadata.id == id && answer.metadata.message_type == MessageType::Response;
    ours.then_some(answer)
}
