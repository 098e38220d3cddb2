//! `atoll dev`: one command, a whole CDN, and nothing left of it afterwards.

use std::collections::BTreeSet;

use harness::client::{Ask, Page};
use harness::dev::{Dev, atoll, is_there};
use harness::exec::run;
use harness::origin::{Origin, Reply, coralised};
use harness::place::Place;
use harness::resolver::{addresses, ask};
use harness::wait::{self, SOON};
use harness::{binaries, metrics};
use hickory_proto::rr::RecordType;
use rustix::process::Signal;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ready_file_says_where_everything_is_and_it_works() {
    let place = Place::shared().await;
    let dev = Dev::start(&place, &["--nodes", "3", "--dns", "2"]).await;
    assert_eq!(dev.ready["zone"], "nyud.test");
    assert_eq!(dev.ready["schema"], 1);
    for (kind, count) in [("proxy", 3), ("dht", 3), ("dns", 2), ("origin", 1)] {
        assert_eq!(dev.of_kind(kind).len(), count, "{kind}");
    }
    let everything = dev.processes();
    let pids: BTreeSet<u64> = everything.iter().map(|entry| entry.pid).collect();
    assert_eq!(pids.len(), 9, "each is a process of its own");
    for entry in &everything {
        assert!(
            is_there(entry.pid) && metrics::is_ready(entry.admin).await,
            "{entry:?}"
        );
    }
    let proxies = dev.of_kind("proxy");
    let ports: BTreeSet<u16> = proxies.iter().map(|proxy| proxy.addr.port()).collect();
    assert_eq!(ports.len(), 1, "an A record carries no port");
    let origin = dev.of_kind("origin")[0].addr;
    assert_eq!(dev.ready["origin"], format!("http://{origin}"));
    let host = coralised(origin);
    for proxy in &proxies {
        let answer = Ask::of(proxy.addr, &Page::new(&host, "/index.html"))
            .fetch()
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for server in dev.of_kind("dns") {
        let named = addresses(&ask(server.addr, &format!("{host}."), RecordType::A).await);
        assert!(!named.is_empty());
        assert!(
            named
                .iter()
                .all(|ip| proxies.iter().any(|proxy| proxy.addr.ip() == *ip))
        );
    }

    // It finds its cluster by itself.
    let status = run(&mut atoll(&place, &["status", "--json"])).await.ok();
    let lines: Vec<Value> = serde_json::from_str(&status).unwrap();
    assert_eq!(lines.len(), 9);
    assert!(
        lines.iter().all(|line| line["health"] == "ready"),
        "{status}"
    );
    for (kind, figures) in [
        ("proxy", &["requests"][..]),
        ("dht", &["contacts", "values"]),
        ("dns", &["questions", "live proxies"]),
        ("origin", &["requests"]),
    ] {
        let line = lines.iter().find(|line| line["kind"] == kind).unwrap();
        let told = line["figures"].as_str().unwrap();
        let all = figures.iter().all(|figure| told.contains(figure));
        assert!(all, "{kind} tells {told:?}, not {figures:?}");
    }
    let table = run(&mut atoll(&place, &["status"])).await.ok();
    let (processes, seen) = table.split_once("\n\n").expect("two tables");
    let lines = (processes.lines().count(), seen.trim_end().lines().count());
    assert_eq!(
        lines,
        (10, 7),
        "heads, processes, proxies by server: {table}"
    );
    assert!(
        seen.starts_with("seen by") && seen.contains(" alive "),
        "{table}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_tells_who_is_gone() {
    let place = Place::shared().await;
    let dev = Dev::start(&place, &["--nodes", "2", "--dns", "1"]).await;
    let victim = dev.of_kind("proxy")[1].pid;
    let pid = rustix::process::Pid::from_raw(i32::try_from(victim).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    wait::until("the others notice", SOON, async || {
        let ran = run(&mut atoll(&place, &["status"])).await;
        ran.code == Some(3) && ran.out.contains("gone")
    })
    .await;
    // People kill nodes to see it heal: the rest stays, and says what happened.
    wait::until("atoll dev says so", SOON, async || {
        dev.daemon.log().contains("proxy node2")
    })
    .await;
    let proxy = &dev.of_kind("proxy")[0];
    let page = Page::new(&coralised(dev.of_kind("origin")[0].addr), "/reef.txt");
    assert_eq!(Ask::of(proxy.addr, &page).fetch().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_leaves_no_process_and_no_file_behind() {
    for signal in [Signal::INT, Signal::TERM] {
        let place = Place::shared().await;
        let mut dev = Dev::start(&place, &["--nodes", "2", "--dns", "1"]).await;
        let processes = dev.processes();
        let status = dev.daemon.stop_by(signal).await;
        assert_eq!(status.code(), Some(0), "{signal:?}: {}", dev.daemon.log());
        for entry in processes {
            assert!(!is_there(entry.pid), "{signal:?}: {entry:?} is still there");
        }
        assert!(!dev.ready_file.exists(), "{signal:?}");
        let left: Vec<_> = std::fs::read_dir(place.dir())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name.to_string_lossy().starts_with("atoll-") && name != "atoll-dev.log")
            .collect();
        assert!(left.is_empty(), "{signal:?}: {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn even_a_command_that_is_killed_leaves_no_process_behind() {
    let place = Place::shared().await;
    let mut dev = Dev::start(&place, &["--nodes", "2", "--dns", "1"]).await;
    let processes = dev.processes();
    dev.daemon.kill();
    wait::until("all are gone", SOON, async || {
        processes.iter().all(|entry| !is_there(entry.pid))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_is_sent_and_counted() {
    let place = Place::alone().await;
    let dir = binaries::dir().to_str().unwrap();
    let args = ["dev", "--release-dir", dir, "--crowd", "60", "--exit"];
    let table = run(&mut atoll(&place, &args)).await.ok();
    let row = |name: &str| -> String {
        let line = table.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no \"{name}\" in\n{table}"))
            .trim()
            .to_owned()
    };
    assert!(row("requests").starts_with("720"), "{table}");
    assert!(row("failures").starts_with('0'), "{table}");
    assert!(row("origin fetches").starts_with("12"), "{table}");
    for name in [
        "bytes served",
        "median",
        "99th percentile",
        "hits local",
        "hits peer",
    ] {
        assert!(!row(name).is_empty());
    }
    assert!(row("hits origin").starts_with("12"), "{table}");

    let json = [&args[..], &["--json", "--nodes", "2", "--dns", "0"]].concat();
    let figures = run(&mut atoll(&place, &json)).await.ok();
    let figures: Value = serde_json::from_str(&figures).unwrap();
    assert_eq!(figures["requests"], 720);
    assert_eq!(figures["origin_fetches"], 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_of_ones_own_is_reached_when_that_is_allowed() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/mine", |_| Reply::page("mine").fresh_for(60));
    let extra = place.file("proxy.toml");
    std::fs::write(&extra, "[cache]\ndefault_hot = \"5s\"\n").unwrap();
    let args = [
        "--nodes",
        "2",
        "--dns",
        "1",
        "--no-origin",
        "--allow-private-origins",
    ];
    let extra = [
        "--zone",
        "cdn.test",
        "--proxy-config",
        extra.to_str().unwrap(),
    ];
    let dev = Dev::start(&place, &[&args[..], &extra[..]].concat()).await;
    assert_eq!(dev.ready["origin"], Value::Null);
    assert_eq!(dev.ready["zone"], "cdn.test");
    assert!(dev.of_kind("origin").is_empty());
    let host = format!("{}.{}.cdn.test", origin.addr.ip(), origin.addr.port());
    for proxy in dev.of_kind("proxy") {
        let answer = Ask::of(proxy.addr, &Page::new(&host, "/mine"))
            .fetch()
            .await;
        assert_eq!((answer.status, answer.text()), (200, "mine".to_owned()));
    }
    assert_eq!(origin.count("/mine"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_origin_can_be_slow_and_dead() {
    let place = Place::shared().await;
    let args = ["--nodes", "2", "--dns", "0", "--origin-delay", "200ms"];
    let dev = Dev::start(&place, &args).await;
    let origin = &dev.of_kind("origin")[0];
    let proxies = dev.of_kind("proxy");
    let page = Page::new(&coralised(origin.addr), "/reef.txt");
    let answer = Ask::of(proxies[0].addr, &page).fetch().await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.first_byte.unwrap().as_millis() >= 200,
        "{:?}",
        answer.first_byte
    );
    let dead = Ask::of(origin.admin, &Page::new("admin", "/dead")).method(http::Method::POST);
    assert!(dead.fetch().await.status < 300);
    let shared = Ask::of(proxies[1].addr, &page).fetch().await;
    assert_eq!(shared.status, 200, "the other proxy has it from the first");
    let fresh = Page::new(&page.host, "/style.css");
    assert!(Ask::of(proxies[1].addr, &fresh).fetch().await.status >= 500);
}
