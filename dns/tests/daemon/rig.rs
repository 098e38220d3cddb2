//! A daemon on free ports, and what it needs around it: a proxy that does what it is told, an index
//! that knows one proxy.

use std::net::SocketAddr;
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
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixListener};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

/// For anything to happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) const WELL: u8 = 0;
pub(crate) const HANGING: u8 = 1;
pub(crate) const ERRORS: u8 = 2;
pub(crate) const WRONG_PAGE: u8 = 3;
pub(crate) const GARBAGE: u8 = 4;

/// A proxy that does what it is told.
pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    behaviour: Arc<AtomicU8>,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
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

    pub(crate) fn behave(&self, behaviour: u8) {
        self.behaviour.store(behaviour, Ordering::SeqCst);
    }
}

/// An index daemon that knows one proxy.
pub(crate) struct Index {
    listed: Arc<AtomicBool>,
    pub(crate) task: JoinHandle<()>,
}

impl Index {
    pub(crate) fn start(socket: &Path, proxy: SocketAddr) -> Self {
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
                    format!(r#"{{"pings":[{{"rtt_us":900,"services":[{services}]}}]}}"#)
                };
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length:";
                let answer = format!("{head} {}\r\n\r\n{body}", body.len());
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
        Self { listed, task }
    }

    pub(crate) fn list(&self, listed: bool) {
        self.listed.store(listed, Ordering::SeqCst);
    }
}

/// A daemon on free ports.
pub(crate) struct Daemon {
    pub(crate) dns: SocketAddr,
    admin: SocketAddr,
    handle: ShutdownHandle,
    task: JoinHandle<()>,
}

impl Daemon {
    pub(crate) async fn start(sets: &[(&str, &str)]) -> Self {
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

    pub(crate) async fn end(self) {
        self.handle.advance(Phase::Draining);
        timeout(DEADLINE, self.task).await.unwrap().unwrap();
    }

    pub(crate) async fn ask(&self, name: &str, qtype: RecordType) -> Message {
        self.exchange(&question(name, qtype, 77)).await
    }

    pub(crate) async fn exchange(&self, message: &Message) -> Message {
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

    pub(crate) async fn page(&self, path: &str) -> String {
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

    pub(crate) async fn until_ready(&self) {
        self.wait_for("/readyz", "\r\n\r\nready").await;
    }

    pub(crate) async fn until(&self, text: &str) {
        self.wait_for("/readyz", text).await;
    }

    pub(crate) async fn until_counted(&self, line: &str) {
        self.wait_for("/metrics", line).await;
    }

    /// Looks at a page again and again until it has `text`.
    pub(crate) async fn wait_for(&self, path: &str, text: &str) {
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

pub(crate) fn config(sets: &[(&str, &str)]) -> Config {
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

pub(crate) fn question(name: &str, qtype: RecordType, id: u16) -> Message {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), qtype));
    message
}

pub(crate) fn framed(message: &Message) -> Vec<u8> {
    let bytes = message.to_vec().unwrap();
    let mut framed = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(bytes);
    framed
}

/// The next message, or `None` if the connection was closed.
pub(crate) async fn receive(stream: &mut TcpStream) -> Option<Message> {
    let length = timeout(DEADLINE, stream.read_u16()).await.unwrap().ok()?;
    let mut bytes = vec![0; usize::from(length)];
    timeout(DEADLINE, stream.read_exact(&mut bytes))
        .await
        .unwrap()
        .ok()?;
    Message::from_vec(&bytes).ok()
}
