//! An operator brings ten nodes with real daemons to a new release, and then to a network that does not speak with the
//! one they are in.
//!
//! Each node keeps copies that nobody else has asked for. At each step nodes that are not equally far ask each
//! other's for the first time: whatever is not found is one more fetch at the origin.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use harness::cluster::make_secret;
use harness::fleet::{Controller, Node, ours};
use harness::metrics;
use harness::origin::{Origin, Reply, ZONE};
use harness::place::{Place, Port, host};
use harness::resolver;
use harness::skip;
use harness::wait::{self, EVENTUALLY};
use hickory_proto::rr::RecordType;
use serde_json::{Value, json};

use super::load::{Clients, Count};

const NODES: usize = 10;

/// Between two requests to a node.
const PACE: Duration = Duration::from_millis(30);

/// Pages that all nodes ask for, all the time.
const HOT: usize = 20;

/// Pages that each node has asked for before, alone.
const KEPT: usize = 8;

/// For a rollout of ten nodes, and for an index to see who is left.
const LONG: Duration = Duration::from_secs(240);

/// The one who is left behind.
const LAST: usize = NODES - 1;

struct Fleet {
    place: Place,
    controller: Controller,
    origin: Origin,
    nodes: Vec<Node>,
    /// How many of the pages that each keeps were asked for elsewhere.
    used: Vec<usize>,
    begun: Moment,
}

impl Fleet {
    async fn start() -> Self {
        let place = Place::shared().await;
        let origin = Origin::start(&place).await;
        let controller = Controller::start(&place).await;
        for version in ["1.0.0", "2.0.0", "3.0.0"] {
            controller.publish(&place, version, ours).await;
        }
        make_secret(&place.file("secret-next"));
        let mut nodes = Vec::new();
        for number in 0..NODES {
            let number = u8::try_from(number).unwrap();
            let extra = ["--together", "--ready", "30s"];
            nodes.push(Node::start(&place, &controller, number, &extra).await);
        }
        let fleet = Self {
            place,
            controller,
            origin,
            nodes,
            used: vec![0; NODES],
            begun: wait::now(),
        };
        for n in 0..HOT {
            fleet.serves(&format!("/hot/{n}"));
        }
        for (node, n) in (0..NODES).flat_map(|node| (0..KEPT).map(move |n| (node, n))) {
            fleet.serves(&format!("/kept/{node}/{n}"));
        }
        fleet.first_order().await;
        fleet
    }

    /// Has all run 1.0.0, and the first one a name server.
    async fn first_order(&self) {
        for (number, node) in self.nodes.iter().enumerate() {
            let mut wish = node.wish(&self.place, "1.0.0");
            wish["daemons"]["index"]["settings"]["retire.window"] = json!("5s");
            if number == 0 {
                let socket = wish["daemons"]["index"]["settings"]["local.socket"].clone();
                wish["daemons"]["names"] = json!({ "program": "atoll-dns", "release": "1.0.0", "state": "run",
                    "settings": { "zone": ZONE, "dns.listen": self.at(0, Port::Dns).to_string(),
                        "admin.listen": self.at(0, Port::DnsAdmin).to_string(), "dns.threads": "1",
                        "limit.replies_per_second": "0", "index.socket": socket } });
            }
            self.controller.order(&self.place, &node.name, &wish).await;
        }
        for node in &self.nodes {
            node.until_runs(1).await;
            node.until("its daemons are ready", all_ready).await;
        }
        self.say("all run 1.0.0");
    }

    fn serves(&self, path: &str) {
        let body = path.to_owned();
        let reply = move |_: &_| Reply::page(body.clone()).fresh_for(3_600);
        self.origin.serves(path, reply);
    }

    fn at(&self, node: usize, port: Port) -> SocketAddr {
        self.place
            .at(host::NODE + u8::try_from(node).unwrap(), port)
    }

    /// What the operator types about these nodes, to its end.
    async fn network(&self, nodes: std::ops::Range<usize>, step: &[&str]) -> String {
        let nodes: Vec<&str> = self.nodes[nodes]
            .iter()
            .map(|node| node.name.as_str())
            .collect();
        let typed = [&["network"], step, &nodes].concat();
        let ran = self.controller.ask_within(&typed, LONG).await;
        assert_eq!(ran.code, Some(0), "{typed:?}: {}{}", ran.out, ran.err);
        self.say(&format!(
            "atoll {}: {}",
            typed.join(" "),
            ran.err.lines().last().unwrap_or_default()
        ));
        ran.out
    }

    /// The same for a step, a few nodes at a time.
    async fn go(&self, nodes: std::ops::Range<usize>, step: &str) {
        drop(self.network(nodes, &[step, "--at-once", "5"]).await);
    }

