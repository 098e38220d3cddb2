//! `atoll peers`: the nodes that an index knows, how far they are, and whom the proxy beside it avoids.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::index::node::Node;
use super::ring;
use super::whom::Whom;
use crate::admin;
use crate::cluster::layout::Kind;
use crate::outcome::{Exit, Outcome};
use crate::render::{self, Align, Table};
use crate::ring::Contact;
use crate::say;

/// Arguments of `atoll peers`.
#[derive(Clone, Debug, clap::Args)]
pub struct PeersArgs {
    #[command(flatten)]
    node: Node,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Shows them.
///
/// # Errors
/// No index answers.
pub async fn run(args: PeersArgs) -> Outcome {
    let ring = ring::of(&args.node).await?;
    let mut contacts: Vec<&Contact> = ring.contacts.iter().collect();
    contacts.sort_by_key(|one| (one.failed, std::cmp::Reverse(one.level), one.rtt_us));
    let avoided = avoided(&ring.name).await;
    if args.json {
        let rows: Vec<Value> = contacts
            .iter()
            .map(|one| json!({ "peer": one, "avoided": service(one, "peer").and_then(|at| avoided.get(&at)) }))
            .collect();
        let all = json!({ "node": ring.name, "peers": rows });
        say::result(&serde_json::to_string_pretty(&all).unwrap_or_default());
    } else {
        say::result(&table(&contacts, &avoided));
    }
    let alone = ring.live().next().is_none();
    Ok(if alone { Exit::Degraded } else { Exit::Ok })
}

/// Peers that the proxy of the same name blames, if it is one of a running cluster.
async fn avoided(name: &str) -> BTreeMap<String, String> {
    let Ok(proxies) = Whom::default().of_kind(Kind::Proxy).await else {
        return BTreeMap::new();
    };
    let Some(proxy) = proxies.iter().find(|one| one.name == name) else {
        return BTreeMap::new();
    };
    let Ok(page) = admin::page(proxy.admin, "/state").await else {
        return BTreeMap::new();
    };
    let state = page.json();
    let blamed = state["peers_blamed"].as_array().into_iter().flatten();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    blamed
        .map(|one| (word(&one["peer"]), word(&one["reason"])))
        .collect()
}

fn service(contact: &Contact, name: &str) -> Option<String> {
    let found = contact.services.iter().find(|one| one.name == name);
    found.map(|one| one.addr.to_string())
}

fn table(contacts: &[&Contact], avoided: &BTreeMap<String, String>) -> String {
    let mut table = Table::new(&[
        ("index", Align::Left),
        ("level", Align::Left),
        ("round trip", Align::Right),
        ("proxy", Align::Left),
        ("is", Align::Left),
    ]);
    for one in contacts {
        let rtt = one.rtt_us.map(Duration::from_micros).map(render::duration);
        let blamed = service(one, "peer").and_then(|peer| avoided.get(&peer));
        table.row([
            one.addr.to_string(),
            format!("L{}", one.level),
            rtt.unwrap_or_else(|| "-".to_owned()),
            service(one, "http").unwrap_or_else(|| "-".to_owned()),
            match blamed {
                _ if one.failed => "silent".to_owned(),
                Some(reason) => format!("alive, its proxy is avoided: {reason}"),
                None => "alive".to_owned(),
            },
        ]);
    }
    table.to_text()
}

#[cfg(test)]
mod tests {
    use common::ids::NodeId;

    use super::*;
    use crate::ring::Service;

    #[test]
    fn who_is_silent_or_avoided_is_said() {
        let addr = "192.0.2.1:83".parse().unwrap();
        let contact = |failed| Contact {
            id: NodeId::of(addr),
            addr,
            failed,
            level: 2,
            rtt_us: Some(1_500),
            services: vec![Service {
                name: "peer".to_owned(),
                addr: "192.0.2.1:81".parse().unwrap(),
            }],
        };
        let avoided = BTreeMap::from([("192.0.2.1:81".to_owned(), "digest".to_owned())]);
        let text = table(&[&contact(false), &contact(true)], &avoided);
        for part in ["L2", "1.50 ms", "alive, its proxy is avoided: digest"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(text.ends_with("silent"), "{text}");
    }
}
