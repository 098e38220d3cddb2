//! Both sides of DNS: asking a server, and being the resolver that knows a test's origins by name.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;

use crate::place::{Place, Port, host};
use crate::wait::{self, SOON};

/// A question, recursion desired.
#[must_use]
pub fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4_711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

/// Asks `server` over UDP, again if a datagram seems lost.
pub async fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Message {
    let what = format!("{server} answers {name} {kind}");
    wait::some(&what, SOON, async || try_ask(server, name, kind).await).await
}

/// Asks `server` over UDP, once; `None` if no answer comes within a second.
pub async fn try_ask(server: SocketAddr, name: &str, kind: RecordType) -> Option<Message> {
    let own = SocketAddr::new(server.ip(), 0);
    let socket = UdpSocket::bind(own).await.unwrap();
    let sent = question(name, kind);
    socket.send_to(&sent.to_vec().unwrap(), server).await.ok()?;
    let mut buffer = [0; 4_096];
    let received =
        tokio::time::timeout(std::time::Duration::from_secs(1), socket.recv(&mut buffer));
    let length = received.await.ok()?.ok()?;
    Message::from_vec(&buffer[..length]).ok()
}

/// Asks `server` over TCP.
pub async fn ask_tcp(server: SocketAddr, name: &str, kind: RecordType) -> Message {
    exchange_tcp(server, &question(name, kind)).await
}

/// Sends `message` to `server` over TCP, and reads what comes back.
pub async fn exchange_tcp(server: SocketAddr, message: &Message) -> Message {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await.unwrap();
        let bytes = message.to_vec().unwrap();
        let length = u16::try_from(bytes.len()).unwrap();
        stream.write_all(&length.to_be_bytes()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await.unwrap();
        Message::from_vec(&answer).unwrap()
    };
    wait::within("an answer over TCP", SOON, exchange).await
}

/// The addresses in an answer.
#[must_use]
pub fn addresses(answer: &Message) -> Vec<IpAddr> {
    let address = |record: &Record| match &record.data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    };
    answer.answers.iter().filter_map(address).collect()
}

/// A resolver that knows the names it was given and nothing else: everything else does not exist.
#[derive(Debug)]
pub struct Hosts {
    /// Where it answers.
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

/// What a name resolves to at the moment, and for how many seconds; `None` if it does not exist.
type Script = dyn FnMut(&str) -> Option<(Vec<IpAddr>, u32)> + Send;

impl Hosts {
    /// Answers for `hosts` at the place's address for it. A name may stand there several times.
    pub async fn start(place: &Place, hosts: &[(&str, IpAddr)]) -> Self {
        let mut known: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        for (name, ip) in hosts {
            known.entry(format!("{name}.")).or_default().push(*ip);
        }
        let script = move |name: &str| Some((known.get(name)?.clone(), 60));
        Self::start_with(place, Box::new(script)).await
    }

    /// Answers for every name with the next of `turns` each time it is asked, and tells nobody to
    /// remember it.
    pub async fn start_turning(place: &Place, turns: &[IpAddr]) -> Self {
        let (turns, mut turn) = (turns.to_vec(), 0);
        let script = move |_: &str| {
            turn += 1;
            Some((vec![turns[turn % turns.len()]], 0))
        };
        Self::start_with(place, Box::new(script)).await
    }

    async fn start_with(place: &Place, mut script: Box<Script>) -> Self {
        let addr = place.at(host::RESOLVER, Port::Resolver);
        let socket = UdpSocket::bind(addr).await.unwrap();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1_500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                if let Some(reply) = answer(&buffer[..length], &mut *script) {
                    let _ = socket.send_to(&reply, from).await;
                }
            }
        });
        Self { addr, task }
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(question: &[u8], script: &mut Script) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    let query = question.queries.first()?;
    let mut reply = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    reply.metadata.recursion_available = true;
    reply.add_query(query.clone());
    let Some((addresses, ttl)) = script(&query.name().to_ascii().to_ascii_lowercase()) else {
        reply.metadata.response_code = ResponseCode::NXDomain;
        return reply.to_vec().ok();
    };
    for ip in addresses {
        let data = match (ip, query.query_type()) {
            (IpAddr::V4(ip), RecordType::A) => RData::A(ip.into()),
            (IpAddr::V6(ip), RecordType::AAAA) => RData::AAAA(ip.into()),
            _ => continue,
        };
        reply.add_answer(Record::from_rdata(query.name().clone(), ttl, data));
    }
    reply.to_vec().ok()
}
