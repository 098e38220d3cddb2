//! A controller whose database is PostgreSQL: orders, a rollout, kills and a database that goes away for a while.

use std::time::Duration;

use harness::fleet::Controller;
use harness::place::Place;
use harness::postgres::Postgres;
use harness::wait::{self, EVENTUALLY};
use rustix::process::Signal;

use super::rollouts::stand_in;

/// For all waves of a rollout with short times.
const LONG: Duration = Duration::from_secs(120);

/// Takes the release on to its end: nobody asks the nodes anything, so somebody says so at each wave.
async fn nod_through(controller: &Controller) {
    loop {
        let found = controller
            .until_rollout(&["paused", "done", "rolled_back"], LONG)
            .await;
        if found["phase"] != "paused" {
            assert_eq!(found["phase"], "done", "{found}");
            return;
        }
        drop(controller.ask(&["rollout", "resume"]).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_reaches_all_nodes_of_a_controller_on_postgresql_that_is_killed_meanwhile() {
    let place = Place::shared().await;
    let Some(mut postgres) = Postgres::start(&place).await else {
        return;
    };
    postgres.make("ctl").await;
    let mut controller = Controller::start_on(&postgres.url("ctl"), &place).await;
    for version in ["1.0.0", "1.1.0"] {
        controller
            .publish_proxy(&place, version, &stand_in(""))
            .await;
    }
    let nodes = controller.stand_ins(&place, 3, &["--together"]).await;
    let files = std::fs::read_dir(&controller.dir).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let files: Vec<_> = files.filter(|name| name.contains("db")).collect();
    assert!(files.is_empty(), "no database beside it: {files:?}");
    let start = [
        "rollout",
        "start",
        "1.1.0",
        "--soak",
        "1s",
        "--patience",
        "1s",
    ];
    drop(controller.ask(&start).await.ok());
    controller.until_rollout(&["paused"], EVENTUALLY).await;
    controller.daemon.kill();
    controller.daemon.start_again();
    controller.until_up().await;
    let found = controller.rollout().await;
    assert_eq!(found["phase"], "paused", "{found}");
    // The database ends, and comes back with all that was committed.
    // By its fast way: backends that outlive a killed one keep the next from starting.
    postgres.daemon.stop_by(Signal::INT).await;
    let refused = controller.ask(&["rollout", "resume"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("database (503)"), "{}", refused.err);
    postgres.daemon.start_again();
    let again = async || controller.ask(&["rollout", "resume"]).await.code == Some(0);
    wait::until("it goes on by itself", EVENTUALLY, again).await;
    nod_through(&controller).await;
    for node in &nodes {
        let status = node.until_runs(2).await;
        let proxy = &status["report"]["daemons"]["proxy"];
        assert_eq!(proxy["release"], "1.1.0", "{}", node.name);
    }
    let events = controller.ask(&["events"]).await.ok();
    for word in ["enrolled", "ordered", "rollout_started", "rollout_over"] {
        assert!(events.contains(word), "{word} in {events}");
    }
}
