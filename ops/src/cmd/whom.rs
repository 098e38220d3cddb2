//! Which daemons a command asks: those of a running `atoll dev`, or those whose admin listeners are named.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;

use crate::admin;
use crate::cluster::layout::Kind;
use crate::cluster::ready_file::ReadyFile;
use crate::outcome::Failure;

/// Arguments of commands that ask daemons.
#[derive(Clone, Default, Debug, clap::Args)]
pub struct Whom {
    /// The admin listener of a daemon to ask, again for more of them; without it a running `atoll dev`
    #[arg(long, value_name = "ADDR")]
    pub(super) admin: Vec<SocketAddr>,
    /// Only the daemons of this node
    #[arg(long, value_name = "NAME")]
    pub(super) node: Option<String>,
    /// The cluster; without it the one that this user's `atoll dev` runs
    #[arg(long, value_name = "FILE", conflicts_with = "admin")]
    pub(super) ready_file: Option<PathBuf>,
}

/// A daemon to ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Daemon {
    /// What it is.
    pub kind: Kind,
    /// The name of its node.
    pub name: String,
    /// Its admin listener.
    pub admin: SocketAddr,
    /// Where it serves, if that is known.
    pub addr: Option<SocketAddr>,
    /// Where it serves other proxies.
    pub peer: Option<SocketAddr>,
    /// An index's local socket.
    pub socket: Option<PathBuf>,
}

impl Whom {
    /// The daemons meant, in order; those named by address that do not answer are errors in words.
    ///
    /// # Errors
    /// There is no such cluster, or no such node in it.
    pub async fn find(&self) -> Result<(Vec<Daemon>, Vec<String>), Failure> {
        let (mut found, mut silent) = (Vec::new(), Vec::new());
        for admin in &self.admin {
            match admin::page(*admin, "/state").await {
                Ok(page) => found.extend(recognise(*admin, &page.json())),
                Err(error) => silent.push(format!("{admin}: {error}")),
            }
        }
        if self.admin.is_empty() {
            let cluster = ReadyFile::load(self.ready_file.as_deref())?;
            found.extend(cluster.processes.into_iter().map(|entry| Daemon {
                kind: entry.kind,
                name: entry.name,
                admin: entry.admin,
                addr: Some(entry.addr),
                peer: entry.peer,
                socket: entry.socket,
            }));
        } else if found.is_empty() {
            return Err(Failure::unreachable(
                silent.join("; "),
                "name the admin listeners of running daemons with --admin",
            ));
        }
        if let Some(node) = &self.node {
            let names: Vec<_> = found.iter().map(|daemon| daemon.name.clone()).collect();
            found.retain(|daemon| daemon.name == *node);
            if found.is_empty() {
                let what = format!("there is no node {node}");
                let advice = format!("name one of {} with --node", names.join(", "));
                return Err(Failure::usage(what, advice));
            }
        }
        Ok((found, silent))
    }

    /// The same, of one kind; at least one.
    ///
    /// # Errors
    /// There is none.
    pub async fn of_kind(&self, kind: Kind) -> Result<Vec<Daemon>, Failure> {
        let (mut found, _) = self.find().await?;
        found.retain(|daemon| daemon.kind == kind);
        if found.is_empty() {
            let what = format!("none of these daemons is a {}", kind.as_str());
            return Err(Failure::usage(what, "name one by --admin or --node"));
        }
        Ok(found)
    }
}

/// The daemon whose state page this is.
fn recognise(admin: SocketAddr, state: &Value) -> Option<Daemon> {
    let kind = if state["contacts"].is_array() {
        Kind::Dht
    } else if state["store"].is_object() {
        Kind::Proxy
    } else if state["proxies"].is_array() {
        Kind::Dns
    } else {
        return None;
    };
    let text = |field: &Value| field.as_str().map(ToOwned::to_owned);
    let name = text(&state["name"]).or_else(|| text(&state["node"]));
    Some(Daemon {
        kind,
        name: name.unwrap_or_else(|| admin.to_string()),
        admin,
        addr: state["addr"].as_str().and_then(|addr| addr.parse().ok()),
        peer: state["index"]["peer"]
            .as_str()
            .and_then(|addr| addr.parse().ok()),
        socket: text(&state["socket"]).map(PathBuf::from),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_daemon_is_known_by_its_state_page() {
        let admin = "127.0.0.1:1".parse().unwrap();
        let kind = |state: &Value| recognise(admin, state).map(|daemon| daemon.kind);
        assert_eq!(
            kind(&json!({ "contacts": [], "name": "a" })),
            Some(Kind::Dht)
        );
        assert_eq!(kind(&json!({ "store": {} })), Some(Kind::Proxy));
        assert_eq!(kind(&json!({ "proxies": [] })), Some(Kind::Dns));
        assert_eq!(kind(&json!({})), None);
    }
}
