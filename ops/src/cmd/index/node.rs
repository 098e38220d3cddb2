//! Which index a command asks, and what an operator reads when it does not answer.

use std::path::PathBuf;
use std::time::Duration;

use dht::client::{Client, ClientError};

use crate::cluster::layout::Kind;
use crate::cluster::ready_file::ReadyFile;
use crate::cmd::span;
use crate::outcome::Failure;

/// Which index is asked.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Node {
    /// The index's local socket (its setting local.socket)
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "node")]
    socket: Option<PathBuf>,
    /// A node of a running cluster, by name; without it the first
    #[arg(long, global = true, value_name = "NAME")]
    node: Option<String>,
    /// The cluster; without it the one that this user's `atoll dev` runs
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "socket")]
    ready_file: Option<PathBuf>,
    /// How long to wait for an answer
    #[arg(long, global = true, value_name = "DURATION", default_value = "2s", value_parser = span)]
    deadline: Duration,
}

impl Node {
    /// A client of the index meant.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        if let Some(socket) = &self.socket {
            return Ok(Client::new(socket.clone()));
        }
        let cluster = ReadyFile::load(self.ready_file.as_deref())?;
        let named = |name: &String| self.node.as_ref().is_none_or(|wanted| wanted == name);
        let found = cluster.of_kind(Kind::Dht).find(|entry| named(&entry.name));
        let socket = found.and_then(|entry| entry.socket.clone());
        socket.map(Client::new).ok_or_else(|| {
            let names: Vec<_> = cluster
                .of_kind(Kind::Dht)
                .map(|entry| entry.name.clone())
                .collect();
            Failure::usage(
                "the cluster has no such index",
                format!("name one of {} with --node", names.join(", ")),
            )
        })
    }

    /// How long to wait.
    pub(crate) const fn deadline(&self) -> Duration {
        self.deadline
    }
}

/// A client's error as an operator reads it.
pub(crate) fn failure(error: &ClientError) -> Failure {
    let what = error.to_string();
    match error {
        ClientError::Unreachable(_) => {
            Failure::unreachable(what, "is the daemon running, and is this its local.socket?")
        }
        ClientError::Deadline => Failure::failed(what, "give it longer with --deadline"),
        ClientError::Refused(refusal) => Failure::failed(what, refusal.explanation()),
        ClientError::Protocol(_) => Failure::failed(what, "use the `atoll` of its version"),
    }
}