    /// Has these nodes ask each other for pages that only the other one keeps. Those that came from the origin
    /// are missed.
    async fn meet(&mut self, what: &str, pairs: &[(usize, usize)]) {
        let (mut asked, mut missed) = (0, Vec::new());
        let both_ways = pairs
            .iter()
            .flat_map(|(one, two)| [(*one, *two), (*two, *one)]);
        for (asks, keeps) in both_ways {
            let path = format!("/kept/{keeps}/{}", self.used[keeps]);
            self.used[keeps] += 1;
            assert!(self.used[keeps] <= KEPT, "no page of {keeps} is left");
            let answer = self.nodes[asks]
                .get(&self.place, &self.origin.page(&path))
                .await;
            assert_eq!((answer.status, answer.text()), (200, path.clone()));
            asked += 1;
            if self.origin.count(&path) > 1 {
                missed.push(format!("reef{keeps}'s by reef{asks}"));
            }
        }
        let mut line = format!(
            "{what}: {asked} copies of others asked for, {} not found",
            missed.len()
        );
        for miss in &missed {
            write!(line, "; {miss}").unwrap();
        }
        self.say(&line);
        assert!(missed.len() * 4 <= asked, "{line}");
    }

    /// Waits until `atoll node list` has this.
    async fn until_listed(&self, words: &str) {
        let what = format!("the controller lists {words}");
        wait::until(&what, EVENTUALLY, async || {
            let listed = self.controller.ask(&["node", "list"]).await.ok();
            listed.contains(words)
        })
        .await;
    }

    /// Tells whoever runs the test how it goes.
    fn say(&self, text: &str) {
        let since = wait::now().since(self.begun).as_secs();
        skip::say(&format!("{since:>4} s  {text}\n"));
    }

    /// What the old index of a node says of its leaving.
    async fn retiring(&self, node: usize) -> Value {
        let page = metrics::page(self.at(node, Port::IndexAdmin), "/state").await;
        let state: Value = serde_json::from_slice(&page.body).unwrap_or_default();
        state["retire"].clone()
    }

    async fn stragglers(&self, node: usize) -> Option<Vec<String>> {
        let named = self.retiring(node).await["stragglers"].as_array()?.clone();
        Some(
            named
                .iter()
                .map(|one| one.as_str().unwrap().to_owned())
                .collect(),
        )
    }
}

fn all_ready(status: &Value) -> bool {
    let daemons = status["report"]["daemons"].as_object();
    let mut daemons = daemons.into_iter().flatten();
    daemons.all(|(_, daemon)| daemon["ready"] == true)
}

