//! `/explain?name=NAME&client=IP[&type=AAAA]` of the admin listener: why the answer to a client names
//! whom it names.

use std::net::IpAddr;

use common::clock::Moment;
use common::rng::Generator;
use serde_json::{Value, json};

use crate::engine::answer::View;
use crate::engine::answer::explain::{Explanation, Line, explain};
use crate::engine::answer::locate::{Node, locate};
use crate::engine::asked::AskedName;
use crate::engine::config::ADDRESSES_MAX;
use crate::engine::inquiry::{Asker, Subnet};
use crate::engine::live::Family;
use crate::engine::near::Network;
use crate::engine::reason::Reason;
use crate::engine::snapshot::Snapshot;

/// The page, or why there is none.
#[must_use]
pub fn page(snapshot: &Snapshot, rng: &mut Generator, now: Moment, query: &str) -> Value {
    match explained(snapshot, rng, now, query) {
        Ok(page) => page,
        Err(why) => json!({ "error": why }),
    }
}

fn explained(
    snapshot: &Snapshot,
    rng: &mut Generator,
    now: Moment,
    query: &str,
) -> Result<Value, String> {
    let field = |wanted: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == wanted);
        values.next().map(|(_, value)| value.replace("%3A", ":"))
    };
    let name = field("name").ok_or("no name is given")?;
    let client = field("client").ok_or("no client is given")?;
    let client: IpAddr = client
        .parse()
        .map_err(|_| format!("\"{client}\" is not an IP address"))?;
    let family = match field("type").as_deref() {
        Some("AAAA" | "aaaa") => Family::V6,
        _ => Family::V4,
    };
    let view = View::new(snapshot, now);
    let labels = name.trim_end_matches('.').split('.').map(str::as_bytes);
    let asked = AskedName::from_labels(labels).ok_or("no name is so long")?;
    let place = locate(view.zones, &asked).ok_or("the name is in no zone of this server")?;
    if !matches!(place.node, Node::Apex | Node::Proxied) {
        return Err("the name has no proxies: it is data of the zone, or nothing".to_owned());
    }
    if !view.live.anyone() {
        return Ok(
            json!({ "name": name, "client": client, "reason": Reason::NobodyAlive.as_str() }),
        );
    }
    // As a resolver would ask that names its client's network.
    let asker = Asker {
        from: client,
        subnet: Some(Subnet {
            address: client,
            source: Network::bits(client),
        }),
        room: ADDRESSES_MAX,
    };
    let why = explain(&view, rng, family, &asker);
    Ok(shown(&name, client, &why))
}

fn shown(name: &str, client: IpAddr, why: &Explanation) -> Value {
    let bits = Network::bits(client);
    let line = |line: &Line| {
        json!({
            "proxy": line.proxy,
            "source": line.source.as_str(),
            "level": line.level,
            "rtt_ms": line.rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
            "site": line.site,
            "weight": line.weight,
            "verdict": line.verdict.as_str(),
        })
    };
    json!({
        "name": name,
        "client": client,
        "prefix": why.network.map(|network| format!("{network}/{bits}")),
        "source": why.source.as_str(),
        "reason": why.reason.as_str(),
        "ttl_s": why.ttl,
        "scope": why.scope,
        "candidates": why.lines.iter().map(line).collect::<Vec<_>>(),
    })
}
