//! A controller and the agents of a few nodes, with real daemons, as an operator runs them.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::ids::Key;
use dht::client::Client;
use serde_json::{Value, json};

use crate::binaries::Program;
use crate::client::{Answer, Ask, Page};
use crate::cluster::secret_file;
use crate::daemon::{Daemon, Vars};
use crate::exec::{Ran, command, run_ours, run_within};
use crate::origin::ZONE;
use crate::place::{Place, Port, host};
use crate::wait::{self, EVENTUALLY};

/// For a get; an index that changes places takes part of a second.
const GET: Duration = Duration::from_secs(5);

/// The host of the controller in a place.
const CONTROLLER: u8 = 200;

/// The daemons of a release, as programs of their names.
const DAEMONS: [Program; 3] = [Program::Proxy, Program::Dht, Program::Dns];

/// A controller.
#[derive(Debug)]
pub struct Controller {
    /// Its process.
    pub daemon: Daemon,
    /// Its directory.
    pub dir: PathBuf,
    url: String,
    token: PathBuf,
    /// What it is told of its database, if that is no file of its own.
    database: Vec<String>,
}

/// A node with an agent.
#[derive(Debug)]
pub struct Node {
    /// The agent's process.
    pub agent: Daemon,
    /// The agent's directory.
    pub dir: PathBuf,
    /// What people call it.
    pub name: String,
    number: u8,
}

impl Controller {
    /// Starts a controller, and waits until it answers.
    pub async fn start(place: &Place) -> Self {
        Self::start_among(&Vars::new(), place).await
    }

    /// The same with these in its environment.
    pub async fn start_among(vars: &Vars, place: &Place) -> Self {
        Self::start_with(vars, Vec::new(), place).await
    }

    /// Starts one whose database has this URL.
    pub async fn start_on(database: &str, place: &Place) -> Self {
        let database = ["--database", database].map(str::to_owned).to_vec();
        Self::start_with(&Vars::new(), database, place).await
    }

    async fn start_with(vars: &Vars, database: Vec<String>, place: &Place) -> Self {
        let dir = place.file("controller");
        let addr = place.at(CONTROLLER, Port::Web);
        let args = [
            "controller",
            "--state",
            path(&dir),
            "--listen",
            &addr.to_string(),
        ];
        let args: Vec<_> = args
            .map(str::to_owned)
            .into_iter()
            .chain(database.clone())
            .collect();
        let title = "controller";
        let daemon = Daemon::start_with_among(vars, title, Program::Atoll, &args, place.dir());
        let controller = Self {
            daemon,
            url: format!("http://{addr}"),
            token: place.file("token"),
            dir,
            database,
        };
        controller.until_up().await;
        controller.make_token().await;
        controller
    }

    /// Waits until it answers.
    pub async fn until_up(&self) {
        let addr = self.addr();
        let up = async || tokio::net::TcpStream::connect(addr).await.is_ok();
        wait::until("the controller listens", EVENTUALLY, up).await;
    }

    /// Makes a token that may do everything; the one before is of no use to another database.
    pub async fn make_token(&self) {
        drop(fs::remove_file(&self.token));
        let (dir, out) = (path(&self.dir), path(&self.token));
        let args = [
            "controller",
            "--state",
            dir,
            "token",
            "--name",
            "test",
            "--scope",
            "release",
        ];
        let database: Vec<&str> = self.database.iter().map(String::as_str).collect();
        let args = [&args[..], &["--out", out], &database].concat();
        let made = run_ours(Program::Atoll, &args).await;
        drop(made.ok());
    }

    /// Its public key.
    pub async fn key(&self) -> String {
        let file = self.dir.join("controller.key");
        let shown = run_ours(Program::Atoll, &["key", "show", path(&file)]).await;
        shown.ok().trim().to_owned()
    }

    /// Runs an operator's command against it.
    pub async fn ask(&self, args: &[&str]) -> Ran {
        self.ask_within(args, EVENTUALLY).await
    }

