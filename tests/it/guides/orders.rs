//! Controller, agents, rollouts, secrets and backups, as their guides have them typed.

use std::fs;

use harness::daemon::Daemon;
use harness::fleet::Controller;
use harness::guide::{Block, Reader, Where, blocks};
use harness::place::Place;
use harness::postgres::Postgres;
use harness::wait::EVENTUALLY;

use super::{programs, show};

/// A reader with a controller at `127.0.0.1:7700` of its own, and one node.
fn reader(place: &Place) -> Reader {
    let mut reader = Reader::new(place, 1);
    let state = reader.dir().join("node");
    reader.swap("127.0.0.1:7700", format!("{}:7700", place.ip(9)));
    reader.swap("192.0.2.9:7700", format!("{}:7700", place.ip(9)));
    reader.swap("CONTROLLER-KEY", "$(atoll key show ctl/controller.key)");
    let key = format!("$(atoll key show {}/agent.key)", state.display());
    reader.swap("NODE-KEY", key);
    reader.swap("/var/lib/atoll", state.display().to_string());
    let quick = "atoll agent --together --name reef1 --wait 2s --probation 2s";
    reader.swap("atoll agent", quick);
    reader
}

/// Writes the order of a node that is to run an index.
fn wishes_an_index(reader: &Reader, place: &Place) {
    let wish = format!(
        "{{\"daemons\":{{\"index\":{{\"program\":\"atoll-dht\",\"release\":\"1.0.0\",\"state\":\"run\",\
         \"settings\":{{\"udp.listen\":\"{}:8083\",\"network.secret_file\":\"{}\",\"local.socket\":\"{}\"}}}}}}}}",
        place.ip(11),
        harness::cluster::secret_file(place).display(),
        place.file("index.sock").display(),
    );
    fs::write(reader.dir().join("reef1.json"), wish).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_about_the_controller_and_the_agent_runs_as_it_is_written() {
    let place = Place::shared().await;
    let mut reader = reader(&place);
    programs(&reader.dir().join("build"), "first");
    wishes_an_index(&reader, &place);
    // The agent comes as soon as there is a controller to trust.
    let (agent, controller) = (blocks("agent"), blocks("controller"));
    let codes: &[(&str, &[i32])] = &[("atoll node list", &[0, 3])];
    let (first, rest) = controller.split_first().unwrap();
    reader.follow_block(first, codes).await;
    let (start, others) = agent.split_first().unwrap();
    reader.follow_block(start, codes).await;
    for block in rest.iter().chain(others) {
        reader.follow_block(block, codes).await;
    }
    show(reader.transcript());
    for word in ["reef1", "1.0.0"] {
        assert!(reader.transcript().contains(word), "{word}");
    }
}

/// Commands that no document has.
fn typed(commands: &[&str]) -> Block {
    Block {
        at: Where::Once,
        commands: commands.iter().map(|one| (*one).to_owned()).collect(),
    }
}

/// A node that runs what was ordered, as the guide of secrets has no need to say.
const SETTLED: [&str; 8] = [
    "atoll controller token --state ctl --name boss --scope release --out boss.token",
    "export ATOLL_CONTROLLER=http://127.0.0.1:7700",
    "export ATOLL_TOKEN_FILE=boss.token",
    "atoll release sign build --version 1.0.0 --key ctl/controller.key",
    "atoll release publish build",
    "atoll node enrol NODE-KEY --name reef1",
    "atoll node order reef1 --file reef1.json",
    "atoll status --state /var/lib/atoll | grep 'intent 1'",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_about_secrets_runs_as_it_is_written() {
    let place = Place::shared().await;
    let mut reader = reader(&place);
    let next = "$(atoll key show next.key 2>/dev/null || atoll key show ctl/controller.key)";
    reader.swap("NEXT-KEY", next);
    programs(&reader.dir().join("build"), "first");
    wishes_an_index(&reader, &place);
    let mut serial = 1;
    let mut agents = 0;
    for block in blocks("secrets") {
        let starts = |what: &str| block.commands[0].starts_with(what);
        if starts("mv ctl/controller.key") {
            reader.follow_block(&typed(&SETTLED), &[]).await;
            reader.stop_those("atoll controller");
        }
        if starts("atoll agent") {
            reader.stop_those("atoll agent");
            agents += 1;
        }
        reader.follow_block(&block, &[]).await;
        let changed = reader.dir().join("old.key").exists();
        if changed && (starts("atoll controller --state") || starts("atoll agent")) {
            // What the new key signs is followed: by who trusts both, and by who trusts it alone.
            serial += 1;
            let follows = format!("atoll status --state /var/lib/atoll | grep 'intent {serial}'");
            let order = "atoll node order reef1 --file reef1.json";
            reader.follow_block(&typed(&[order, &follows]), &[]).await;
        }
    }
    show(reader.transcript());
    assert_eq!((agents, serial), (2, 3));
    let shown = reader.transcript();
    assert!(!shown.contains("stranger"), "{shown}");
    let mode = fs::metadata(reader.dir().join("network.secret")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&mode) & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_in_postgresql_is_restored_as_it_is_written() {
    let place = Place::shared().await;
    let Some(postgres) = Postgres::start(&place).await else {
        return;
    };
    postgres.make("ctl").await;
    let mut reader = reader(&place);
    let url = "postgres://atoll:PASSWORD@127.0.0.1:5432/atoll";
    reader.swap(url, postgres.url("ctl"));
    let more = [
        "atoll key new --out node.key",
        "atoll node enrol $(atoll key show node.key) --name reef1 --controller http://127.0.0.1:7700 \
         --token-file my.token",
    ];
    for block in blocks("postgresql") {
        let starts = |what: &str| block.commands[0].starts_with(what);
        if starts("pg_dump") {
            reader.follow_block(&typed(&more), &[]).await;
        }
        if starts("psql") {
            reader.stop();
            postgres.make("ctl").await;
        }
        reader.follow_block(&block, &[]).await;
    }
    show(reader.transcript());
    let (_, restored) = reader.transcript().split_once("$ psql").unwrap();
    assert!(restored.contains("enrolled"), "{restored}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_restored_as_it_is_written() {
    let place = Place::shared().await;
    let mut reader = reader(&place);
    let mut blocks = blocks("backup");
    // Something is to be restored.
    let mut commands = vec![blocks[0].commands.remove(0)];
    let more = [
        "atoll controller token --state ctl --name before --scope operate --out before.token",
        "atoll key new --out node.key",
        "atoll node enrol $(atoll key show node.key) --name reef1 --controller http://127.0.0.1:7700 \
         --token-file before.token",
    ];
    commands.extend(more.map(str::to_owned));
    let at = Where::Once;
    let start = Block { at, commands };
    blocks.insert(0, start);
    for block in blocks {
        let mut typed = block.commands.iter();
        if typed.any(|typed| typed.starts_with("cp ctl-backup")) {
            reader.stop();
            fs::remove_file(reader.dir().join("ctl/controller.db")).unwrap();
        }
        reader.follow_block(&block, &[]).await;
    }
    let (_, restored) = reader.transcript().split_once("cp ctl-backup").unwrap();
    assert!(restored.contains("enrolled"), "{restored}");
    show(reader.transcript());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_about_rollouts_runs_as_it_is_written() {
    let place = Place::shared().await;
    let controller = Controller::start(&place).await;
    let stand_in = format!("exec '{}' \"$@\"", env!("CARGO_BIN_EXE_standin"));
    controller.publish_proxy(&place, "1.0.0", &stand_in).await;
    let mut nodes = controller.stand_ins(&place, 4, &["--together"]).await;
    let mut reader = Reader::new(&place, 1);
    // The release that the guide signs and publishes.
    let build = reader.dir().join("build");
    fs::create_dir_all(&build).unwrap();
    let release = place.file("release-1.0.0");
    let script = fs::read_to_string(release.join("atoll-proxy")).unwrap();
    let program = build.join("atoll-proxy");
    fs::copy(release.join("atoll-proxy"), &program).unwrap();
    fs::write(&program, script.replace("1.0.0", "1.1.0")).unwrap();
    std::os::unix::fs::symlink(&controller.dir, reader.dir().join("ctl")).unwrap();
    reader.export("ATOLL_CONTROLLER", &format!("http://{}", controller.addr()));
    let token = place.file("token").display().to_string();
    reader.export("ATOLL_TOKEN_FILE", &token);
    let quick = "rollout start 1.1.0 --soak 1s --patience 1s";
    reader.swap("rollout start 1.1.0", quick);
    // Nobody asks these nodes anything, so the gate has nothing to go by, and the rollout waits for a word.
    let codes: &[(&str, &[i32])] = &[
        ("atoll rollout start", &[3]),
        ("atoll rollout status", &[3]),
        ("atoll rollout watch", &[3]),
        ("atoll rollout pause", &[0, 1]),
    ];
    reader.follow("rollout", codes).await;
    let found = controller.until_rollout(&["rolled_back"], EVENTUALLY).await;
    show(reader.transcript());
    assert_eq!(found["why"], "asked", "{found}");
    let mut daemons: Vec<&mut Daemon> = nodes.iter_mut().map(|node| &mut node.agent).collect();
    assert!(daemons.iter_mut().all(|agent| agent.runs()));
}
