//! An operator upgrades ten nodes with real daemons, and then tries a release that is bad.

use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use harness::authority::Authority;
use harness::binaries::Program;
use harness::client::Page;
use harness::fleet::{Controller, Node, ours};
use harness::origin::{Origin, Reply, ZONE};
use harness::place::{Place, Port, host};
use harness::resolver::Hosts;
use harness::skip;
use harness::wait;

use super::lasting;
use super::load::{Clients, PACE, Passing};
use super::rollouts::stand_in;

const NODES: u8 = 10;

/// For a rollout of ten nodes, one at a time, on a busy machine.
const LONG: Duration = Duration::from_secs(300);

/// Pages that are passed from node to node, and those that are soon stale.
const PASSED: usize = 8_000;
const SOON_STALE: usize = 10;

/// For how long the load is counted without a rollout.
const CONTROL: Duration = Duration::from_secs(30);

/// A site that is fetched over TLS, and proxied over TLS.
const SITE: &str = "www.secure-site.com";

/// The nodes whose clients come over TLS, and download in slices.
const SECURE: u8 = 3;
const SLICED: u8 = 5;

/// Bytes of what is downloaded in slices.
const FILM: u64 = (24 << 20) + 12_345;

/// What the nodes serve, and who asks.
struct Sites {
    plain: Origin,
    secure: Origin,
    authority: Authority,
    hosts: Hosts,
}

impl Sites {
    async fn start(place: &Place) -> Self {
        let authority = Authority::new();
        let at = place.at(host::ORIGIN, Port::Web);
        let secure = Origin::start_at(at, Some(authority.server(SITE))).await;
        secure.serves("/", |_| Reply::page("secure").fresh_for(3_600));
        let plain = Origin::start(place).await;
        for n in 0..SOON_STALE {
            plain.serves(&format!("/soon/{n}"), |_| Reply::page("hello").fresh_for(3));
        }
        for (run, n) in ["control", "through"]
            .iter()
            .flat_map(|run| (0..PASSED).map(move |n| (run, n)))
        {
            plain.serves(&format!("/{run}/{n}"), |_| {
                Reply::page("hello").fresh_for(3_600)
            });
        }
        plain.serves("/film", |request| {
            let reply = Reply::pattern(FILM).ranged_by("\"v1\"", request);
            reply.header("accept-ranges", "bytes").fresh_for(3_600)
        });
        let certificates = place.file("certificates");
        std::fs::create_dir(&certificates).unwrap();
        let names = [format!("*.{ZONE}"), ZONE.to_owned()];
        let wildcard = authority.certify(&[&names[0], &names[1]]);
        wildcard.write(&certificates, "zone");
        std::fs::write(place.file("root.pem"), authority.root()).unwrap();
        let hosts = Hosts::start(place, &[(SITE, at.ip())]).await;
        Self {
            plain,
            secure,
            authority,
            hosts,
        }
    }

    /// What a node runs: one of them speaks TLS as well.
    fn wish(&self, place: &Place, node: &Node, number: u8) -> serde_json::Value {
        let mut wish = node.wish(place, "1.0.0");
        if number == SECURE {
            let settings = &mut wish["daemons"]["proxy"]["settings"];
            let file = |name: &str| place.file(name).display().to_string().into();
            settings["https.listen"] = self.https(place).to_string().into();
            settings["https.certificates"] = file("certificates");
            settings["origin.ca_file"] = file("root.pem");
            settings["origin.resolvers"] = self.hosts.addr.to_string().into();
        }
        wish
    }

    fn https(&self, place: &Place) -> std::net::SocketAddr {
        place.at(host::NODE + SECURE, Port::Https)
    }

    /// All the clients.
    fn load(&self, place: &Place, nodes: &[Node], passing: &Arc<Passing>) -> Clients {
        let soon: Vec<_> = (0..SOON_STALE)
            .map(|n| self.plain.page(&format!("/soon/{n}")))
            .collect();
        let mut clients = Clients::start(place, nodes, (&soon, PACE));
        let all = nodes.iter().map(|node| node.http(place)).collect();
        let passing = Arc::clone(passing);
        clients.also(|count, over| passing.on(all, (count, over)));
        let label = SITE.replace('-', "--").replace('.', "-");
        let name = format!("{label}-{}.{ZONE}", self.secure.addr.port());
        let secure = (Page::new(&name, "/"), "secure".to_owned());
        let to = (self.https(place), self.authority.client(&["h2"]));
        clients.also(|count, over| lasting::over_tls(to, secure, (count, over)));
        let film = (self.plain.page("/film"), FILM);
        let to = place.at(host::NODE + SLICED, Port::Http);
        clients.also(|count, over| lasting::in_slices(to, film, (count, over)));
        clients
    }

    fn pages(&self, run: &str) -> Arc<Passing> {
        let page = |n| self.plain.page(&format!("/{run}/{n}"));
        Passing::new((0..PASSED).map(page).collect())
    }
}

/// A load under way, and the origin's count so far.
struct Run<'a> {
    name: &'static str,
    sites: &'a Sites,
    passing: Arc<Passing>,
    clients: Clients,
    soon: usize,
    begun: Moment,
}

/// What the origin saw of it: fetches for each page that is passed on, and of all pages in a second.
struct Fetched {
    each: f64,
    per_s: f64,
}

impl<'a> Run<'a> {
    fn start(name: &'static str, (place, nodes): (&Place, &[Node]), sites: &'a Sites) -> Self {
        let passing = sites.pages(name);
        Self {
            name,
            sites,
            clients: sites.load(place, nodes, &passing),
            passing,
            soon: sites.plain.count_under("/soon/"),
            begun: wait::now(),
        }
    }

    /// Ends it; nothing failed.
    async fn end(self) -> Fetched {
        let seconds = wait::now().since(self.begun).as_secs_f64();
        let soon = self.sites.plain.count_under("/soon/") - self.soon;
        let ((asked, failed), words) = (self.clients.so_far(), self.clients.words());
        self.clients.end().await;
        let (pages, name) = (self.passing.begun(), self.name);
        let fetches = self.sites.plain.count_under(&format!("/{name}/"));
        skip::say(&format!(
            "{name}: {seconds:.0} s, {asked} requests, {failed} failed; {pages} new pages each asked for at two \
             nodes, {fetches} fetches at the origin; {soon} of pages that are soon stale\n"
        ));
        assert_eq!(failed, 0, "of {asked}: {words:?}");
        Fetched {
            each: fetches as f64 / pages as f64,
            per_s: (fetches + soon) as f64 / seconds,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_nodes_get_a_good_release_and_are_spared_a_bad_one() {
    let place = Place::alone().await;
    let sites = Box::pin(Sites::start(&place)).await;
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
    for (node, number) in nodes.iter().zip(0..) {
        let wish = sites.wish(&place, node, number);
        controller.order(&place, &node.name, &wish).await;
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
    let run = Run::start("control", (&place, &nodes), &sites);
    wait::pause(CONTROL).await;
    let control = run.end().await;
    let run = Run::start("through", (&place, &nodes), &sites);
    good(&place, &controller, &nodes).await;
    let through = run.end().await;
    assert!(
        through.each <= control.each * 1.1,
        "of pages that are passed on"
    );
    // A proxy that has just begun asks for some of what is soon stale once more.
    assert!(
        through.per_s <= control.per_s * 1.1,
        "in all: {} a second instead of {}",
        through.per_s,
        control.per_s
    );
    let soon = [sites.plain.page("/soon/0")];
    let clients = Clients::start(&place, &nodes, (&soon, PACE));
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