    /// The same of one that takes its time.
    pub async fn ask_within(&self, args: &[&str], deadline: Duration) -> Ran {
        let whom = ["--controller", &self.url, "--token-file", path(&self.token)];
        let mut typed = command(Program::Atoll.path());
        run_within(typed.args([args, &whom].concat()), deadline).await
    }

    /// Publishes a release of these programs: each becomes the program named, or ends at once if it is none.
    pub async fn publish(&self, place: &Place, version: &str, script: impl Fn(Program) -> String) {
        let dir = place.file(&format!("release-{version}"));
        fs::create_dir_all(&dir).unwrap();
        for program in DAEMONS {
            let file = dir.join(program.name());
            fs::write(
                &file,
                format!("#!/bin/sh\n# {version}\n{}\n", script(program)),
            )
            .unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let key = self.dir.join("controller.key");
        let sign = [
            "release",
            "sign",
            path(&dir),
            "--version",
            version,
            "--key",
            path(&key),
        ];
        drop(run_ours(Program::Atoll, &sign).await.ok());
        drop(self.ask(&["release", "publish", path(&dir)]).await.ok());
    }

    /// Publishes a release of one program, a proxy that a script becomes.
    pub async fn publish_proxy(&self, place: &Place, version: &str, script: &str) {
        let all = |program| match program {
            Program::Proxy => script.to_owned(),
            _ => "exit 1".to_owned(),
        };
        self.publish(place, version, all).await;
    }

    /// Where the latest rollout is, as `atoll rollout status --json` says it; nothing if it does not answer.
    pub async fn rollout(&self) -> Value {
        let ran = self.ask(&["rollout", "status", "--json"]).await;
        serde_json::from_str(&ran.out).unwrap_or_default()
    }

    /// Waits until the latest rollout is in one of these phases; says how it is then.
    pub async fn until_rollout(&self, phases: &[&str], deadline: Duration) -> Value {
        let there = |found: &Value| phases.iter().any(|phase| found["phase"] == *phase);
        let look = async || Some(self.rollout().await).filter(there);
        wait::some(&format!("the rollout is {phases:?}"), deadline, look).await
    }

    /// As [`until_rollout`](Self::until_rollout), without looking all the while: looking costs the controller.
    pub async fn until_rollout_slowly(&self, phases: &[&str], deadline: Duration) -> Value {
        let look = async {
            loop {
                let found = self.rollout().await;
                if phases.iter().any(|phase| found["phase"] == *phase) {
                    return found;
                }
                wait::pause(Duration::from_secs(1)).await;
            }
        };
        wait::within(&format!("the rollout is {phases:?}"), deadline, look).await
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.url.trim_start_matches("http://").parse().unwrap()
    }

    /// The token that may do everything.
    #[must_use]
    pub fn token(&self) -> String {
        fs::read_to_string(&self.token).unwrap().trim().to_owned()
    }

    /// Shows the latest rollout as it goes, in a process of its own whose output is its log.
    #[must_use]
    pub fn watch(&self, place: &Place) -> Daemon {
        let args = [
            "rollout",
            "watch",
            "--controller",
            &self.url,
            "--token-file",
        ];
        let mut args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        args.push(path(&self.token).to_owned());
        Daemon::start_with("watch", Program::Atoll, &args, place.dir())
    }

    /// Orders a node to run this, as `--file` takes it.
    pub async fn order(&self, place: &Place, node: &str, wish: &Value) {
        let file = place.file(&format!("order-{node}.json"));
        fs::write(&file, wish.to_string()).unwrap();
        let typed = ["node", "order", node, "--file", path(&file)];
        drop(self.ask(&typed).await.ok());
    }

    /// So many nodes that run the stand-in of release 1.0.0, by their first order.
    pub async fn stand_ins(&self, place: &Place, count: u8, extra: &[&str]) -> Vec<Node> {
        let mut nodes = Vec::new();
        for number in 0..count {
            let node = Node::start(place, self, number, extra).await;
            let wish = node.wish_stand_in(place, "1.0.0");
            self.order(place, &node.name, &wish).await;
            nodes.push(node);
        }
        for node in &nodes {
            node.until_runs(1).await;
        }
        nodes
    }
}

/// The script of a release whose programs are those under test.
#[must_use]
pub fn ours(program: Program) -> String {
    format!("exec '{}' \"$@\"", program.path().display())
}

impl Node {
    /// Starts the agent of node number `number`, from 0, and enrols it. `extra` are arguments of its own.
    pub async fn start(place: &Place, controller: &Controller, number: u8, extra: &[&str]) -> Self {
        Self::start_among(&Vars::new(), place, controller, number, extra).await
    }

