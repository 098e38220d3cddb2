//! An operator moves six nodes with real daemons to a network that does not speak with the one they are in.
//!
//! Each node keeps copies that nobody else has asked for. At each step nodes that are not equally far ask each
//! other's for the first time: whatever is not found is one more fetch at the origin.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use common::clock::Moment;
use harness::cluster::{make_secret, secret_file};
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

const NODES: usize = 6;

/// Between two requests to a node.
const PACE: Duration = Duration::from_millis(60);

/// Pages that all nodes ask for, all the time.
const HOT: usize = 20;

/// Pages that each node has asked for before, alone.
const KEPT: usize = 8;

/// For the old index to see that it is not asked any more: a minute, and what it is told to wait.
const LONG: Duration = Duration::from_secs(240);

/// How far a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// Version 2 alone.
    Old,
    /// The new index runs beside, and nobody asks it.
    Shadow,
    /// Version 3, in both networks.
    Dual,
    /// In the new one, believing members of the old one.
    Drained,
    /// Nothing of the old one is left.
    New,
}

struct Fleet {
    place: Place,
    controller: Controller,
    origin: Origin,
    nodes: Vec<Node>,
    serials: Vec<u64>,
    /// How many of the pages that each keeps were asked for elsewhere.
    used: Vec<usize>,
    begun: Moment,
}

