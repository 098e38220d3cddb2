//! The ring in a terminal.

use std::time::Duration;

use common::ids::Key;

use super::{Contact, Ring, bar_names};
use crate::render::{self, Align, Table};

/// Columns of the longest bar of the histogram.
const BAR: usize = 40;

/// Hexadecimal digits of an id that are shown.
const SHORT: usize = 8;

/// The whole ring: clusters, nodes in the order of the ring, round trips.
#[must_use]
pub fn whole(ring: &Ring) -> String {
    [head(ring), clusters(ring), nodes(ring), histogram(ring)].join("\n\n")
}

/// Who is closest to `key`.
#[must_use]
pub fn around(ring: &Ring, key: Key) -> String {
    let mut table = Table::new(&[
        ("", Align::Right),
        ("id", Align::Left),
        ("address", Align::Left),
        ("level", Align::Left),
        ("round trip", Align::Right),
        ("shared bits", Align::Right),
    ]);
    for (place, (id, contact)) in ring.closest(key).into_iter().enumerate() {
        let shared = shared_bits(id.as_bytes(), key.as_bytes());
        let (addr, level, rtt) = contact.map_or_else(
            || (ring.addr.to_string(), "this node".to_owned(), String::new()),
            |contact| (contact.addr.to_string(), level(contact), rtt(contact)),
        );
        table.row([
            (place + 1).to_string(),
            short(&id.to_string()),
            addr,
            level,
            rtt,
            shared.to_string(),
        ]);
    }
    format!("key {key}, closest first\n\n{}", table.to_text())
}

fn head(ring: &Ring) -> String {
    let name = if ring.name.is_empty() {
        "index"
    } else {
        &ring.name
    };
    format!(
        "{name} {} at {}: {}, about {} nodes in the network\n{} keys, {} values, {} held",
        short(&ring.id.to_string()),
        ring.addr,
        ring.health,
        ring.network_size,
        render::count(ring.store.keys),
        render::count(ring.store.values),
        render::bytes(ring.store.bytes),
    )
}

fn clusters(ring: &Ring) -> String {
    let mut table = Table::new(&[
        ("level", Align::Left),
        ("round trip", Align::Left),
        ("cluster", Align::Left),
        ("members", Align::Right),
        ("age", Align::Right),
        ("here because", Align::Left),
    ]);
    for cluster in ring.levels.iter().rev() {
        table.row([
            format!("L{}", cluster.level),
            format!("under {} ms", cluster.threshold_ms),
            short(&cluster.cluster.to_string()),
            cluster.size.to_string(),
            render::duration(Duration::from_secs(cluster.age_s)),
            cluster.here_because.clone(),
        ]);
    }
    table.row([
        "L0".to_owned(),
        "any".to_owned(),
        "the world".to_owned(),
        ring.network_size.to_string(),
    ]);
    table.to_text()
}

/// In the order of the ring, this node among its contacts.
fn nodes(ring: &Ring) -> String {
    let mut table = Table::new(&[
        ("id", Align::Left),
        ("address", Align::Left),
        ("level", Align::Left),
        ("round trip", Align::Right),
        ("services", Align::Left),
    ]);
    let mut rows: Vec<_> = ring
        .contacts
        .iter()
        .map(|contact| {
            let services = contact.services.iter().map(|service| &*service.name);
            let services: Vec<_> = services.collect();
            let cells = [
                short(&contact.id.to_string()),
                contact.addr.to_string(),
                level(contact),
                rtt(contact),
                services.join(" "),
            ];
            (contact.id, cells)
        })
        .collect();
    let own = [
        short(&ring.id.to_string()),
        ring.addr.to_string(),
        "this node".to_owned(),
        String::new(),
        String::new(),
    ];
    rows.push((ring.id, own));
    rows.sort_by_key(|(id, _)| *id);
    for (_, cells) in rows {
        table.row(cells);
    }
    table.to_text()
}

fn histogram(ring: &Ring) -> String {
    let totals: Vec<u32> = ring
        .histogram()
        .iter()
        .map(|bar| bar.iter().sum())
        .collect();
    let most = totals.iter().copied().max().unwrap_or(0).max(1);
    let mut table = Table::new(&[
        ("ms", Align::Right),
        ("nodes", Align::Right),
        ("", Align::Left),
    ]);
    for (name, total) in bar_names().into_iter().zip(totals) {
        let length = BAR * usize::try_from(total).unwrap_or(0);
        let bar = "\u{2588}".repeat(length.div_ceil(usize::try_from(most).unwrap_or(1)));
        table.row([name, total.to_string(), bar]);
    }
    table.to_text()
}

fn level(contact: &Contact) -> String {
    if contact.failed {
        "failed".to_owned()
    } else {
        format!("L{}", contact.level)
    }
}

fn rtt(contact: &Contact) -> String {
    contact.rtt_us.map_or_else(
        || "-".to_owned(),
        |rtt| render::duration(Duration::from_micros(rtt)),
    )
}

fn short(hex: &str) -> String {
    hex.chars().take(SHORT).collect()
}

/// Leading bits that two ids share.
fn shared_bits(one: &[u8; 20], other: &[u8; 20]) -> u32 {
    let mut bits = 0;
    for (a, b) in one.iter().zip(other) {
        let same = (a ^ b).leading_zeros();
        bits += same;
        if same < 8 {
            break;
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::super::tests::ring;
    use super::*;

    #[test]
    fn a_ring_shows_itself_its_clusters_and_every_contact() {
        let ring = ring(12);
        let text = whole(&ring);
        for contact in &ring.contacts {
            assert!(text.contains(&contact.addr.to_string()), "{text}");
        }
        for word in [
            "ams-3",
            "this node",
            "under 20 ms",
            "the world",
            "failed",
            "healthy",
        ] {
            assert!(text.contains(word), "{word} is not in\n{text}");
        }
    }

    #[test]
    fn a_key_shows_who_is_closest_first() {
        let ring = ring(5);
        let key = ring.contacts[2].id.as_key();
        let text = around(&ring, key);
        let first = text.lines().nth(3).unwrap();
        assert!(
            first.contains("192.0.2.3") && first.ends_with("160"),
            "{text}"
        );
    }
}
