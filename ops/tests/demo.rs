//! The demo origin over real connections, and a crowd against it.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may fail like the tests themselves"
)]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::clock::{Clock as _, SystemClock};
use http::Method;
use ops::admin::{self, FetchError, Page};
use ops::crowd::load::Crowd;
use ops::demo::content::{CROWD_SIZE, Content};
use ops::demo::server::{self, Site};
use ops::demo::state::{Controls, State};
use ops::demo::{admin as knobs, site};
use ops::outcome::Exit;
use tokio::net::TcpListener;

const DEADLINE: Duration = Duration::from_secs(10);

struct Origin {
    addr: SocketAddr,
    admin: SocketAddr,
    state: Arc<State>,
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

async fn origin(root: &Path, controls: Controls) -> Origin {
    let state = Arc::new(State::new(controls));
    let site = Site::new(root, SystemClock::new(), Arc::clone(&state)).unwrap();
    let ((site_listener, addr), (admin_listener, admin)) = (listener().await, listener().await);
    tokio::spawn(server::serve(site_listener, Arc::new(site)));
    tokio::spawn(knobs::serve(admin_listener, Arc::clone(&state)));
    Origin { addr, admin, state }
}

impl Origin {
    async fn ask(&self, method: Method, path: &str) -> Result<Page, FetchError> {
        admin::fetch(self.addr, method, "demo.test", path, DEADLINE).await
    }

    async fn get(&self, path: &str) -> Page {
        self.ask(Method::GET, path).await.unwrap()
    }

    fn crowd(&self, clients: usize, size: u64) -> Crowd {
        Crowd {
            clients,
            objects: 12,
            size,
            host: "demo.test".to_owned(),
            proxies: vec![self.addr],
            origin_admin: self.admin,
        }
    }
}

#[tokio::test]
async fn files_come_out_as_they_lie_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    site::write(dir.path()).unwrap();
    let origin = origin(dir.path(), Controls::default()).await;
    for (name, content) in site::FILES {
        assert_eq!(
            origin.get(&format!("/{name}")).await.body,
            content,
            "{name}"
        );
    }
    let front = origin.get("/").await;
    assert_eq!(front.body, origin.get("/index.html").await.body);
    assert!(origin.ask(Method::HEAD, "/").await.unwrap().body.is_empty());
    assert_eq!(origin.get("/none.html").await.status.as_u16(), 404);
    assert_eq!(
        origin.ask(Method::POST, "/").await.unwrap().status.as_u16(),
        405
    );
}

#[tokio::test]
async fn no_link_leads_out_of_the_site() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("inner")).unwrap();
    fs::write(dir.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
    let origin = origin(&root, Controls::default()).await;
    assert_eq!(origin.get("/link").await.status.as_u16(), 403);
    assert_eq!(origin.get("/%2e%2e/secret").await.status.as_u16(), 403);
    assert_eq!(origin.get("/inner").await.status.as_u16(), 301);
}

#[tokio::test]
async fn made_up_content_is_what_anyone_can_compute() {
    let dir = tempfile::tempdir().unwrap();
    let origin = origin(dir.path(), Controls::default()).await;
    let path = "/big/3MiB";
    assert_eq!(
        origin.get(path).await.body,
        Content::of(path).whole(3 << 20)
    );
    let path = "/crowd/x/0.bin";
    let size = usize::try_from(CROWD_SIZE).unwrap();
    assert_eq!(origin.get(path).await.body, Content::of(path).whole(size));
}

#[tokio::test]
async fn a_dead_origin_closes_connections_until_it_is_revived() {
    let dir = tempfile::tempdir().unwrap();
    site::write(dir.path()).unwrap();
    let origin = origin(
        dir.path(),
        Controls {
            dead: true,
            ..Controls::default()
        },
    )
    .await;
    assert!(origin.ask(Method::GET, "/").await.is_err());
    let post = |path| admin::fetch(origin.admin, Method::POST, "admin", path, DEADLINE);
    assert!(post("/alive").await.unwrap().status.is_success());
    assert!(origin.get("/").await.status.is_success());
    assert!(post("/dead").await.unwrap().status.is_success());
    assert!(origin.ask(Method::GET, "/").await.is_err());
}

#[tokio::test]
async fn delay_and_rate_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let controls = Controls {
        delay: Duration::from_millis(100),
        ..Controls::default()
    };
    let origin = origin(dir.path(), controls).await;
    let clock = SystemClock::new();
    let begin = clock.moment();
    origin.get("/crowd/x/0.bin").await;
    assert!(clock.moment().since(begin) >= Duration::from_millis(100));
    // 41 KiB at 200 KiB/s take 205 ms.
    origin.state.adjust(|c| {
        *c = Controls {
            rate: Some(200 << 10),
            ..Controls::default()
        }
    });
    let begin = clock.moment();
    origin.get("/crowd/x/1.bin").await;
    assert!(clock.moment().since(begin) >= Duration::from_millis(190));
}

#[tokio::test]
async fn a_crowd_checks_every_byte_and_counts_what_reached_the_origin() {
    let dir = tempfile::tempdir().unwrap();
    let origin = origin(dir.path(), Controls::default()).await;
    for size in [CROWD_SIZE, 100_000] {
        let report = origin
            .crowd(10, size)
            .run(SystemClock::new())
            .await
            .unwrap();
        assert_eq!((report.requests(), report.failed()), (120, 0));
        assert_eq!(report.bytes(), 120 * size);
        // With no proxy between, every request reaches it.
        assert_eq!(report.origin_fetches, Some(120));
    }
}

#[tokio::test]
async fn a_crowd_before_a_dead_origin_fails_by_the_name_of_the_failure() {
    let dir = tempfile::tempdir().unwrap();
    let origin = origin(
        dir.path(),
        Controls {
            dead: true,
            ..Controls::default()
        },
    )
    .await;
    let report = origin
        .crowd(5, CROWD_SIZE)
        .run(SystemClock::new())
        .await
        .unwrap();
    assert_eq!((report.requests(), report.failed()), (60, 60));
    assert!(
        report.to_json()["failures"]["connection broke"]
            .as_u64()
            .is_some()
    );
}

#[tokio::test]
async fn a_crowd_out_of_bounds_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let origin = origin(dir.path(), Controls::default()).await;
    for (clients, size) in [(0, 1), (20_001, 1), (1, 0), (1, (16 << 20) + 1)] {
        let refused = origin.crowd(clients, size).check().unwrap_err();
        assert_eq!(refused.exit, Exit::Usage, "{clients} x {size}");
    }
}
