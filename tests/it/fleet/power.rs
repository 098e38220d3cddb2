//! Power cuts, and agents that die alone.

use std::time::Duration;

use common::rng::Generator;
use harness::dev::is_there;
use harness::fleet::{Controller, Node};
use harness::place::Place;
use harness::wait;
use serde_json::{Value, json};

/// Power cuts of each of the five nodes: fifty in all.
const CUTS: u64 = 10;

fn wish(release: &str) -> Value {
    json!({ "downgrade": true, "daemons": {
        "proxy": { "program": "atoll-proxy", "release": release, "state": "run" } } })
}

async fn sleepers(place: &Place) -> Controller {
    let controller = Controller::start(place).await;
    for version in ["1.0.0", "1.1.0"] {
        controller
            .publish(place, version, |_| "exec sleep 1000".to_owned())
            .await;
    }
    controller
}

/// With `--together`, the daemons die in the same moment as the agent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_power_cut_a_node_runs_the_old_or_the_new_and_never_neither() {
    let place = Place::shared().await;
    let controller = sleepers(&place).await;
    let node = |number| is_cut_off(&place, &controller, number);
    tokio::join!(node(0), node(1), node(2), node(3), node(4));
}

/// A node goes from version to version, and each time its power is cut somewhere on the way.
async fn is_cut_off(place: &Place, controller: &Controller, number: u8) {
    let mut node = Node::start(place, controller, number, &["--together"]).await;
    controller.order(place, &node.name, &wish("1.0.0")).await;
    node.until_runs(1).await;
    let mut rng = Generator::from_seed(7 + u64::from(number));
    for cut in 1..=CUTS {
        let serial = cut + 1;
        let release = if serial.is_multiple_of(2) {
            "1.1.0"
        } else {
            "1.0.0"
        };
        controller.order(place, &node.name, &wish(release)).await;
        wait::pause(rng.jitter(Duration::from_millis(300))).await;
        node.agent.kill();
        node.agent.start_again();
        let runs = |status: &Value| {
            let (report, proxy) = (&status["report"], &status["report"]["daemons"]["proxy"]);
            let one_of_both = report["in_force"] == serial - 1 || report["in_force"] == serial;
            assert!(report.is_null() || one_of_both, "cut {cut}: {status}");
            proxy["doing"] == "up"
        };
        node.until("a proxy runs", runs).await;
        let status = node.until_runs(serial).await;
        assert_eq!(
            status["report"]["daemons"]["proxy"]["release"], release,
            "cut {cut}"
        );
    }
}

/// Ends the daemon of an agent that is gone.
struct Orphan<'a>(&'a Node);

impl Drop for Orphan<'_> {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.pid("proxy")).ok();
        let pid = pid.and_then(rustix::process::Pid::from_raw).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daemons_outlive_their_agent_and_are_found_again() {
    let place = Place::shared().await;
    let mut controller = sleepers(&place).await;
    let mut node = Node::start(&place, &controller, 0, &[]).await;
    controller.order(&place, &node.name, &wish("1.0.0")).await;
    node.until_runs(1).await;
    let pid = node.pid("proxy");
    controller.daemon.kill();
    for _ in 0..3 {
        node.agent.kill();
        assert!(is_there(pid), "the daemon goes on");
        let told = node.told(&[]).await;
        assert_eq!(told.code, Some(4));
        assert!(told.err.contains("intent 1 is in force"), "{}", told.err);
        node.agent.start_again();
        node.until_runs(1).await;
        assert_eq!(node.pid("proxy"), pid, "and is not started twice");
    }
    controller.daemon.start_again();
    controller.until_up().await;
    controller.order(&place, &node.name, &wish("1.1.0")).await;
    node.until_runs(2).await;
    // What is left of the first one may wait for the machine to take note of its end.
    assert_ne!(node.pid("proxy"), pid, "another version is another process");
    drop(Orphan(&node));
}
