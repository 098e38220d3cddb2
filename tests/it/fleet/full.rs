//! A node whose disk is full: what runs goes on, what ends is started again, no order is half followed, and the
//! doctor says what is wrong. A controller whose disk is full: it says so, and goes on reading.

use harness::binaries::Program;
use harness::disk::Mount;
use harness::exec::{Ran, run_ours};
use harness::fleet::{Controller, Node, ours};
use harness::metrics;
use harness::origin::{Origin, Reply};
use harness::place::{Place, Port, host};
use harness::skip;
use harness::wait::{self, EVENTUALLY};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn doctor(place: &Place, node: &Node) -> Ran {
    let admin = |port| place.at(host::NODE, port).to_string();
    let (proxy, index) = (admin(Port::ProxyAdmin), admin(Port::IndexAdmin));
    let state = node.dir.to_str().unwrap();
    let args = [
        "doctor", "--admin", &proxy, "--admin", &index, "--state", state,
    ];
    run_ours(Program::Atoll, &args).await
}

/// A daemon dies, and is started again.
async fn dies(node: &Node, daemon: &str, serial: u64) {
    let pid = node.pid(daemon);
    let of = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(of, Signal::KILL).unwrap();
    let what = format!("the {daemon} is started again");
    wait::until(&what, EVENTUALLY, async || node.pid(daemon) != pid).await;
    node.until_up(serial).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_disk_is_full_goes_on_as_it_is_and_says_so() {
    let place = Place::shared().await;
    let Some(mount) = Mount::new(&place, "agent-reef0", 24).await else {
        return;
    };
    let origin = Origin::start(&place).await;
    let controller = Controller::start(&place).await;
    controller.publish(&place, "1.0.0", ours).await;
    controller.publish(&place, "1.1.0", ours).await;
    let node = Node::start(&place, &controller, 0, &["--together"]).await;
    let other = Node::start(&place, &controller, 1, &["--together"]).await;
    for (node, serial) in [(&node, 1), (&other, 1)] {
        let wish = node.wish(&place, "1.0.0");
        controller.order(&place, &node.name, &wish).await;
        node.until_runs(serial).await;
    }
    let pages = ["/before", "/full", "/after"];
    for page in pages {
        origin.serves(page, |_| Reply::page(vec![7; 50_000]).fresh_for(600));
    }
    let get = async |page: &str| {
        let answer = node.get(&place, &origin.page(page)).await;
        assert_eq!((answer.status, answer.body.len()), (200, 50_000), "{page}");
    };
    get("/before").await;
    assert_eq!(doctor(&place, &node).await.code, Some(0));
    mount.fill();

    // The order cannot be written down, so it is not followed.
    let wish = node.wish(&place, "1.1.0");
    controller.order(&place, &node.name, &wish).await;
    node.until("the order is refused", |status| {
        status["refused"][0] == "not_kept"
    })
    .await;
    for daemon in ["proxy", "index"] {
        mount.fill();
        dies(&node, daemon, 1).await;
    }
    get("/full").await;
    let told = node.told(&[]).await;
    assert_eq!(told.code, Some(3));
    assert!(told.out.contains("intent 1"), "{}", told.out);
    is_named(&place, &node, &mount).await;
    let index = place.at(host::NODE, Port::IndexAdmin);
    let failed = "atoll_dht_disk_failures_total{what=\"full\"}";
    assert!(metrics::value(index, failed).await >= 1);
    assert!(
        node.agent
            .log()
            .contains("the state could not be written; nothing changes")
    );
    let listed = controller.ask(&["node", "list"]).await.ok();
    skip::say(&format!("{listed}\n"));
    assert!(listed.contains("not_kept"), "{listed}");

    mount.make_room();
    let status = node.until_runs(2).await;
    assert_eq!(status["report"]["daemons"]["proxy"]["release"], "1.1.0");
    get("/after").await;
    wait::until("all is well again", EVENTUALLY, async || {
        doctor(&place, &node).await.code == Some(0)
    })
    .await;
    assert_eq!(node.told(&[]).await.code, Some(0));
}

/// The doctor names all that is full.
async fn is_named(place: &Place, node: &Node, mount: &Mount) {
    wait::until("the doctor names all of it", EVENTUALLY, async || {
        // What a daemon frees when it starts is taken by whoever fills the disk.
        mount.fill();
        let ran = doctor(place, node).await;
        let wrong = |whom: &str| ran.out.contains(&format!("WRONG   disk    {whom}"));
        let all = wrong("agent") && wrong("proxy reef0") && wrong("dht reef0");
        if all
            && ran.out.contains("refused the last order")
            && ran.out.contains("cannot use its disk")
        {
            skip::say(&ran.out);
            return ran.code == Some(3);
        }
        false
    })
    .await;
}

/// Somebody writes to a controller's disk, and it to its own, until it has to say no; what it says then.
async fn until_refused(controller: &Controller, node: &Node, mount: &Mount) -> Ran {
    let key = node.status().await["report"]["node"].clone();
    let enrol = ["node", "enrol", key.as_str().unwrap(), "--name", &node.name];
    wait::some("a change is refused", EVENTUALLY, async || {
        mount.fill();
        let ran = controller.ask(&enrol).await;
        (ran.code != Some(0)).then_some(ran)
    })
    .await
}

/// The whole answer to a change, as it is on the wire.
async fn raw(controller: &Controller, path: &str, body: &str) -> String {
    let addr = controller.addr();
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let (token, length) = (controller.token(), body.len());
    let request = format!(
        "PUT {path} HTTP/1.1\r\nHost: {addr}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// How many reports of a node the controller has heard, as far as it says.
async fn heard(controller: &Controller, node: &str) -> u64 {
    let shown = controller.ask(&["node", "show", node]).await.ok();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    shown["observed"]["count"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_whose_disk_is_full_says_so_reads_on_and_goes_on_by_itself() {
    let place = Place::shared().await;
    let Some(mount) = Mount::new(&place, "controller", 24).await else {
        return;
    };
    let mut controller = Controller::start(&place).await;
    for version in ["1.0.0", "1.1.0"] {
        let script = super::rollouts::stand_in("");
        controller.publish_proxy(&place, version, &script).await;
    }
    let nodes = controller.stand_ins(&place, 3, &["--together"]).await;
    let start = ["rollout", "start", "1.1.0", "--canary", "reef0"];
    let start = [&start[..], &["--soak", "2s", "--patience", "2s"]].concat();
    drop(controller.ask(&start).await.ok());
    let refused = until_refused(&controller, &nodes[2], &mount).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("full (507)"), "{}", refused.err);
    skip::say(&refused.err);
    is_read_and_not_written(&place, &controller, &nodes).await;

    mount.make_room();
    // The rollout, which nobody touched, comes to where it waits for somebody.
    let found = controller.until_rollout(&["paused"], EVENTUALLY).await;
    assert_eq!(found["why"], "inconclusive", "{found}");
    let wish = nodes[2].wish_stand_in(&place, "1.0.0");
    controller.order(&place, "reef2", &wish).await;
    nodes[2].until_runs(2).await;
    // All of it is written.
    controller.daemon.kill();
    controller.daemon.start_again();
    controller.until_up().await;
    let found = controller.rollout().await;
    assert_eq!(found["phase"], "paused", "{found}");
    let events = controller.ask(&["events"]).await.ok();
    assert!(events.contains("rollout_paused"), "{events}");
}

/// What a full disk leaves: answers, reports, and problems with a reason.
async fn is_read_and_not_written(place: &Place, controller: &Controller, nodes: &[Node]) {
    let order = nodes[2].wish_stand_in(place, "1.0.0").to_string();
    let answer = raw(controller, "/v1/nodes/reef2/desired", &order).await;
    assert!(answer.starts_with("HTTP/1.1 507 "), "{answer}");
    let kind = "content-type: application/problem+json";
    assert!(answer.to_ascii_lowercase().contains(kind), "{answer}");
    assert!(answer.contains("\"reason\":\"full\""), "{answer}");
    let program = raw(controller, &format!("/v1/blobs/{}", "0".repeat(64)), "x").await;
    assert!(program.contains("\"reason\":\"full\""), "{program}");
    for node in nodes {
        let before = heard(controller, &node.name).await;
        let what = format!("it goes on hearing {}", node.name);
        wait::until(&what, EVENTUALLY, async || {
            heard(controller, &node.name).await > before + 1
        })
        .await;
        let status = node.status().await;
        assert_eq!(status["failing"], serde_json::Value::Null, "{status}");
        assert_eq!(status["refused"], serde_json::Value::Null, "{status}");
    }
    let listed = controller.ask(&["node", "list"]).await.ok();
    assert!(listed.contains("reef2"), "{listed}");
    let events = controller.ask(&["events"]).await.ok();
    assert!(events.contains("rollout_started"), "{events}");
    assert_eq!(nodes[2].status().await["report"]["in_force"], 1);
}
