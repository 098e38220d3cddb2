//! An operator upgrades ten nodes with real daemons, and then tries a release that is bad.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use harness::binaries::Program;
use harness::client::{Ask, Page};
use harness::fleet::{Controller, Node, ours};
use harness::origin::{Origin, Reply};
use harness::place::Place;
use harness::wait;
use tokio::task::JoinSet;

use super::rollouts::stand_in;

const NODES: u8 = 10;

/// For a rollout of ten nodes, one at a time, on a busy machine.
const LONG: Duration = Duration::from_secs(300);

/// Between two requests to a node.
const PACE: Duration = Duration::from_millis(15);

/// Clients of all nodes, and how they fared.
struct Clients {
    tasks: JoinSet<()>,
    over: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

impl Clients {
    fn start(place: &Place, nodes: &[Node], page: &Page) -> Self {
        let mut clients = Self {
            tasks: JoinSet::new(),
            over: Arc::default(),
            asked: Arc::default(),
            failed: Arc::default(),
        };
        for node in nodes {
            let (addr, page) = (node.http(place), page.clone());
            let over = Arc::clone(&clients.over);
            let (asked, failed) = (Arc::clone(&clients.asked), Arc::clone(&clients.failed));
            clients.tasks.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let answer = Ask::of(addr, &page).try_fetch().await;
                    asked.fetch_add(1, Ordering::Relaxed);
                    if !answer.is_ok_and(|answer| answer.status == 200) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                    wait::pause(PACE).await;
                }
            });
        }
        clients
    }

    /// How many requests there were so far, and how many failed.
    fn so_far(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.asked), read(&self.failed))
    }

    async fn end(mut self) {
        self.over.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::print_stderr,
    reason = "what an operator sees, and what it took"
)]
async fn ten_nodes_get_a_good_release_and_are_spared_a_bad_one() {
    let place = Place::alone().await;
    let origin = Origin::start(&place).await;
    origin.serves("/page", |_| Reply::page("hello").fresh_for(600));
    let page = origin.page("/page");
    let controller = Controller::start(&place).await;
    controller.publish(&place, "1.0.0", ours).await;
    controller.publish(&place, "1.1.0", ours).await;
    let bad = |program: Program| match program {
        Program::Proxy => stand_in("--fail-percent 5"),
        _ => ours(program),
    };
    controller.publish(&place, "1.4.0", bad).await;
    let mut nodes = Vec::new();
    for number in 0..NODES {
        nodes.push(Node::start(&place, &controller, number, &["--together"]).await);
    }
    for node in &nodes {
        controller
            .order(&place, &node.name, &node.wish(&place, "1.0.0"))
            .await;
    }
    for node in &nodes {
        node.until_runs(1).await;
        node.until("its daemons are ready", |status| {
            let daemons = status["report"]["daemons"]
                .as_object()
                .into_iter()
                .flatten();
            let mut daemons = daemons.map(|(_, daemon)| daemon);
            daemons.all(|daemon| daemon["ready"] == true)
        })
        .await;
    }
    let clients = Clients::start(&place, &nodes, &page);
    good(&place, &controller, &nodes).await;
    let (asked, failed) = clients.so_far();
    eprintln!("1.0.0 to 1.1.0 under load: {asked} requests, {failed} failed");
    assert_eq!(failed, 0, "of {asked} requests");
    bad_one(&place, &controller, &nodes).await;
    clients.end().await;
}

const TIMES: [&str; 6] = ["--soak", "4s", "--deadline", "60s", "--patience", "60s"];

#[expect(
    clippy::print_stderr,
    reason = "what an operator sees, and what it took"
)]
async fn good(place: &Place, controller: &Controller, nodes: &[Node]) {
    let begun = wait::now();
    let plan = controller
        .ask(&["rollout", "plan", "1.1.0", "--soak", "4s"])
        .await
        .ok();
    assert!(plan.contains("1.1.0 to 10 nodes in 4 waves"), "{plan}");
    let start = [&["rollout", "start", "1.1.0"][..], &TIMES].concat();
    let started = controller.ask(&start).await.ok();
    let watch = controller.watch(place);
    let explained = controller.ask(&["rollout", "explain", "reef7"]).await.ok();
    eprintln!("{plan}\n\n{started}\n\n{explained}\n");
    let done = controller
        .until_rollout(&["done", "paused", "back", "halted"], LONG)
        .await;
    assert_eq!(done["phase"], "done", "{done}");
    let took = wait::now().since(begun).as_secs();
    let status = controller.ask(&["rollout", "status"]).await.ok();
    eprintln!("{}\n{status}\n({took} s)", watch.log());
    for node in nodes {
        let status = node.status().await;
        assert_eq!(status["report"]["daemons"]["proxy"]["release"], "1.1.0");
    }
}

#[expect(
    clippy::print_stderr,
    reason = "what an operator sees, and what it took"
)]
async fn bad_one(place: &Place, controller: &Controller, nodes: &[Node]) {
    let start = [&["rollout", "start", "1.4.0"][..], &TIMES].concat();
    drop(controller.ask(&start).await.ok());
    let watch = controller.watch(place);
    let back = controller
        .until_rollout(&["back", "rolled_back", "done", "paused"], LONG)
        .await;
    let verdict = wait::now();
    assert_eq!(back["why"], "errors", "{back}");
    let touched: Vec<u64> = (0..4)
        .map(|wave| back["waves"][wave]["waiting"].as_u64().unwrap())
        .collect();
    assert_eq!(touched, [0, 2, 3, 4], "the canary alone was touched");
    controller
        .until_rollout(&["rolled_back"], Duration::from_secs(60))
        .await;
    let took = wait::now().since(verdict);
    let status = controller.ask(&["rollout", "status"]).await;
    assert_eq!(status.code, Some(1));
    eprintln!(
        "{}\n{}\n(back {took:?} after the verdict)",
        watch.log(),
        status.out
    );
    for node in nodes {
        let status = node.status().await;
        assert_eq!(status["report"]["daemons"]["proxy"]["release"], "1.1.0");
    }
}