    /// The same with these in the environment of its agent, and so of its daemons.
    pub async fn start_among(
        vars: &Vars,
        place: &Place,
        controller: &Controller,
        number: u8,
        extra: &[&str],
    ) -> Self {
        let name = format!("reef{number}");
        let dir = place.file(&format!("agent-{name}"));
        let trust = controller.key().await;
        let mut args = vec![
            "agent",
            "--state",
            path(&dir),
            "--trust",
            &trust,
            "--name",
            &name,
        ];
        args.extend([
            "--controller",
            &controller.url,
            "--wait",
            "2s",
            "--probation",
            "1s",
        ]);
        args.extend(["--grace", "5s", "--look", "300ms"]);
        args.extend_from_slice(extra);
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        let title = format!("agent-{name}");
        let agent = Daemon::start_with_among(vars, &title, Program::Atoll, &args, place.dir());
        let node = Self {
            agent,
            dir,
            name,
            number,
        };
        node.until("its agent answers", |status| status.is_object())
            .await;
        node.enrol(controller).await;
        node
    }

    /// Enrols it at a controller.
    pub async fn enrol(&self, controller: &Controller) {
        let key = self.status().await["report"]["node"]
            .as_str()
            .unwrap()
            .to_owned();
        let enrol = ["node", "enrol", &key, "--name", &self.name];
        drop(controller.ask(&enrol).await.ok());
    }

    /// What its agent says of itself; nothing if it does not answer.
    pub async fn status(&self) -> Value {
        let ran = self.told(&["--json"]).await;
        serde_json::from_str(&ran.out).unwrap_or_default()
    }

    /// `atoll status` of it.
    pub async fn told(&self, args: &[&str]) -> Ran {
        let status = ["status", "--state", path(&self.dir)];
        run_ours(Program::Atoll, &[&status[..], args].concat()).await
    }

    /// Waits until its agent says so.
    pub async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let what = format!("{}: {what}", self.name);
        let look = async || Some(self.status().await).filter(|status| holds(status));
        wait::some(&what, EVENTUALLY, look).await
    }

    /// Waits until all its daemons are up by this intent.
    pub async fn until_runs(&self, serial: u64) -> Value {
        let up = |daemon: &Value| daemon["doing"] == "up";
        let runs = |status: &Value| {
            let daemons = status["report"]["daemons"].as_object();
            let all_up = daemons.is_some_and(|all| !all.is_empty() && all.values().all(up));
            status["report"]["in_force"] == serial && all_up && status["proven"] == true
        };
        self.until(&format!("it runs intent {serial}"), runs).await
    }

    /// Waits until all its daemons are up by this intent, proven or not.
    pub async fn until_up(&self, serial: u64) -> Value {
        let ready = |daemon: &Value| daemon["doing"] == "up" && daemon["ready"] != false;
        let runs = |status: &Value| {
            let daemons = status["report"]["daemons"].as_object();
            status["report"]["in_force"] == serial
                && daemons.is_some_and(|all| all.values().all(ready))
        };
        self.until(&format!("all is up by intent {serial}"), runs)
            .await
    }

    /// The process of a daemon that was started last.
    #[must_use]
    pub fn pid(&self, daemon: &str) -> u64 {
        let (_, pid) = self.processes(daemon).into_iter().max().unwrap();
        pid
    }

    /// The process of a daemon that lives and was started first.
    #[must_use]
    pub fn pid_that_lives(&self, daemon: &str) -> u64 {
        let lives = |pid: u64| Path::new("/proc").join(pid.to_string()).exists();
        let mut all = self.processes(daemon);
        all.retain(|(_, pid)| lives(*pid));
        all.into_iter().min().unwrap().1
    }

