//! The whole daemon on real sockets: a scripted proxy behind it, questions before it.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of a test fail as the test does"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use common::config::{Settings, Sources};
use common::shell::signals::{Phase, Shutdown, ShutdownHandle};
use dns::shell::config::{Config, build};
use dns::shell::keys::KEYS;
use dns::shell::run::Bound;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixListener};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

/// For anything to happen.
const DEADLINE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_a_proxy_that_lives_and_forgets_one_that_hangs() {
    let proxy = Proxy::start().await;
    let daemon = Daemon::start(&[("check.fixed", &proxy.addr.to_string())]).await;
    daemon.until_ready().await;
    let reply = daemon
        .ask("WwW.example.com.nyud.test.", RecordType::A)
        .await;
    let [record] = reply.answers.as_slice() else {
        panic!("one address in {reply:?}");
    };
    assert_eq!(record.data, RData::A(Ipv4Addr::LOCALHOST.into()));
    assert_eq!(record.name.to_ascii(), "WwW.example.com.nyud.test.");
    assert!(reply.metadata.authoritative);

    proxy.behave(HANGING);
    daemon.until("not ready").await;
    assert!(
        daemon
            .page("/state")
            .await
            .contains("\"reason\": \"timeout\"")
    );
    proxy.behave(WELL);
    daemon.until_ready().await;
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_a_proxy_keeps_it_out_under_its_name() {
    for (behaviour, fault) in [
        (ERRORS, "status"),
        (WRONG_PAGE, "body"),
        (GARBAGE, "broken"),
    ] {
        let proxy = Proxy::start().await;
        proxy.behave(behaviour);
        let daemon = Daemon::start(&[("check.fixed", &proxy.addr.to_string())]).await;
        daemon.until(&format!("one of them: {fault}")).await;
        let reply = daemon
            .ask("www.example.com.nyud.test.", RecordType::A)
            .await;
        assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
        daemon.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_its_index_lists_no_longer_is_out_and_a_lost_index_changes_nothing() {
    let proxy = Proxy::start().await;
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("index.sock");
    let index = Index::start(&socket, proxy.addr);
    let path = socket.to_str().unwrap();
    let daemon = Daemon::start(&[("index.socket", path)]).await;
    daemon.until_ready().await;

    index.list(false);
    daemon.until("one of them: service_gone").await;
    index.list(true);
    daemon.until_ready().await;
    index.task.abort();
    daemon.until_counted("index_gone_total 1").await;
    let reply = daemon.ask("nyud.test.", RecordType::A).await;
    assert_eq!(reply.answers.len(), 1);
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_over_tcp_in_order_and_says_what_is_malformed() {
    let daemon = Daemon::start(&[]).await;
    let mut stream = TcpStream::connect(daemon.dns).await.unwrap();
    // RFC 7766 §6.2.1.1: several questions in one write, and one in pieces.
    let first = framed(&question("nyud.test.", RecordType::SOA, 1));
    let second = framed(&question("nyud.test.", RecordType::NS, 2));
    stream.write_all(&[first, second].concat()).await.unwrap();
    assert_eq!(receive(&mut stream).await.unwrap().metadata.id, 1);
    assert_eq!(receive(&mut stream).await.unwrap().metadata.id, 2);
    for byte in framed(&question("nyud.test.", RecordType::SOA, 3)) {
        stream.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(receive(&mut stream).await.unwrap().answers.len(), 1);
    // A question that breaks off.
    let mut broken = question("nyud.test.", RecordType::SOA, 4).to_vec().unwrap();
    broken.truncate(20);
    stream
        .write_all(&[&[0, 20], broken.as_slice()].concat())
        .await
        .unwrap();
    let reply = receive(&mut stream).await.unwrap();
    assert_eq!(
        (reply.metadata.id, reply.metadata.response_code),
        (4, ResponseCode::FormErr)
    );
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_stays_within_its_bounds() {
    let sets = [("dns.tcp_connections", "2"), ("dns.tcp_idle", "300ms")];
    let daemon = Daemon::start(&sets).await;
    let mut idle = TcpStream::connect(daemon.dns).await.unwrap();
    let mut slow = TcpStream::connect(daemon.dns).await.unwrap();
    slow.write_all(&[0]).await.unwrap();
    daemon
        .until_counted("connections_total{fate=\"taken\"} 2")
        .await;
    let mut third = TcpStream::connect(daemon.dns).await.unwrap();
    assert!(receive(&mut third).await.is_none(), "the third is closed");
    assert!(receive(&mut idle).await.is_none() && receive(&mut slow).await.is_none());
    daemon
        .until_counted("connections_total{fate=\"timed_out\"} 2")
        .await;
    daemon
        .until_counted("connections_total{fate=\"refused\"} 1")
        .await;
    let mut next = TcpStream::connect(daemon.dns).await.unwrap();
    let soa = question("nyud.test.", RecordType::SOA, 9);
    next.write_all(&framed(&soa)).await.unwrap();
    assert!(receive(&mut next).await.is_some(), "places are free again");
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edns_is_answered_within_our_bounds() {
    let daemon = Daemon::start(&[]).await;
    for asked in [4_096, 512, 1_000] {
        let mut edns = Edns::new();
        edns.set_max_payload(asked);
        let mut message = question("nyud.test.", RecordType::SOA, 5);
        message.edns = Some(edns);
        let reply = daemon.exchange(&message).await;
        // RFC 6891 §6.2.5: what this server takes, whatever the client does.
        assert_eq!(reply.edns.unwrap().max_payload(), 1_232);
    }
    // RFC 6891 §6.1.3
    let mut edns = Edns::new();
    edns.set_version(1);
    let mut message = question("nyud.test.", RecordType::SOA, 6);
    message.edns = Some(edns);
    let reply = daemon.exchange(&message).await;
    // 16 is BADVERS in EDNS and BADSIG in TSIG; the library reads it as the latter.
    assert_eq!(u16::from(reply.metadata.response_code), 16);
    assert_eq!(reply.edns.unwrap().version(), 0);
    // RFC 6891 §7: no EDNS where none was asked.
    assert!(
        daemon
            .ask("nyud.test.", RecordType::SOA)
            .await
            .edns
            .is_none()
    );
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_and_answers_get_silence_and_the_next_question_its_answer() {
    let daemon = Daemon::start(&[]).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for length in 0..12 {
        socket
            .send_to(&vec![0xff; length], daemon.dns)
            .await
            .unwrap();
    }
    let mut answer = question("nyud.test.", RecordType::SOA, 7);
    answer.metadata.message_type = MessageType::Response;
    socket
        .send_to(&answer.to_vec().unwrap(), daemon.dns)
        .await
        .unwrap();
    let real = question("nyud.test.", RecordType::SOA, 8).to_vec().unwrap();
    socket.send_to(&real, daemon.dns).await.unwrap();
    let mut buffer = [0; 2_048];
    let length = timeout(DEADLINE, socket.recv(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    let first = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!(first.metadata.id, 8, "the first thing that came back");
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_why_it_is_not_ready_and_which_port_is_taken() {
    let daemon = Daemon::start(&[]).await;
    let page = daemon.page("/readyz").await;
    assert!(
        page.contains("no proxy is known: set check.fixed or index.socket"),
        "{page}"
    );
    let taken = daemon.dns.to_string();
    let error = Bound::new(config(&[("dns.listen", &taken)]))
        .await
        .unwrap_err()
        .to_string();
    let expected = format!("cannot listen on {taken} (dns.listen)");
    assert!(
        error.contains(&expected) && error.contains("another program"),
        "{error}"
    );
    daemon.end().await;
}

const WELL: u8 = 0;
const HANGING: u8 = 1;
const ERRORS: u8 = 2;
const WRONG_PAGE: u8 = 3;
const GARBAGE: u8 = 4;

/// A proxy that does what it is told.
struct Proxy {
    addr: SocketAddr,
    behaviour: Arc<AtomicU8>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let behaviour = Arc::new(AtomicU8::new(WELL));
        let told = Arc::clone(&behaviour);
        tokio::spawn(async move {
            let mut hung = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1_024];
                let length = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..length]);
                let asked = request.starts_with("GET /atoll/check HTTP/1.1\r\n")
                    && request.contains("host: check.nyud.test\r\n");
                let page: &[u8] = match told.load(Ordering::SeqCst) {
                    WELL if asked => b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n",
                    WRONG_PAGE => b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nno\n",
                    GARBAGE => b"what?\r\n\r\n",
                    HANGING => {
                        hung.push(stream);
                        continue;
                    }
                    _ => b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
                };
                drop(stream.write_all(page).await);
            }
        });
        Self { addr, behaviour }
    }

    fn behave(&self, behaviour: u8) {
        self.behaviour.store(behaviour, Ordering::SeqCst);
    }
}

/// An index daemon that knows one proxy.
struct Index {
    listed: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Index {
    fn start(socket: &Path, proxy: SocketAddr) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let listed = Arc::new(AtomicBool::new(true));
        let told = Arc::clone(&listed);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4_096];
                let length = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..length]);
                let http = format!(r#"{{"name":"http","addr":"{proxy}"}}"#);
                let listed = told.load(Ordering::SeqCst);
                let body = if request.starts_with("POST /v1/nodes ") {
                    let id = "ab".repeat(20);
                    let node =
                        format!(r#""id":"{id}","addr":"192.0.2.1:4000","services":[{http}]"#);
                    format!(r#"{{"nodes":[{{{node}}}]}}"#)
                } else {
                    let services = if listed { http.as_str() } else { "" };
                    format!(r#"{{"rtt_us":900,"services":[{services}]}}"#)
                };
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length:";
                let answer = format!("{head} {}\r\n\r\n{body}", body.len());
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
        Self { listed, task }
    }

    fn list(&self, listed: bool) {
        self.listed.store(listed, Ordering::SeqCst);
    }
}

/// A daemon on free ports.
struct Daemon {
    dns: SocketAddr,
    admin: SocketAddr,
    handle: ShutdownHandle,
    task: JoinHandle<()>,
}

impl Daemon {
    async fn start(sets: &[(&str, &str)]) -> Self {
        let bound = Bound::new(config(sets)).await.unwrap();
        let (dns, admin) = (bound.addresses()[0], bound.admin_address().unwrap());
        let (handle, shutdown) = Shutdown::manual();
        let ender = handle.clone();
        let task = tokio::spawn(async move { bound.serve(&ender, shutdown).await.unwrap() });
        Self {
            dns,
            admin,
            handle,
            task,
        }
    }

    async fn end(self) {
        self.handle.advance(Phase::Draining);
        timeout(DEADLINE, self.task).await.unwrap().unwrap();
    }

    async fn ask(&self, name: &str, qtype: RecordType) -> Message {
        self.exchange(&question(name, qtype, 77)).await
    }

    async fn exchange(&self, message: &Message) -> Message {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket
            .send_to(&message.to_vec().unwrap(), self.dns)
            .await
            .unwrap();
        let mut buffer = [0; 2_048];
        let length = timeout(DEADLINE, socket.recv(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        Message::from_vec(&buffer[..length]).unwrap()
    }

    async fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut page = String::new();
        timeout(DEADLINE, stream.read_to_string(&mut page))
            .await
            .unwrap()
            .unwrap();
        page
    }

    async fn until_ready(&self) {
        self.wait_for("/readyz", "\r\n\r\nready").await;
    }

    async fn until(&self, text: &str) {
        self.wait_for("/readyz", text).await;
    }

    async fn until_counted(&self, line: &str) {
        self.wait_for("/metrics", line).await;
    }

    /// Looks at a page again and again until it has `text`.
    async fn wait_for(&self, path: &str, text: &str) {
        let clock = SystemClock::new();
        let end: Moment = clock.moment() + DEADLINE;
        let mut ticks = interval(Duration::from_millis(10));
        loop {
            let page = self.page(path).await;
            if page.contains(text) {
                return;
            }
            assert!(clock.moment() < end, "never \"{text}\" on {path}: {page}");
            ticks.tick().await;
        }
    }
}

fn config(sets: &[(&str, &str)]) -> Config {
    let defaults = [
        ("zone", "nyud.test"),
        ("dns.listen", "127.0.0.1:0"),
        ("admin.listen", "127.0.0.1:0"),
    ];
    let all = defaults.iter().chain(sets);
    let sets: Vec<_> = all.map(|(key, value)| format!("{key}={value}")).collect();
    let sources = Sources {
        sets: &sets,
        ..Sources::default()
    };
    let mut settings = Settings::resolve(KEYS, &sources);
    let config = build(&mut settings);
    settings.finish().unwrap();
    config.unwrap()
}

fn question(name: &str, qtype: RecordType, id: u16) -> Message {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), qtype));
    message
}

fn framed(message: &Message) -> Vec<u8> {
    let bytes = message.to_vec().unwrap();
    let mut framed = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(bytes);
    framed
}

/// The next message, or `None` if the connection was closed.
async fn receive(stream: &mut TcpStream) -> Option<Message> {
    let length = timeout(DEADLINE, stream.read_u16()).await.unwrap().ok()?;
    let mut bytes = vec![0; usize::from(length)];
    timeout(DEADLINE, stream.read_exact(&mut bytes))
        .await
        .unwrap()
        .ok()?;
    Message::from_vec(&bytes).ok()
}
