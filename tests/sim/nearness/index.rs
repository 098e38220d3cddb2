//! What the index would say: the hints of each network, and who is near by them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use common::clock::Moment;
use common::netaddr::Prefix;
use common::rng::Generator;
use dht::hints::{Hint, RTT_MAX, TTL};

/// Values of one key that a lookup brings home: the nodes of a key are full at four, and a lookup
/// asks for eight.
const HINTS: usize = 8;

/// Hinted nodes that are asked who is in their cluster.
const HINTED: usize = 3;

/// Half the width of inner and of outer clusters, which their other members count as farther.
const SPREAD: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(30));

/// Proxies pinged for one search: who does not fit is not named.
const PINGED: usize = 24;

/// One hint: who measured, what, and when.
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
    /// Proxy `proxy` tells how far the clients of `client`'s network are.
    pub(super) fn tell(&mut self, now: Moment, client: IpAddr, proxy: usize, rtt: Duration) {
        let key = Prefix::of(client).network();
        let told = self.hints.entry(key).or_default();
        told.retain(|(by, _, at)| *by != proxy && now.since(*at) < TTL);
        told.push((proxy, rtt, now));
        // Those that last longest stay.
        let over = told.len().saturating_sub(HINTS);
        told.drain(..over);
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
        let left = |at: Moment| TTL.saturating_sub(now.since(at));
        let live = told
            .into_iter()
            .flatten()
            .filter(|(_, _, at)| !left(*at).is_zero());
        let mut hints: Vec<_> = live
            .map(|(proxy, rtt, at)| {
                let addr = ([192, 0, 2, 1], 7_400).into();
                let rtt = (*rtt).min(RTT_MAX);
                (Hint { addr, rtt }.distance(left(*at)), *proxy)
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
