//! Seeing into a running network: traces, injections, captures, and what is wrong.

mod doctor;
mod documents;
mod export;
mod looks;
mod traces;

use harness::dev::{Dev, atoll};
use harness::exec::{Ran, run};
use harness::origin::Origin;
use harness::place::Place;
use serde_json::Value;

/// A running `atoll dev` of `nodes`, and an origin of the test's own.
async fn network(place: &Place, nodes: u8) -> (Dev, Origin) {
    let nodes = nodes.to_string();
    let args = [
        "--nodes",
        &nodes,
        "--dns",
        "1",
        "--no-origin",
        "--allow-private-origins",
    ];
    let dev = Dev::start(place, &args).await;
    (dev, Origin::start(place).await)
}

/// Runs `atoll` with `args`.
async fn told(place: &Place, args: &[&str]) -> Ran {
    run(&mut atoll(place, args)).await
}

/// The same as JSON, with the exit code.
async fn json(place: &Place, args: &[&str]) -> (Option<i32>, Value) {
    let ran = told(place, &[args, &["--json"]].concat()).await;
    let value = serde_json::from_str(&ran.out);
    assert!(value.is_ok(), "{}{}", ran.out, ran.err);
    (ran.code, value.unwrap())
}
