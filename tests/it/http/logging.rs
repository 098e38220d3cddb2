//! The access log: one line for each request, with the word for what became of it.

use std::fs;
use std::path::Path;

use harness::client::{Page, raw};
use harness::cluster::{Proxy, set};
use harness::exec;
use harness::origin::{Gate, Origin, Reply};
use harness::place::Place;
use harness::skip;
use harness::wait::{self, EVENTUALLY, SOON};
use http::Method;
use rustix::process::Signal;
use serde_json::Value;

/// The lines of a log that is JSON, once there are as many as that.
async fn lines(log: &Path, count: usize) -> Vec<Value> {
    let what = format!("{count} lines are in {}", log.display());
    let text = wait::some(&what, SOON, async || {
        let text = fs::read_to_string(log).unwrap_or_default();
        (text.lines().count() >= count && text.ends_with('\n')).then_some(text)
    })
    .await;
    let parsed = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let parsed: Vec<_> = parsed.collect();
    assert_eq!(parsed.len(), count, "{text}");
    parsed
}

/// The words of a line that say what became of the request.
fn fate(line: &Value) -> (u64, &str, &str, &str) {
    let word = |name: &str| line[name].as_str().unwrap_or_default();
    let status = line["status"].as_u64().unwrap();
    (status, word("outcome"), word("reason"), word("ending"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_is_a_line_that_says_what_became_of_it() {
    let place = Place::shared().await;
    let mut origin = Origin::start(&place).await;
    origin.serves("/", |_| Reply::page("front").fresh_for(60));
    origin.serves("/old", |_| Reply::page("old").header("ETag", "\"1\""));
    let log = place.file("access.log");
    let sets = [
        set("log.access", "json"),
        set("log.access_file", log.display()),
    ];
    let proxy = Proxy::alone(&place, &sets).await;
    let page = origin.page("/");
    let asked = proxy.ask(&page).header("user-agent", "a\"b");
    asked.header("referer", "http://r/").fetch().await;
    lines(&log, 1).await;
    proxy.get(&page).await;
    lines(&log, 2).await;
    proxy.ask(&page).method(Method::POST).fetch().await;
    lines(&log, 3).await;
    raw(proxy.http, b"GET / HTTP/1.1\r\nHost : x\r\n\r\n").await;
    lines(&log, 4).await;
    proxy.get(&origin.page("/old")).await;
    lines(&log, 5).await;
    origin.die().await;
    proxy.get(&origin.page("/old")).await;
    lines(&log, 6).await;
    proxy.get(&origin.page("/never")).await;
    let lines = lines(&log, 7).await;
    let fates: Vec<_> = lines.iter().map(fate).collect();
    assert_eq!(
        fates,
        [
            (200, "origin", "", "complete"),
            (200, "hit", "", "complete"),
            (405, "refused", "method", "complete"),
            (400, "refused", "space_before_colon", "complete"),
            (200, "origin", "", "complete"),
            (200, "stale", "connect_refused", "complete"),
            (502, "failed", "connect_refused", "complete"),
        ]
    );
    let first = &lines[0];
    assert_eq!(first["url"], format!("http://{}/", page.host));
    assert_eq!(first["user_agent"], "a\"b");
    assert_eq!(first["referer"], "http://r/");
    assert_eq!(first["bytes"], 5);
    assert!(first["seconds"].as_f64() >= first["first_byte_seconds"].as_f64());
    assert_eq!(lines[3].get("url"), None, "nobody knows what it asked for");
    assert_eq!(
        proxy.metric("atoll_proxy_access_lines_dropped_total").await,
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_says_who_broke_off() {
    let place = Place::shared().await;
    let mut origin = Origin::start(&place).await;
    let gate = Gate::new();
    let held = gate.clone();
    origin.serves("/large", move |_| {
        Reply::pattern(1 << 24)
            .fresh_for(60)
            .held_after(100_000, &held)
    });
    let log = place.file("access.log");
    let sets = [
        set("log.access", "json"),
        set("log.access_file", log.display()),
    ];
    let proxy = Proxy::alone(&place, &sets).await;
    let mut stays = proxy.ask(&origin.page("/large")).open().await;
    let mut leaves = proxy.ask(&origin.page("/large")).open().await;
    stays.skip(1).await;
    leaves.skip(1).await;
    drop(leaves);
    let gone = lines(&log, 1).await;
    assert_eq!(fate(&gone[0]), (200, "collapsed", "", "cut_by_client"));
    origin.die().await;
    assert!(stays.finish_pattern().await.is_err());
    let both = lines(&log, 2).await;
    assert_eq!(fate(&both[1]), (200, "origin", "", "cut_by_source"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_log_loses_no_line() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/", |_| Reply::page("front").fresh_for(60));
    let (log, old) = (place.file("access.log"), place.file("access.log.1"));
    let sets = [
        set("log.access", "combined"),
        set("log.access_file", log.display()),
    ];
    let mut proxy = Proxy::alone(&place, &sets).await;
    for _ in 0..50 {
        proxy.get(&origin.page("/")).await;
    }
    fs::rename(&log, &old).unwrap();
    proxy.daemon.signal(Signal::HUP);
    for _ in 0..50 {
        proxy.get(&origin.page("/")).await;
    }
    wait::until("the log is begun anew", SOON, async || log.exists()).await;
    proxy.get(&origin.page("/")).await;
    proxy.daemon.stop().await;
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let (new, old) = (read(&log), read(&old));
    assert_eq!(old.lines().count() + new.lines().count(), 101);
    assert!(new.lines().count() >= 1 && old.lines().count() >= 50);
    let like = "\"GET http://127.";
    assert!(
        old.lines()
            .chain(new.lines())
            .all(|line| line.contains(like))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_goes_to_standard_output_if_no_file_is_named() {
    let place = Place::shared().await;
    let proxy = Proxy::alone(&place, &[set("log.access", "combined")]).await;
    let answer = proxy.get(&Page::new("nothing.example", "/x")).await;
    assert_eq!(answer.status, 421);
    let like = "\"GET http://nothing.example/x HTTP/1.1\" 421 ";
    wait::until("the line is there", SOON, async || {
        let log = proxy.daemon.log();
        let mut lines = log.lines().filter(|line| line.contains(like));
        lines.any(|line| line.ends_with(" refused not_ours complete"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_takes_costs_lines_and_no_request() {
    let place = Place::shared().await;
    let Some(mkfifo) = exec::find("mkfifo") else {
        skip::loudly("no mkfifo for a log that hangs");
        return;
    };
    let pipe = place.file("access.pipe");
    let made = exec::run(exec::command(mkfifo).arg(&pipe)).await;
    assert_eq!(made.code, Some(0), "{}", made.err);
    // Open at both ends, and never read.
    let open = fs::File::options().read(true).write(true).open(&pipe);
    let sets = [
        set("log.access", "combined"),
        set("log.access_file", pipe.display()),
    ];
    let mut proxy = Proxy::alone(&place, &sets).await;
    // Twice what the pipe and the memory for it take.
    let path = format!("/{}", "x".repeat(8_000));
    let ask = format!("GET {path} HTTP/1.1\r\nHost: nothing.example\r\n\r\n").repeat(20);
    for _ in 0..55 {
        let mut last = ask.clone();
        last.push_str("GET / HTTP/1.0\r\n\r\n");
        let answers = raw(proxy.http, last.as_bytes()).await;
        assert_eq!(answers.matches("HTTP/1.1 421 ").count(), 20, "{answers}");
    }
    let dropped = proxy.metric("atoll_proxy_access_lines_dropped_total").await;
    assert!((1..1_155).contains(&dropped), "{dropped}");
    let ended = wait::within("it ends all the same", EVENTUALLY, proxy.daemon.stop()).await;
    assert!(ended.success());
    drop(open);
}
