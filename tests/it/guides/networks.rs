//! The move to another network, as its guide has it typed.

use std::time::Duration;

use harness::fleet::{Controller, Node, ours};
use harness::guide::Reader;
use harness::origin::{Origin, Reply};
use harness::place::Place;
use serde_json::json;

use super::{programs, show};

/// An old index counts for a while what it is asked before anybody leaves it, and before it leaves.
const LONG: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_an_incompatible_upgrade_runs_as_it_is_written() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/", |_| Reply::page("kept").fresh_for(3_600));
    let controller = Controller::start(&place).await;
    controller.publish(&place, "2.0.0", ours).await;
    let mut nodes = Vec::new();
    for number in 0..3 {
        let node = Node::start(&place, &controller, number, &["--together"]).await;
        let mut wish = node.wish(&place, "2.0.0");
        wish["daemons"]["index"]["settings"]["retire.window"] = json!("5s");
        controller.order(&place, &node.name, &wish).await;
        nodes.push(node);
    }
    for node in &nodes {
        node.until_runs(1).await;
    }
    // One keeps a page, and another is asked for it at the end.
    let page = origin.page("/");
    assert_eq!(nodes[1].get(&place, &page).await.text(), "kept");
    let mut reader = Reader::new(&place, 3);
    reader.wait_up_to(LONG);
    programs(&reader.dir().join("build"), "third");
    std::os::unix::fs::symlink(&controller.dir, reader.dir().join("ctl")).unwrap();
    let at = format!("http://{}", controller.addr());
    reader.export("ATOLL_CONTROLLER", &at);
    let token = place.file("token").display().to_string();
    reader.export("ATOLL_TOKEN_FILE", &token);
    reader.swap("/etc/atoll", reader.dir().display().to_string());
    reader.swap("drain --all", "drain --all --retire-quiet 5s");
    // A node may be looked at before its agent has said how it is.
    let codes: &[(&str, &[i32])] = &[("atoll network status", &[0, 3])];
    let ran = reader.follow("incompatible-upgrade", codes).await;
    show(reader.transcript());
    let last = &ran.last().unwrap().1.out;
    assert!(last.ends_with("3 single\n"), "{last}");
    for word in ["3 shadow", "3 dual", "3 drained", "3 retired"] {
        let seen = ran.iter().any(|(_, ran)| ran.out.contains(word));
        assert!(seen, "nobody was told {word}");
    }
    for node in &nodes {
        let runs = node.until("it runs 3.0.0 alone", |status| {
            let daemons = status["report"]["daemons"].as_object();
            let mut daemons = daemons.into_iter().flatten();
            daemons.all(|(_, daemon)| daemon["release"] == "3.0.0")
        });
        drop(runs.await);
    }
    assert_eq!(nodes[0].get(&place, &page).await.text(), "kept");
    assert_eq!(origin.count("/"), 1, "it was found in the new network");
}
