//! Rollouts that go wrong: canaries that never start, controllers that die or forget. Stand-ins for daemons.

use std::fs;
use std::time::Duration;

use harness::fleet::{Controller, Node};
use harness::place::Place;
use harness::wait::{self, EVENTUALLY};
use serde_json::Value;

const NODES: u8 = 5;

/// What agents ask their own proxies for.
const TEST_PAGE: &str = "http://www.example.com.nyud.test/page";

/// For all waves of a rollout with short times.
const LONG: Duration = Duration::from_secs(180);

/// The script of a proxy that is a stand-in, with these arguments.
pub(super) fn stand_in(arguments: &str) -> String {
    format!(
        "exec '{}' {arguments} \"$@\"",
        env!("CARGO_BIN_EXE_standin")
    )
}

/// Nodes that run 1.0.0, and releases: 1.1.0 is as good, 1.2.0 never gets ready, 1.3.0 ends at once, 1.5.0 gives
/// other bodies.
async fn fleet(place: &Place) -> (Controller, Vec<Node>) {
    let controller = Controller::start(place).await;
    for (version, arguments) in [("1.0.0", ""), ("1.1.0", ""), ("1.2.0", "--never-ready")] {
        controller
            .publish_proxy(place, version, &stand_in(arguments))
            .await;
    }
    controller
        .publish_proxy(place, "1.5.0", &stand_in("--body hallo"))
        .await;
    controller.publish_proxy(place, "1.3.0", "exit 3").await;
    let extra = ["--together", "--crashes", "3", "--inject", TEST_PAGE];
    let nodes = controller.stand_ins(place, NODES, &extra).await;
    (controller, nodes)
}

async fn start(controller: &Controller, release: &str, more: &[&str]) {
    let mut start = vec!["rollout", "start", release];
    if !more.contains(&"--soak") {
        start.extend(["--soak", "1s"]);
    }
    if !more.contains(&"--patience") {
        start.extend(["--patience", "1s"]);
    }
    start.extend_from_slice(more);
    drop(controller.ask(&start).await.ok());
}

/// Nobody asks the nodes anything, so the gate has nothing to go by: somebody says so at each wave.
async fn nod_through(controller: &Controller) {
    loop {
        let found = controller
            .until_rollout(&["paused", "done", "back"], LONG)
            .await;
        if found["phase"] != "paused" {
            assert_eq!(found["phase"], "done", "{found}");
            return;
        }
        assert_eq!(found["why"], "inconclusive", "{found}");
        let status = controller.ask(&["rollout", "status"]).await;
        assert_eq!(status.code, Some(3), "{}", status.out);
        drop(controller.ask(&["rollout", "resume"]).await);
    }
}

