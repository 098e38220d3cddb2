//! The ring as one index sees it: itself, its contacts, its clusters. Read from its state page.
//!
//! `text` shows it in a terminal, `picture` as SVG. Pure.

pub mod picture;
pub mod text;

use std::net::SocketAddr;

use common::ids::{ClusterId, Key, NodeId};
use serde::{Deserialize, Serialize};

/// Upper bounds of the round-trip histogram, in milliseconds; the last bar has the rest.
pub const RTT_BOUNDS_MS: [u64; 9] = [1, 2, 5, 10, 20, 60, 100, 200, 400];

/// What an index says of itself and of those it knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ring {
    /// Its name for people.
    #[serde(default)]
    pub name: String,
    /// Its id.
    pub id: NodeId,
    /// Its address.
    pub addr: SocketAddr,
    /// Whether it does its work, in a word.
    pub health: String,
    /// Nodes of the network, by its estimate.
    pub network_size: u32,
    /// What it holds.
    pub store: Store,
    /// Its clusters, level 1 first.
    pub levels: Vec<Cluster>,
    /// The nodes it knows, in order of id.
    pub contacts: Vec<Contact>,
}

/// What an index holds for others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Store {
    /// Keys.
    pub keys: u64,
    /// Values.
    pub values: u64,
    /// Bytes of values.
    pub bytes: u64,
}

/// A cluster an index is in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cluster {
    /// Its level.
    pub level: u8,
    /// Largest round trip inside it, in milliseconds.
    pub threshold_ms: u64,
    /// Its id.
    pub cluster: ClusterId,
    /// Its members, by estimate.
    pub size: u32,
    /// Since it was founded, in seconds.
    pub age_s: u64,
    /// Why the index is in it.
    pub here_because: String,
}

/// A node that the index knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Contact {
    /// Its id.
    pub id: NodeId,
    /// Its address.
    pub addr: SocketAddr,
    /// Whether it has failed, by the index's own evidence.
    #[serde(default)]
    pub failed: bool,
    /// The innermost level at which both share a cluster.
    #[serde(default)]
    pub level: u8,
    /// Smoothed round trip in microseconds, once measured.
    #[serde(default)]
    pub rtt_us: Option<u64>,
    /// What runs there.
    #[serde(default)]
    pub services: Vec<Service>,
}

/// A service and where it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Service {
    /// Its kind.
    pub name: String,
    /// Its address.
    pub addr: SocketAddr,
}

impl Ring {
    /// The contacts that live.
    pub fn live(&self) -> impl Iterator<Item = &Contact> {
        self.contacts.iter().filter(|contact| !contact.failed)
    }

    /// Live contacts of each level per bar of the round-trip histogram.
    #[must_use]
    pub fn histogram(&self) -> Vec<Vec<u32>> {
        let mut bars = vec![vec![0; self.levels.len() + 1]; RTT_BOUNDS_MS.len() + 1];
        for contact in self.live() {
            let Some(rtt) = contact.rtt_us else { continue };
            let bar = RTT_BOUNDS_MS.partition_point(|bound| bound * 1_000 < rtt);
            let count = bars
                .get_mut(bar)
                .and_then(|levels| levels.get_mut(usize::from(contact.level)));
            if let Some(count) = count {
                *count += 1;
            }
        }
        bars
    }

    /// Known live nodes, this one included (`None`), the closest to `key` first: the order in which
    /// a value under it is placed.
    #[must_use]
    pub fn closest(&self, key: Key) -> Vec<(NodeId, Option<&Contact>)> {
        let mut all: Vec<_> = self.live().map(|c| (c.id, Some(c))).collect();
        all.push((self.id, None));
        all.sort_by_key(|(id, _)| id.distance(&key));
        all
    }
}

/// How far around the ring an id is, from 0 to 1.
#[must_use]
pub fn turn(bytes: &[u8; 20]) -> f64 {
    let [a, b, c, d, ..] = *bytes;
    f64::from(u32::from_be_bytes([a, b, c, d])) / 4_294_967_296.0
}

/// The words for the bars of the histogram.
#[must_use]
pub fn bar_names() -> Vec<String> {
    let mut names: Vec<_> = RTT_BOUNDS_MS
        .iter()
        .map(|bound| format!("\u{2264} {bound}"))
        .collect();
    names.push("more".to_owned());
    names
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A ring of `n` contacts spread by their addresses, two inner levels.
    pub(crate) fn ring(n: u8) -> Ring {
        let addr = |n: u8| SocketAddr::from(([192, 0, 2, n], 7400));
        let contact = |n: u8| Contact {
            id: NodeId::of(addr(n)),
            addr: addr(n),
            failed: n.is_multiple_of(11),
            level: if n.is_multiple_of(4) { 2 } else { n % 2 },
            rtt_us: Some(u64::from(n) * u64::from(n) * 90),
            services: Vec::new(),
        };
        let cluster = |level: u8, size, threshold_ms| Cluster {
            level,
            threshold_ms,
            cluster: ClusterId::new(u64::from(level)),
            size,
            age_s: 5_400,
            here_because: "larger".to_owned(),
        };
        Ring {
            name: "ams-3".to_owned(),
            id: NodeId::of(addr(200)),
            addr: addr(200),
            health: "healthy".to_owned(),
            network_size: 166,
            store: Store {
                keys: 812,
                values: 1_204,
                bytes: 48_200,
            },
            levels: vec![cluster(1, 31, 60), cluster(2, 9, 20)],
            contacts: (1..=n).map(contact).collect(),
        }
    }

    #[test]
    fn each_live_contact_is_in_one_bar_at_its_level() {
        let ring = ring(40);
        let bars = ring.histogram();
        let counted: u32 = bars.iter().flatten().sum();
        assert_eq!(usize::try_from(counted).unwrap(), ring.live().count());
        assert_eq!(bars.len(), bar_names().len());
        // 90 microseconds for the first, an odd one.
        assert!(bars[0][1] > 0);
    }

    #[test]
    fn the_closest_come_first_and_the_failed_not_at_all() {
        let ring = ring(30);
        let key = Key::of(b"k");
        let order = ring.closest(key);
        assert_eq!(order.len(), 1 + 30 - 2);
        assert!(order.is_sorted_by_key(|(id, _)| id.distance(&key)));
    }

    #[test]
    fn a_state_page_with_more_than_is_known_still_reads() {
        let mut page = serde_json::to_value(ring(3)).unwrap();
        page["tomorrow"] = 1.into();
        let read: Ring = serde_json::from_value(page).unwrap();
        assert_eq!(read, ring(3));
    }
}