    /// The processes that a daemon had, with when they were started.
    fn processes(&self, daemon: &str) -> Vec<(u64, u64)> {
        let entries = fs::read_dir(self.dir.join("run")).unwrap();
        let record = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let (stem, _) = name
                .strip_suffix(".json")?
                .split_once('.')
                .unwrap_or((name.strip_suffix(".json")?, ""));
            let record = fs::read(entry.path()).ok().filter(|_| stem == daemon)?;
            let record: Value = serde_json::from_slice(&record).ok()?;
            Some((record["ticks"].as_u64()?, record["pid"].as_u64()?))
        };
        entries.filter_map(record).collect()
    }

    /// Has its index store something for an hour.
    pub async fn put(&self, place: &Place, what: &str) {
        let client = self.index(place);
        let put = client.put(
            Key::of(what.as_bytes()),
            what.as_bytes(),
            Duration::from_secs(3_600),
            wait::SOON,
        );
        put.await.unwrap();
    }

    fn index(&self, place: &Place) -> Client {
        Client::new(place.file(&format!("{}.sock", self.name)))
    }

    /// Gets the twenty keys that were [put](Self::put) in turn, until it is to stop: how many gets, and what
    /// went wrong.
    pub fn gets(
        &self,
        place: &Place,
        stop: Arc<AtomicBool>,
    ) -> impl Future<Output = (u64, Vec<String>)> + Send + use<> {
        let client = self.index(place);
        async move {
            let (mut asked, mut failed) = (0, Vec::new());
            while !stop.load(Ordering::Relaxed) {
                let what = format!("key {}", asked % 20);
                let got = client.get(Key::of(what.as_bytes()), 1, GET).await;
                match got {
                    Ok(found) if found.values.iter().any(|v| v.bytes == what.as_bytes()) => {}
                    other => failed.push(format!("{what}: {other:?}")),
                }
                asked += 1;
                wait::pause(Duration::from_millis(5)).await;
            }
            (asked, failed)
        }
    }

    /// The order for an index and a proxy of this release.
    #[must_use]
    pub fn wish(&self, place: &Place, release: &str) -> Value {
        let host = host::NODE + self.number;
        let at = |port| place.at(host, port).to_string();
        let seed = place.at(host::NODE, Port::Index).to_string();
        let file = |name: &str| path(&self.dir.join(name)).to_owned();
        let secret = secret_file(place).display().to_string();
        let socket = place
            .file(&format!("{}.sock", self.name))
            .display()
            .to_string();
        json!({ "daemons": {
            "index": { "program": "atoll-dht", "release": release, "state": "run", "settings": {
                "node.name": self.name, "udp.listen": at(Port::Index), "admin.listen": at(Port::IndexAdmin),
                "local.socket": socket, "state.dir": file("index"), "network.secret_file": secret,
                "join.seeds": if self.number == 0 { String::new() } else { seed } } },
            "proxy": { "program": "atoll-proxy", "release": release, "state": "run", "settings": {
                "zone": ZONE, "node.name": self.name, "http.listen": at(Port::Http),
                "peer.listen": at(Port::Peer), "admin.listen": at(Port::ProxyAdmin),
                "index.socket": socket, "network.secret_file": secret, "store.dir": file("store"),
                "origin.allow_private": "true" } } } })
    }

    /// The order for a stand-in of this release, with nothing but its two listeners.
    #[must_use]
    pub fn wish_stand_in(&self, place: &Place, release: &str) -> Value {
        let at = |port| place.at(host::NODE + self.number, port).to_string();
        json!({ "daemons": { "proxy": { "program": "atoll-proxy", "release": release, "state": "run",
            "settings": { "http.listen": at(Port::Http), "admin.listen": at(Port::ProxyAdmin) } } } })
    }

    /// Where its proxy listens for clients.
    #[must_use]
    pub const fn http(&self, place: &Place) -> SocketAddr {
        place.at(host::NODE + self.number, Port::Http)
    }

    /// The answer of its proxy to a plain GET.
    pub async fn get(&self, place: &Place, page: &Page) -> Answer {
        Ask::of(place.at(host::NODE + self.number, Port::Http), page)
            .fetch()
            .await
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
