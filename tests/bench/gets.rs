//! Gets through the local API, as the proxy asks: over kept connections of `dht::client`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::clock::{Clock as _, SystemClock};
use common::ids::Key;
use dht::client::Client;
use harness::cluster::Index;

use super::cpu::Cpu;

/// Calls under way at once: a busy proxy.
const CALLS: usize = 32;

/// Keys asked for.
const KEYS: u16 = 256;

const DEADLINE: Duration = Duration::from_secs(2);

/// What a run came to.
pub(crate) struct Gets {
    /// Answers that held a value.
    pub(crate) found: u64,
    /// Other ends.
    pub(crate) failed: u64,
    /// How long it took.
    pub(crate) time: Duration,
    /// CPU of the asked daemon.
    pub(crate) cpu: Cpu,
}

pub(crate) fn key(n: u16) -> Key {
    Key::of(&n.to_be_bytes())
}

/// Puts a value under every key through `client`.
pub(crate) async fn fill(client: &Client) {
    for n in 0..KEYS {
        let ttl = Duration::from_secs(3_600);
        let put = client.put(key(n), b"192.0.2.1:8080 complete", ttl, DEADLINE);
        put.await.unwrap();
    }
}

/// Asks `index` for as long as `time`.
pub(crate) async fn run(index: &Index, time: Duration) -> Gets {
    let clock = SystemClock::new();
    let (began, before) = (clock.moment(), Cpu::of(index.daemon.pid()));
    let (found, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let client = index.client();
    let mut calls = Vec::new();
    for call in 0..CALLS {
        let (client, found, failed) = (client.clone(), Arc::clone(&found), Arc::clone(&failed));
        calls.push(tokio::spawn(async move {
            let mut n = u16::try_from(call).unwrap();
            while clock.moment().since(began) < time {
                n = (n + 1) % KEYS;
                let answer = client.get(key(n), 1, DEADLINE).await;
                let hit = answer.is_ok_and(|found| !found.values.is_empty());
                let counter = if hit { &found } else { &failed };
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for call in calls {
        call.await.unwrap();
    }
    Gets {
        found: found.load(Ordering::Relaxed),
        failed: failed.load(Ordering::Relaxed),
        time: clock.moment().since(began),
        cpu: Cpu::of(index.daemon.pid()).since(before),
    }
}
