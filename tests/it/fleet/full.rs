//! A node whose disk is full: what runs goes on, what ends is started again, no order is half followed, and the
//! doctor says what is wrong.

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