/// Questions to the name server, one after the other: each is to be answered, with an address.
fn questions(clients: &mut Clients, server: SocketAddr) {
    let ask = async move |count: std::sync::Arc<Count>,
                          over: std::sync::Arc<std::sync::atomic::AtomicBool>| {
        let mut n = 0_u64;
        while !over.load(std::sync::atomic::Ordering::Relaxed) {
            let name = format!("n{n}.example.com.{ZONE}.");
            let answer = resolver::try_ask(server, &name, RecordType::A).await;
            let named = answer.is_some_and(|answer| !resolver::addresses(&answer).is_empty());
            let wrong = || format!("no address for {name}");
            count.note(named.then_some(()).ok_or_else(wrong));
            n += 1;
            wait::pause(Duration::from_millis(10)).await;
        }
    };
    clients.also(ask);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_nodes_move_to_a_network_that_does_not_speak_with_theirs() {
    let mut fleet = Box::pin(Fleet::start()).await;
    let named = fleet.at(0, Port::DnsAdmin);
    wait::until("the name server names all", EVENTUALLY, async || {
        metrics::value(named, "atoll_dns_proxies_live").await == NODES as u64
    })
    .await;
    // What is kept under the first version: some of it is asked for at the end of the move only.
    for (node, n) in (0..NODES).flat_map(|node| (0..KEPT).map(move |n| (node, n))) {
        let page = fleet.origin.page(&format!("/kept/{node}/{n}"));
        drop(fleet.nodes[node].get(&fleet.place, &page).await);
    }
    let hot: Vec<_> = (0..HOT)
        .map(|n| fleet.origin.page(&format!("/hot/{n}")))
        .collect();
    let mut clients = Clients::start(&fleet.place, &fleet.nodes, (&hot, PACE));
    questions(&mut clients, fleet.at(0, Port::Dns));
    let begun = wait::now();
    Box::pin(to_the_second(&mut fleet)).await;
    Box::pin(shadow(&mut fleet)).await;
    Box::pin(into_both(&mut fleet)).await;
    Box::pin(out_of_the_old(&mut fleet)).await;
    let took = wait::now().since(begun).as_secs();
    let (asked, failed) = clients.so_far();
    let words = clients.words();
    clients.end().await;
    let pages = HOT + NODES * KEPT;
    let fetches = fleet.origin.count_all();
    skip::say(&format!(
        "1.0.0 to 2.0.0 to 3.0.0 in {took} s: {asked} requests and questions, {failed} failed; {pages} pages, \
         {fetches} fetches at the origin\n"
    ));
    assert_eq!(failed, 0, "of {asked}: {words:?}");
    assert!(
        fetches * 10 <= pages * 11,
        "{fetches} fetches of {pages} pages"
    );
}

/// A release that speaks with the one before.
async fn to_the_second(fleet: &mut Fleet) {
    let times = ["--soak", "2s", "--deadline", "60s", "--patience", "60s"];
    let start = [&["rollout", "start", "2.0.0"][..], &times].concat();
    drop(fleet.controller.ask(&start).await.ok());
    let phases = ["done", "paused", "back", "halted"];
    let done = fleet.controller.until_rollout_slowly(&phases, LONG).await;
    assert_eq!(done["phase"], "done", "{done}");
    fleet.say("all run 2.0.0");
    fleet.meet("one release further", &[(0, 5)]).await;
}

/// The new indexes, beside the old ones.
async fn shadow(fleet: &mut Fleet) {
    let secret = fleet.place.file("secret-next").display().to_string();
    let (one, two) = (fleet.at(0, Port::NextIndex), fleet.at(1, Port::NextIndex));
    let (one, two) = (one.to_string(), two.to_string());
    let shadow = [
        "shadow",
        "--release",
        "3.0.0",
        "--secret-file",
        &secret,
        "--seed",
        &one,
        "--seed",
        &two,
    ];
    let shadow = [&shadow[..], &["--port-offset", "7", "--at-once", "5"]].concat();
    let dry = [&shadow[..], &["--dry-run"]].concat();
    let shown = fleet.network(0..1, &dry).await;
    assert!(shown.contains("+ udp.listen"), "{shown}");
    drop(fleet.network(0..NODES, &shadow).await);
    fleet.meet("new indexes beside", &[(0, 3)]).await;
}

/// From shadow to dual, with a step back in the middle.
async fn into_both(fleet: &mut Fleet) {
    fleet.go(0..3, "dual").await;
    let pairs = [(0, 1), (0, 3), (1, LAST)];
    fleet.meet("three are in both", &pairs).await;
    fleet.go(3..6, "dual").await;
    let pairs = [(2, 4), (3, 6), (5, 7)];
    fleet.meet("six are in both", &pairs).await;
    // A second thought.
    fleet.go(5..6, "back").await;
    fleet.meet("one went back", &[(5, 0), (5, 8)]).await;
    fleet.go(5..LAST, "dual").await;
    left_behind(fleet).await;
    fleet
        .meet("one is left behind", &[(LAST, 2), (LAST, 4)])
        .await;
    fleet.go(LAST..NODES, "dual").await;
}

/// The last one is not in the new network yet, and the others know.
async fn left_behind(fleet: &Fleet) {
    let left = fleet.at(LAST, Port::Peer).to_string();
    let what = "the one that is left behind is listed, alone";
    wait::until(what, LONG, async || {
        fleet.stragglers(0).await == Some(vec![left.clone()])
    })
    .await;
    let status = fleet.nodes[0].told(&[]).await.out;
    assert!(status.contains("stays for 1 straggler"), "{status}");
    fleet.say(&format!("as reef0 sees it:\n{status}"));
    fleet
        .until_listed(&format!("index: 1 straggler: {left}"))
        .await;
    let early = fleet.controller.ask(&["network", "drain", "reef0"]).await;
    let text = [early.out, early.err].concat();
    assert_eq!(early.code, Some(1), "it is needed: {text}");
    assert!(text.contains(&left), "{text}");
}

/// Drain and retire.
async fn out_of_the_old(fleet: &mut Fleet) {
    let drain = [
        "drain",
        "--retire-quiet",
        "5s",
        "--at-once",
        "5",
        "--patience",
        "240s",
    ];
    let retire = ["retire", "--at-once", "5", "--patience", "240s"];
    drop(fleet.network(0..5, &drain).await);
    let pairs = [(0, 6), (1, 7)];
    fleet.meet("five have left the old network", &pairs).await;
    // One comes back to where it was, while others have left.
    fleet.go(LAST..NODES, "back").await;
    let pairs = [(LAST, 0), (LAST, 1)];
    fleet
        .meet("one is in the old one alone again", &pairs)
        .await;
    fleet.go(LAST..NODES, "dual").await;
    drop(fleet.network(5..NODES, &drain).await);
    fleet.meet("all have left", &[(6, 8)]).await;
    drop(fleet.network(0..NODES, &retire).await);
    fleet.go(0..NODES, "finish").await;
    for node in &fleet.nodes {
        let status = node.until("its daemons are ready", all_ready).await;
        let daemons = status["report"]["daemons"].as_object().unwrap();
        assert!(!daemons.contains_key("index"), "{status}");
    }
    let pairs = [(1, 6), (2, 7), (3, 8)];
    fleet
        .meet("nothing of the old network is left", &pairs)
        .await;
}
