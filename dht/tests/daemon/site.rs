//! Daemons of a test's own: one directory, one secret, free ports.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::clock::{Clock as _, SystemClock};
use common::config::{Settings, Sources};
use common::ids::Key;
use common::rng::Generator;
use common::shell::secret;
use common::shell::signals::{Phase, Shutdown, ShutdownHandle};
use common::wire::secret::NetworkSecret;
use dht::client::Client;
use dht::shell::{Daemon, DaemonConfig, KEYS};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) const SOON: Duration = Duration::from_secs(5);

/// A directory with one secret for all daemons of a test.
pub(crate) struct Site {
    dir: TempDir,
}

pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) socket: PathBuf,
    pub(crate) client: Client,
    handle: ShutdownHandle,
    task: JoinHandle<()>,
}

impl Site {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = NetworkSecret::generate(&mut Generator::from_seed(1));
        secret::create(&dir.path().join("secret"), &made).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn config(&self, name: &str, sets: &[String]) -> DaemonConfig {
        let mut all = vec![
            "udp.listen=127.0.0.1:0".to_owned(),
            "admin.listen=127.0.0.1:0".to_owned(),
            format!("network.secret_file={}", self.path("secret").display()),
            format!(
                "local.socket={}",
                self.path(&format!("{name}.sock")).display()
            ),
            format!("state.dir={}", self.path(name).display()),
        ];
        all.extend_from_slice(sets);
        let mut settings = Settings::resolve(
            KEYS,
            &Sources {
                sets: &all,
                ..Sources::default()
            },
        );
        let config = DaemonConfig::read(&mut settings);
        settings.finish().unwrap();
        config
    }

    pub(crate) async fn start(&self, name: &str, sets: &[String]) -> Running {
        let config = self.config(name, sets);
        let socket = config.local_socket.clone().unwrap();
        let daemon = Daemon::bind(config).await.unwrap();
        let (addr, admin) = (daemon.addr(), daemon.admin_addr().unwrap());
        let (handle, shutdown) = Shutdown::manual();
        let task = tokio::spawn(daemon.run(shutdown));
        let client = Client::new(socket.clone());
        Running {
            addr,
            admin,
            socket,
            client,
            handle,
            task,
        }
    }

    /// `n` daemons that joined through the first and are ready.
    pub(crate) async fn cluster(&self, n: usize) -> Vec<Running> {
        let mut all: Vec<Running> = Vec::new();
        for index in 0..n {
            let seed = all
                .first()
                .map(|first| format!("join.seeds={}", first.addr));
            let sets: Vec<_> = seed.into_iter().collect();
            all.push(self.start(&format!("n{index}"), &sets).await);
        }
        for running in &all {
            until("ready", async || {
                page(running.admin, "/readyz").await.0 == 200
            })
            .await;
        }
        all
    }
}

impl Running {
    pub(crate) async fn stop(self) {
        self.handle.advance(Phase::Draining);
        timeout(SOON, self.task).await.unwrap().unwrap();
    }
}

/// Waits for `condition`, asking again a little later, but not for ever.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let clock = SystemClock::new();
    let end = clock.moment() + 4 * SOON;
    while !condition().await {
        assert!(clock.moment() < end, "never: {what}");
        let _ = timeout(Duration::from_millis(20), std::future::pending::<()>()).await;
    }
}

async fn read_all(mut stream: impl tokio::io::AsyncRead + Unpin) -> (u16, String) {
    let mut text = String::new();
    timeout(SOON, stream.read_to_string(&mut text))
        .await
        .unwrap()
        .unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.to_owned(),
    )
}

pub(crate) async fn page(admin: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(admin).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    read_all(stream).await
}

/// As curl would ask.
pub(crate) async fn raw(socket: &Path, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: index\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    read_all(stream).await
}

pub(crate) fn key(text: &str) -> Key {
    Key::of(text.as_bytes())
}