async fn releases(nodes: &[Node]) -> Vec<String> {
    let mut all = Vec::new();
    for node in nodes {
        let proxy = &node.status().await["report"]["daemons"]["proxy"];
        assert_eq!(proxy["doing"], "up", "{}", node.name);
        all.push(proxy["release"].as_str().unwrap().to_owned());
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_never_starts_has_failed_and_nobody_else_is_touched() {
    let place = Place::shared().await;
    let (controller, nodes) = fleet(&place).await;
    for (release, reason) in [("1.2.0", "never_started"), ("1.3.0", "fell_back")] {
        start(
            &controller,
            release,
            &["--deadline", "8s", "--canary", "reef2"],
        )
        .await;
        let second = controller.ask(&["rollout", "start", "1.1.0"]).await;
        assert_eq!(second.code, Some(1));
        assert!(second.err.contains("under_way"), "{}", second.err);
        let found = controller
            .until_rollout(&["rolled_back", "done"], EVENTUALLY)
            .await;
        assert_eq!(found["why"], reason, "{found}");
        assert_eq!(releases(&nodes).await, ["1.0.0"; NODES as usize]);
        let told = controller.ask(&["rollout", "explain", "reef2"]).await.ok();
        assert!(told.contains("it failed before"), "{told}");
        let events = controller.ask(&["events"]).await.ok();
        assert!(events.contains(&format!(": {reason}")), "{events}");
        let told = controller.ask(&["rollout", "explain", "reef4"]).await.ok();
        assert!(told.contains("it was not touched"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_gives_other_bodies_is_taken_back() {
    let place = Place::shared().await;
    let (controller, nodes) = fleet(&place).await;
    start(&controller, "1.5.0", &["--patience", "60s"]).await;
    let found = controller
        .until_rollout(&["rolled_back", "done", "paused"], EVENTUALLY)
        .await;
    assert_eq!(found["why"], "body", "{found}");
    assert_eq!(found["clusters"][0]["changed"]["injected_other"], 1);
    let status = controller.ask(&["rollout", "status"]).await;
    assert_eq!(status.code, Some(1));
    assert!(status.out.contains("1 other"), "{}", status.out);
    assert_eq!(releases(&nodes).await, ["1.0.0"; NODES as usize]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_is_killed_again_and_again_goes_on_with_its_rollout() {
    let place = Place::shared().await;
    let (mut controller, nodes) = fleet(&place).await;
    start(&controller, "1.1.0", &[]).await;
    for kill in 0..6_u64 {
        wait::pause(Duration::from_millis(300 + 450 * kill)).await;
        controller.daemon.kill();
        controller.daemon.start_again();
        controller.until_up().await;
        // An operator who says so may find it where that means nothing.
        drop(controller.ask(&["rollout", "resume"]).await);
    }
    nod_through(&controller).await;
    assert_eq!(releases(&nodes).await, ["1.1.0"; NODES as usize]);
    for node in &nodes {
        let serial = &node.status().await["report"]["in_force"];
        assert_eq!(*serial, 2, "{} was told once", node.name);
    }
    drop(controller.ask(&["rollout", "rollback"]).await.ok());
    let found = controller.until_rollout(&["rolled_back"], EVENTUALLY).await;
    assert_eq!(found["why"], "asked");
    assert_eq!(releases(&nodes).await, ["1.0.0"; NODES as usize]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_soak_comes_to_its_end_though_no_controller_lives_as_long() {
    let place = Place::shared().await;
    let (mut controller, nodes) = fleet(&place).await;
    start(&controller, "1.1.0", &["--soak", "8s"]).await;
    let mut kept = 0;
    let soaked = |found: &Value| found["soaked_ms"].as_u64().unwrap_or_default();
    // By the rollout's own time, of which a step of a second may be lost each time.
    while kept < 4_000 {
        let more = async || {
            let found = controller.rollout().await;
            Some(soaked(&found)).filter(|soaked| *soaked >= kept + 2_000)
        };
        let seen = wait::some("it is watched for two more seconds", EVENTUALLY, more).await;
        assert!(seen < 8_000, "killed too late: {seen} ms");
        controller.daemon.kill();
        controller.daemon.start_again();
        controller.until_up().await;
        let found = controller.rollout().await;
        assert_eq!(
            (&found["phase"], &found["wave"]),
            (&"wave".into(), &1.into())
        );
        kept = soaked(&found);
        assert!(kept + 1_500 >= seen, "{kept} ms of {seen} ms are left");
    }
    let found = controller.until_rollout(&["paused"], EVENTUALLY).await;
    assert_eq!(found["why"], "inconclusive", "{found}");
    let before = releases(&nodes).await;
    let changed = before.iter().filter(|release| **release == "1.1.0");
    assert_eq!(changed.count(), 1, "the canary");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_forgets_its_rollout_leaves_nodes_as_they_are() {
    let place = Place::shared().await;
    let (mut controller, nodes) = fleet(&place).await;
    start(&controller, "1.1.0", &[]).await;
    controller.until_rollout(&["paused"], EVENTUALLY).await;
    let before = releases(&nodes).await;
    assert_eq!(
        before.iter().filter(|release| **release == "1.1.0").count(),
        1
    );
    let pids: Vec<u64> = nodes.iter().map(|node| node.pid("proxy")).collect();
    controller.daemon.kill();
    for file in ["controller.db", "controller.db-wal", "controller.db-shm"] {
        drop(fs::remove_file(controller.dir.join(file)));
    }
    controller.daemon.start_again();
    controller.until_up().await;
    controller.make_token().await;
    for node in &nodes {
        let unknown = |status: &Value| status["failing"][0] == "unknown_node";
        node.until("nobody knows it", unknown).await;
        let told = node.told(&[]).await;
        assert_eq!(told.code, Some(3));
        assert!(told.out.contains("unknown_node"), "{}", told.out);
    }
    let status = controller.ask(&["rollout", "status"]).await;
    assert_eq!(status.code, Some(1));
    assert!(status.err.contains("no_rollout"), "{}", status.err);
    assert_eq!(releases(&nodes).await, before);
    let now: Vec<u64> = nodes.iter().map(|node| node.pid("proxy")).collect();
    assert_eq!(now, pids, "nobody was started anew");
}
