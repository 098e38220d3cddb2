//! `atoll doctor` against daemons with real troubles.

use harness::cluster::{Cluster, Index, make_secret, set};
use harness::place::Place;
use harness::wait::{self, EVENTUALLY};
use serde_json::Value;

use super::json;

/// What was found at these admin listeners: the exit code, and `severity check whom` of each.
async fn found(place: &Place, admins: &[String]) -> (Option<i32>, Vec<String>) {
    let mut args = vec!["doctor"];
    for admin in admins {
        args.extend(["--admin", admin]);
    }
    let (code, page) = json(place, &args).await;
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |one: &Value| {
        assert!(!word(&one["advice"]).is_empty());
        format!(
            "{} {} {}",
            word(&one["severity"]),
            word(&one["check"]),
            word(&one["whom"])
        )
    };
    (
        code,
        page["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(one)
            .collect(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_another_secret_is_named_and_well_ones_are_not() {
    let place = Place::shared().await;
    let cluster = Cluster::of(3).start(&place).await;
    let mut admins: Vec<_> = cluster
        .indexes
        .iter()
        .map(|one| one.admin.to_string())
        .collect();
    let (code, findings) = found(&place, &admins).await;
    assert_eq!((code, findings), (Some(0), Vec::new()));
    let other = place.file("other-secret");
    make_secret(&other);
    let sets = [set("network.secret_file", other.display())];
    let odd = Index::start(&place, 9, &[cluster.indexes[0].udp], &sets);
    admins.push(odd.admin.to_string());
    wait::until("the odd one out is found", EVENTUALLY, async || {
        let (code, findings) = found(&place, &admins).await;
        let wrong: Vec<_> = findings
            .iter()
            .filter(|one| one.starts_with("wrong"))
            .collect();
        let only = wrong.iter().all(|one| one.ends_with("dht node20"));
        only && code == Some(3) && findings.iter().any(|one| one == "wrong secret dht node20")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shut_port_a_dead_daemon_and_a_disk_that_fails_are_found() {
    let place = Place::shared().await;
    let mut cluster = Cluster::of(2).start(&place).await;
    let proxy = cluster.proxies[0].admin.to_string();
    let index = cluster.indexes[1].admin.to_string();
    let (code, findings) = found(&place, &[proxy.clone(), index.clone()]).await;
    assert_eq!((code, findings), (Some(0), Vec::new()));
    cluster.indexes[0].daemon.kill();
    wait::until("the proxy's lost index is found", EVENTUALLY, async || {
        let (code, findings) = found(&place, std::slice::from_ref(&proxy)).await;
        let lost = findings
            .iter()
            .any(|one| one.starts_with("wrong peers proxy"));
        code == Some(3) && lost
    })
    .await;
    cluster.indexes[1].daemon.kill();
    let (code, findings) = found(&place, &[proxy, index]).await;
    assert_eq!(code, Some(3));
    assert!(
        findings.iter().any(|one| one.starts_with("wrong daemon")),
        "{findings:?}"
    );
    let nobody = super::told(&place, &["doctor", "--admin", "127.0.0.1:1"]).await;
    assert_eq!(nobody.code, Some(4));
}
