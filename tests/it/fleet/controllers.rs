//! What becomes of nodes when their controller is there, dead, empty, or somebody else.

use std::fs;

use harness::fleet::{Controller, Node, ours};
use harness::origin::{Origin, Reply};
use harness::place::Place;
use harness::wait::{self, EVENTUALLY};

const OWN: [&str; 1] = ["--together"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_follow_their_controller_and_go_on_without_it() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/page", |_| Reply::page("hello").fresh_for(600));
    let page = origin.page("/page");
    let mut controller = Controller::start(&place).await;
    controller.publish(&place, "1.0.0", ours).await;
    controller.publish(&place, "1.1.0", ours).await;
    let mut nodes = Vec::new();
    for number in 0..3 {
        nodes.push(Node::start(&place, &controller, number, &OWN).await);
    }
    // The first version, then the next one, node by node.
    for (serial, release) in [(1, "1.0.0"), (2, "1.1.0")] {
        for node in &nodes {
            controller
                .order(&place, &node.name, &node.wish(&place, release))
                .await;
            let status = node.until_runs(serial).await;
            assert_eq!(status["report"]["daemons"]["proxy"]["release"], release);
            assert_eq!(node.get(&place, &page).await.text(), "hello");
        }
    }
    let running =
        |nodes: &[Node]| -> Vec<u64> { nodes.iter().map(|node| node.pid("proxy")).collect() };
    let pids = running(&nodes);

    is_killed(&mut controller, &nodes).await;
    gets_an_empty_database(&mut controller, &nodes).await;
    gets_another_key(&place, &mut controller, &nodes[0]).await;
    assert_eq!(
        running(&nodes),
        pids,
        "nobody was started anew through all of it"
    );
    for node in &nodes {
        assert_eq!(node.get(&place, &page).await.text(), "hello");
        assert_eq!(node.status().await["report"]["in_force"], 2);
    }
}

async fn is_killed(controller: &mut Controller, nodes: &[Node]) {
    controller.daemon.kill();
    for node in nodes {
        node.until("the silence is noticed", |status| {
            status["failing"][0] == "connect"
        })
        .await;
        let told = node.told(&[]).await;
        assert_eq!(told.code, Some(3));
        assert!(
            told.out.contains("silent for") && told.out.contains("intent 2"),
            "{}",
            told.out
        );
    }
}

async fn gets_an_empty_database(controller: &mut Controller, nodes: &[Node]) {
    for file in ["controller.db", "controller.db-wal", "controller.db-shm"] {
        drop(fs::remove_file(controller.dir.join(file)));
    }
    controller.daemon.start_again();
    controller.until_up().await;
    controller.make_token().await;
    for node in nodes {
        let unknown = |status: &serde_json::Value| status["failing"][0] == "unknown_node";
        node.until("nobody knows it", unknown).await;
    }
    let listed = controller.ask(&["node", "list"]).await.ok();
    assert!(
        listed.contains("reef2 is not enrolled: atoll node enrol"),
        "{listed}"
    );
}

/// What it orders from then on is a stranger's.
async fn gets_another_key(place: &Place, controller: &mut Controller, node: &Node) {
    controller.daemon.kill();
    fs::remove_file(controller.dir.join("controller.key")).unwrap();
    controller.daemon.start_again();
    controller.until_up().await;
    controller.publish(place, "1.2.0", ours).await;
    node.enrol(controller).await;
    controller
        .order(place, &node.name, &node.wish(place, "1.2.0"))
        .await;
    node.until("the stranger is refused", |status| {
        status["refused"][0] == "stranger"
    })
    .await;
    let told = node.told(&[]).await;
    assert!(
        told.out.contains("was the controller's key changed?"),
        "{}",
        told.out
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_does_not_start_is_left_for_the_one_before() {
    let place = Place::shared().await;
    let controller = Controller::start(&place).await;
    controller.publish(&place, "1.0.0", ours).await;
    controller
        .publish(&place, "1.1.0", |_| "exit 3".to_owned())
        .await;
    let node = Node::start(&place, &controller, 0, &["--together", "--crashes", "3"]).await;
    controller
        .order(&place, &node.name, &node.wish(&place, "1.0.0"))
        .await;
    node.until_runs(1).await;
    let next = ["node", "order", "reef0", "--release", "1.1.0"];
    drop(controller.ask(&next).await.ok());
    let fell = |status: &serde_json::Value| status["report"]["fallen"]["from"] == 2;
    node.until("it falls back", fell).await;
    let again = |status: &serde_json::Value| {
        let proxy = &status["report"]["daemons"]["proxy"];
        proxy["release"] == "1.0.0" && proxy["doing"] == "up"
    };
    node.until("the version before runs", again).await;
    let told = node.told(&[]).await;
    assert_eq!(told.code, Some(3));
    assert!(told.out.contains("intent 1, again"), "{}", told.out);
    let told = async || controller.ask(&["events"]).await.ok().contains("fell_back");
    wait::until("the controller hears of it", EVENTUALLY, told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_node_stays_as_it_is() {
    let place = Place::shared().await;
    let controller = Controller::start(&place).await;
    for version in ["1.0.0", "1.1.0"] {
        controller
            .publish(&place, version, |_| "exec sleep 1000".to_owned())
            .await;
    }
    let node = Node::start(&place, &controller, 0, &OWN).await;
    controller
        .order(&place, &node.name, &node.wish(&place, "1.0.0"))
        .await;
    node.until_runs(1).await;
    let state = node.dir.to_str().unwrap();
    let atoll = harness::binaries::Program::Atoll;
    let hold = ["hold", "looking into it", "--state", state];
    drop(harness::exec::run_ours(atoll, &hold).await.ok());
    node.until("it is held", |status| status["report"]["held"].is_string())
        .await;
    drop(
        controller
            .ask(&["node", "order", "reef0", "--release", "1.1.0"])
            .await
            .ok(),
    );
    node.until("the order is refused", |status| {
        status["refused"][0] == "held"
    })
    .await;
    assert_eq!(node.status().await["report"]["in_force"], 1);
    drop(
        harness::exec::run_ours(atoll, &["resume", "--state", state])
            .await
            .ok(),
    );
    node.until_runs(2).await;
}
