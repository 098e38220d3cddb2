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
async fn a_dead_index_is_found_by_its_proxy_and_by_nobody_answering() {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_nobody_reaches_is_found_beside_a_daemon_that_says_it_is_well() {
    let place = Place::shared().await;
    let (dev, _origin) = super::network(&place, 2).await;
    // Announced where nobody listens, as behind a firewall.
    let mut ready = dev.ready.clone();
    let processes = ready["processes"].as_array_mut().unwrap();
    for (kind, port) in [("proxy", "TCP 127.0.0.1:1"), ("dht", "UDP 127.0.0.1:1")] {
        let one = processes
            .iter_mut()
            .find(|one| one["kind"] == kind)
            .unwrap();
        one["addr"] = port.split_once(' ').unwrap().1.into();
    }
    let file = place.file("behind-a-firewall.json");
    std::fs::write(&file, ready.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let (code, page) = json(&place, &["doctor", "--ready-file", file]).await;
    assert_eq!(code, Some(3), "{page}");
    let findings = page["findings"].as_array().unwrap();
    for port in ["TCP 127.0.0.1:1", "UDP 127.0.0.1:1"] {
        let named = |one: &&Value| {
            one["check"] == "port" && one["what"].as_str().unwrap().starts_with(port)
        };
        assert!(findings.iter().find(named).is_some(), "{port} in {page}");
    }
    assert_eq!(findings.len(), 2, "{page}");
}
