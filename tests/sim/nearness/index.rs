//! What the index would say: the hints of each network, and who is near by them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use common::clock::Moment;
use common::netaddr::Prefix;
use common::rng::Generator;
use dht::hints::{Hint, RTT_MAX};
use proxy::engine::distances::Hint as Measured;

/// Values of one key that a lookup brings home: the nodes of a key are full at four, and a lookup
/// asks for eight.
const HINTS: usize = 8;

/// Hinted nodes that are asked who is in their cluster.
const HINTED: usize = 3;

/// Half the width of inner and of outer clusters, which their other members count as farther.
const SPREAD: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(30));

/// Proxies pinged for one search: who does not fit is not named.
const PINGED: usize = 24;

/// One hint: who measured, what, and until when it lasts.
type Told = (usize, Duration, Moment);

fn shuffle<T>(items: &mut [T], rng: &mut Generator) {
    for last in (1..items.len()).rev() {
        items.swap(last, rng.below(last + 1));
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    hints: BTreeMap<IpAddr, Vec<Told>>,
}

impl Index {
    /// Proxy `proxy` tells how far the clients of a network are.
    pub(super) fn tell(&mut self, now: Moment, proxy: usize, hint: Measured) {
        let key = Prefix::of(hint.client).network();
        let told = self.hints.entry(key).or_default();
        told.retain(|(by, _, until)| *by != proxy && *until > now);
        told.push((proxy, hint.rtt, now + hint.ttl));
        // Those that last longest stay.
        told.sort_by_key(|(by, _, until)| (Reverse(*until), *by));
        told.truncate(HINTS);
    }

    /// Proxies near `client`, the nearest first; `cluster` says who else is in a proxy's innermost
    /// cluster.
    pub(super) fn near(
        &self,
        now: Moment,
        client: IpAddr,
        wide: bool,
        cluster: impl Fn(usize) -> Vec<usize>,
        rng: &mut Generator,
    ) -> Vec<(usize, Duration)> {
        let told = self.hints.get(&Prefix::of(client).network());
        let live = told
            .into_iter()
            .flatten()
            .filter(|(_, _, until)| *until > now);
        let mut hints: Vec<_> = live
            .map(|(proxy, rtt, until)| {
                let addr = ([192, 0, 2, 1], 7_400).into();
                let rtt = (*rtt).min(RTT_MAX);
                (Hint { addr, rtt }.distance(until.since(now)), *proxy)
            })
            .collect();
        hints.sort_unstable();
        hints.truncate(HINTED);
        let mut near: BTreeMap<usize, Duration> = BTreeMap::new();
        let spread = if wide { SPREAD.1 } else { SPREAD.0 };
        for (far, proxy) in &hints {
            near.insert(*proxy, *far);
        }
        for (far, proxy) in hints {
            let mut members = cluster(proxy);
            shuffle(&mut members, rng);
            for member in members {
                if near.len() < PINGED || near.contains_key(&member) {
                    let known = near.entry(member).or_insert(far + spread);
                    *known = (far + spread).min(*known);
                }
            }
        }
        let mut near: Vec<_> = near.into_iter().collect();
        shuffle(&mut near, rng);
        near.sort_by_key(|(_, far)| *far);
        near
    }

    /// Networks of which something was told.
    pub(super) fn networks(&self) -> usize {
        self.hints.len()
    }
}