impl Fleet {
    async fn start() -> Self {
        let place = Place::alone().await;
        let origin = Origin::start(&place).await;
        let controller = Controller::start(&place).await;
        for version in ["2.0.0", "3.0.0"] {
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
            serials: vec![0; NODES],
            used: vec![0; NODES],
            begun: wait::now(),
        };
        for n in 0..HOT {
            fleet.serves(&format!("/hot/{n}"));
        }
        for (node, n) in (0..NODES).flat_map(|node| (0..KEPT).map(move |n| (node, n))) {
            fleet.serves(&format!("/kept/{node}/{n}"));
        }
        fleet
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

    fn next_socket(&self, node: usize) -> PathBuf {
        self.place.file(&format!("reef{node}-next.sock"))
    }

    /// What a node is to run at this step.
    fn wish(&self, node: usize, step: Step) -> Value {
        let is_new = !matches!(step, Step::Old | Step::Shadow);
        let release = if is_new { "3.0.0" } else { "2.0.0" };
        let mut wish = self.nodes[node].wish(&self.place, "2.0.0");
        wish["downgrade"] = true.into();
        let next = self.next_socket(node).display().to_string();
        let old_secret = secret_file(&self.place).display().to_string();
        let secret = self.place.file("secret-next").display().to_string();
        let daemons = &mut wish["daemons"];
        let socket = daemons["index"]["settings"]["local.socket"].clone();
        if step != Step::Old {
            let seed = self.at(usize::from(node == 0), Port::NextIndex).to_string();
            let dir = self.nodes[node].dir.join("next");
            daemons["next"] = json!({ "program": "atoll-dht", "release": "3.0.0", "state": "run", "settings": {
                "node.name": self.nodes[node].name, "udp.listen": self.at(node, Port::NextIndex).to_string(),
                "admin.listen": self.at(node, Port::NextIndexAdmin).to_string(), "local.socket": next,
                "state.dir": dir.display().to_string(), "network.secret_file": secret, "join.seeds": seed } });
        }
        let mut asking = vec![json!({ "index.socket": socket })];
        if is_new {
            daemons["index"]["settings"]["retire.beside"] = next.clone().into();
            daemons["index"]["settings"]["retire.quiet"] = "5s".into();
            asking = vec![json!({ "index.socket": next })];
        }
        if step == Step::Dual {
            asking.push(json!({ "index.old_socket": socket }));
        }
        daemons["proxy"]["release"] = release.into();
        let proxy = &mut daemons["proxy"]["settings"];
        if is_new {
            proxy["network.secret_file"] = secret.into();
        }
        if matches!(step, Step::Dual | Step::Drained) {
            proxy["network.old_secret_file"] = old_secret.into();
        }
        if node == 0 {
            daemons["names"] = json!({ "program": "atoll-dns", "release": release, "state": "run", "settings": {
                "zone": ZONE, "dns.listen": self.at(0, Port::Dns).to_string(),
                "admin.listen": self.at(0, Port::DnsAdmin).to_string(), "dns.threads": "1",
                "limit.replies_per_second": "0" } });
        }
        for daemon in ["proxy", "names"] {
            let Some(daemon) = daemons.get_mut(daemon) else {
                continue;
            };
            for (name, value) in asking.iter().flat_map(|one| one.as_object().unwrap()) {
                daemon["settings"][name] = value.clone();
            }
        }
        if step == Step::New {
            daemons.as_object_mut().unwrap().remove("index");
        }
        wish
    }

    /// Orders these nodes to this step and waits until they are there.
    async fn go(&mut self, nodes: std::ops::Range<usize>, step: Step) {
        for node in nodes.clone() {
            let wish = self.wish(node, step);
            let name = &self.nodes[node].name;
            self.controller.order(&self.place, name, &wish).await;
            self.serials[node] += 1;
        }
        for node in nodes.clone() {
            self.nodes[node].until_runs(self.serials[node]).await;
            self.nodes[node]
                .until("its daemons are ready", all_ready)
                .await;
        }
        self.say(&format!("{nodes:?}: {step:?}"));
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
async fn six_nodes_move_to_a_network_that_does_not_speak_with_theirs() {
    let mut fleet = Box::pin(Fleet::start()).await;
    Box::pin(fleet.go(0..NODES, Step::Old)).await;
    let named = metrics_of_names(&fleet);
    wait::until("the name server names all", EVENTUALLY, async || {
        metrics::value(named, "atoll_dns_proxies_live").await == NODES as u64
    })
    .await;
    // What is kept under the old version: some of it is asked for at the end of the move only.
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
    Box::pin(into_both(&mut fleet)).await;
    Box::pin(out_of_the_old(&mut fleet)).await;
    let took = wait::now().since(begun).as_secs();
    let (asked, failed) = clients.so_far();
    let words = clients.words();
    clients.end().await;
    let pages = HOT + NODES * KEPT;
    let fetches = fleet.origin.count_all();
    skip::say(&format!(
        "2.0.0 to 3.0.0 in {took} s: {asked} requests and questions, {failed} failed; {pages} pages, \
         {fetches} fetches at the origin\n"
    ));
    assert_eq!(failed, 0, "of {asked}: {words:?}");
    assert!(
        fetches * 10 <= pages * 11,
        "{fetches} fetches of {pages} pages"
    );
}

fn metrics_of_names(fleet: &Fleet) -> SocketAddr {
    fleet.at(0, Port::DnsAdmin)
}

/// Shadow and dual, with a step back in the middle.
async fn into_both(fleet: &mut Fleet) {
    fleet.go(0..NODES, Step::Shadow).await;
    fleet.meet("new indexes beside", &[(0, 3)]).await;
    fleet.go(0..2, Step::Dual).await;
    let pairs = [(0, 1), (0, 3), (1, 5)];
    fleet.meet("two are in both", &pairs).await;
    fleet.go(2..4, Step::Dual).await;
    fleet.meet("four are in both", &[(2, 4), (3, 5)]).await;
    // A second thought.
    fleet.go(3..4, Step::Shadow).await;
    fleet.meet("one went back", &[(3, 0), (3, 4)]).await;
    fleet.go(3..5, Step::Dual).await;
    let left = fleet.at(5, Port::Peer).to_string();
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
    fleet.meet("one is left behind", &[(5, 2), (5, 4)]).await;
    fleet.go(5..NODES, Step::Dual).await;
    none_is_left_behind(fleet).await;
}

/// Waits until all that is found in the old network is found in the new one.
async fn none_is_left_behind(fleet: &Fleet) {
    for node in 0..NODES {
        let what = format!("no straggler is known to reef{node}");
        wait::until(&what, EVENTUALLY, async || {
            fleet
                .stragglers(node)
                .await
                .is_some_and(|named| named.is_empty())
        })
        .await;
    }
}

/// Drain and retire.
async fn out_of_the_old(fleet: &mut Fleet) {
    fleet.go(0..3, Step::Drained).await;
    let pairs = [(0, 4), (1, 3)];
    fleet.meet("three have left the old network", &pairs).await;
    // One comes back to where it was, while others have left.
    fleet.go(5..NODES, Step::Shadow).await;
    let pairs = [(5, 0), (5, 1)];
    fleet
        .meet("one is in the old one alone again", &pairs)
        .await;
    fleet.go(5..NODES, Step::Dual).await;
    none_is_left_behind(fleet).await;
    fleet.go(3..NODES, Step::Drained).await;
    fleet.meet("all have left", &[(3, 4)]).await;
    for node in 0..NODES {
        let what = format!("the old index of reef{node} leaves");
        wait::until(&what, LONG, async || {
            fleet.retiring(node).await["left"] == "quiet"
        })
        .await;
    }
    fleet
        .until_listed("index: old index has left (quiet)")
        .await;
    for node in 0..NODES {
        let ready = fleet.nodes[node].until("its daemons are ready", all_ready);
        drop(ready.await);
    }
    fleet.say(&fleet.nodes[0].told(&[]).await.out);
    fleet.go(0..NODES, Step::New).await;
    let pairs = [(1, 4), (2, 3)];
    fleet
        .meet("nothing of the old network is left", &pairs)
        .await;
}
