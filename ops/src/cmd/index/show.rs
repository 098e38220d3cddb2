//! What an index answered, as a table for people or as JSON.

use std::time::Duration;

use dht::client::{NodeView, Value};
use serde_json::{Value as Json, json};

use super::key::Named;
use crate::render::{self, Align, Table};

/// Hexadecimal digits of an id that are shown.
const SHORT: usize = 8;

/// The key, and the URL it is of.
pub(super) fn named(named: &Named) -> String {
    match &named.url {
        Some(url) => format!("{}  {url}", named.key),
        None => named.key.to_string(),
    }
}

/// Values found under a key.
pub(super) fn values(of: &Named, values: &[Value], json: bool) -> String {
    if json {
        let shown = |value: &Value| {
            json!({
                "value": String::from_utf8_lossy(&value.bytes),
                "ttl_ms": u64::try_from(value.ttl.as_millis()).unwrap_or(u64::MAX),
                "publisher": value.publisher,
                "level": value.level,
            })
        };
        let values: Vec<_> = values.iter().map(shown).collect();
        return pretty(&json!({ "key": of.key, "url": of.url, "values": values }));
    }
    if values.is_empty() {
        return format!("{}\nnothing", named(of));
    }
    let mut table = Table::new(&[
        ("level", Align::Left),
        ("holds for", Align::Right),
        ("publisher", Align::Left),
        ("value", Align::Left),
    ]);
    for value in values {
        table.row([
            format!("L{}", value.level),
            render::duration(value.ttl),
            short(&value.publisher.to_string()),
            value.bytes.escape_ascii().to_string(),
        ]);
    }
    format!("{}\n{}", named(of), table.to_text())
}

/// Live nodes.
pub(super) fn nodes(nodes: &[NodeView], json: bool) -> String {
    let micros = |rtt: Duration| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX);
    if json {
        let shown = |node: &NodeView| {
            let services = node.services.iter();
            let services: Vec<_> = services
                .map(|(name, addr)| json!({ "name": name, "addr": addr }))
                .collect();
            json!({
                "id": node.id, "addr": node.addr, "rtt_us": node.rtt.map(micros),
                "near_us": node.near.map(micros), "services": services,
            })
        };
        return pretty(&nodes.iter().map(shown).collect());
    }
    let mut table = Table::new(&[
        ("id", Align::Left),
        ("address", Align::Left),
        ("round trip", Align::Right),
        ("services", Align::Left),
    ]);
    for node in nodes {
        let services = node.services.iter();
        let services: Vec<_> = services
            .map(|(name, addr)| format!("{name} {addr}"))
            .collect();
        table.row([
            short(&node.id.to_string()),
            node.addr.to_string(),
            node.rtt
                .map_or_else(|| "this node".to_owned(), render::duration),
            services.join(", "),
        ]);
    }
    table.to_text()
}

/// The node's levels, from the documents of the API.
pub(super) fn levels(levels: &Json, json: bool) -> String {
    if json {
        return pretty(levels);
    }
    let mut table = Table::new(&[
        ("level", Align::Left),
        ("round trip", Align::Left),
        ("cluster", Align::Left),
        ("members", Align::Right),
        ("age", Align::Right),
    ]);
    for level in levels.as_array().into_iter().flatten().rev() {
        let threshold = level["threshold_ms"]
            .as_u64()
            .map_or_else(|| "any".to_owned(), |ms| format!("under {ms} ms"));
        let world = level["level"] == 0;
        let cluster = level["cluster"].as_str().unwrap_or_default();
        table.row([
            format!("L{}", level["level"]),
            threshold,
            if world {
                "the world".to_owned()
            } else {
                short(cluster)
            },
            level["size"].to_string(),
            render::duration(Duration::from_secs(level["age_s"].as_u64().unwrap_or(0))),
        ]);
    }
    table.to_text()
}

fn short(hex: &str) -> String {
    hex.chars().take(SHORT).collect()
}

fn pretty(json: &Json) -> String {
    serde_json::to_string_pretty(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use common::ids::{Key, NodeId};

    use super::*;

    #[test]
    fn a_value_shows_where_it_was_found_and_cannot_disturb_the_terminal() {
        let of = Named {
            key: Key::of(b"http://example.com/"),
            url: Some("http://example.com/".to_owned()),
        };
        let value = Value {
            bytes: b"192.0.2.1:80 \x1b[2J".to_vec(),
            ttl: Duration::from_secs(90),
            publisher: NodeId::ZERO,
            level: 2,
        };
        let text = values(&of, &[value], false);
        assert!(
            text.contains("http://example.com/") && text.contains("L2"),
            "{text}"
        );
        assert!(text.contains("\\x1b[2J"), "{text}");
        assert!(values(&of, &[], false).ends_with("nothing"));
    }

    #[test]
    fn levels_are_shown_innermost_first() {
        let page = json!([
            { "level": 0, "cluster": "00", "size": 5, "age_s": 9 },
            { "level": 1, "threshold_ms": 60, "cluster": "0102030405", "size": 3, "age_s": 7 },
        ]);
        let text = levels(&page, false);
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[1].starts_with("L1     under 60 ms  01020304"),
            "{text}"
        );
        assert!(
            lines[2].starts_with("L0     any          the world"),
            "{text}"
        );
    }
}
