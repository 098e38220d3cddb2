//! What the runbook names is there: metrics on the pages of running daemons, words in what they say.

use std::collections::BTreeSet;
use std::fs;

use harness::binaries::workspace;
use harness::dev::Dev;
use harness::metrics;
use harness::place::Place;

use super::show;

fn runbook() -> String {
    fs::read_to_string(workspace().join("docs/operating/runbook.md")).unwrap()
}

/// The names of metrics in a text.
fn named(text: &str) -> BTreeSet<&str> {
    let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c: char| !part(c));
    let begins = ["atoll_proxy_", "atoll_dht_", "atoll_dns_"];
    words
        .filter(|word| begins.iter().any(|begin| word.starts_with(begin)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_the_runbook_is_on_a_page_of_a_running_daemon() {
    let place = Place::shared().await;
    let args = ["--nodes", "2", "--dns", "1", "--no-origin"];
    let dev = Dev::start(&place, &args).await;
    let mut pages = String::new();
    for process in dev.processes() {
        pages.push_str(&metrics::page(process.admin, "/metrics").await.text());
    }
    let there = named(&pages);
    let text = runbook();
    let meant = named(&text);
    assert!(meant.len() >= 20, "{meant:?}");
    let missing: Vec<_> = meant.difference(&there).collect();
    assert!(missing.is_empty(), "{missing:?}");
    show(&format!(
        "{} metrics of the runbook, all there",
        meant.len()
    ));
}

#[test]
fn every_reason_not_to_be_ready_in_the_runbook_is_one_that_daemons_give() {
    let text = runbook();
    let (_, table) = text.split_once("## `/readyz` says no").unwrap();
    let (table, _) = table.split_once("```").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| "));
    let mut reasons = 0;
    for row in rows.skip(1) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let file = match cells[1] {
            "proxy" => "proxy/src/shell/inspect.rs",
            "index" => "dht/src/shell/state.rs",
            "name server" => "dns/src/engine/checker/view.rs",
            other => panic!("{other} is no daemon"),
        };
        let source = fs::read_to_string(workspace().join(file)).unwrap();
        let reason = cells[2].trim_matches('`');
        assert!(source.contains(reason), "{file} does not say {reason:?}");
        reasons += 1;
    }
    assert!(reasons >= 6, "{reasons}");
}
