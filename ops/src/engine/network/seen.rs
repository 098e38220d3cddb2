//! What a controller says of a node, and whether the node has come to where it was ordered.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Daemons;
use crate::engine::document::report::Doing;
use crate::engine::document::words::{DaemonName, RunState, Version};

/// A node, as the controller's API has it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct NodeSeen {
    /// Its key.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// Its cluster.
    pub cluster: String,
    /// How long ago it called, in milliseconds; nothing if not since the controller began.
    pub seen_ms_ago: Option<u64>,
    /// Its order.
    pub desired: Option<Ordered>,
    /// What it reported.
    pub observed: Option<Reported>,
}

/// An order.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Ordered {
    /// Its number.
    pub serial: u64,
    /// Its daemons.
    pub daemons: Daemons,
}

/// What is looked at of a node's report.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Reported {
    /// The order in force there.
    pub in_force: Option<u64>,
    /// Why its operator holds it.
    pub held: Option<String>,
    /// What made it return to the order before.
    pub fallen: Option<FellBack>,
    /// Why it refused an order.
    pub refused: Option<String>,
    /// Whether each daemon is the process that the order in force asks for.
    pub settled: Option<bool>,
    /// Its daemons.
    pub daemons: BTreeMap<DaemonName, DaemonSeen>,
}

/// What made a node return to the order before.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct FellBack {
    /// The order it returned from.
    pub from: u64,
    /// The daemon that did not stay up.
    pub daemon: DaemonName,
}

/// What is looked at of a daemon.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct DaemonSeen {
    /// Its release.
    pub release: Version,
    /// What it does.
    pub doing: Doing,
    /// Whether it says that it does its work.
    pub ready: Option<bool>,
    /// How it leaves, if it is an index that is to.
    pub leaving: Option<LeavingSeen>,
}

/// What is looked at of an old index's leaving.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct LeavingSeen {
    /// What others ask it, once that was counted for its `retire.window`.
    pub asked_per_ks: Option<u64>,
    /// Proxies known to be in its network alone: some of them.
    pub stragglers: Vec<String>,
    /// How many they are.
    pub straggler_count: u64,
    /// Why it has left, once it has.
    pub left: Option<String>,
}

/// What is waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wait {
    /// It has not called, or not since its order.
    Call,
    /// It refused an order.
    Refusal(String),
    /// Its programs are on their way, or its daemons are about to be changed.
    Change,
    /// A daemon does not run yet.
    Start(DaemonName),
    /// A daemon does not say that it does its work.
    Ready(DaemonName),
}

impl Wait {
    /// What is waited for, in words.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Call => "it has not called since".to_owned(),
            Self::Refusal(reason) => format!("it refused an order ({reason})"),
            Self::Change => "it is being changed".to_owned(),
            Self::Start(daemon) => format!("{daemon} does not run as ordered yet"),
            Self::Ready(daemon) => format!("{daemon} is not ready"),
        }
    }
}

/// Whether a node has come to where it was ordered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// It has.
    There,
    /// Not yet.
    OnItsWay(Wait),
    /// It returned to the order before, because a daemon did not stay up.
    FellBack(DaemonName),
}

impl NodeSeen {
    /// Whether it has come to where it was ordered. `beside` is a daemon whose own word is not waited for: an
    /// index that is the first of its network has nobody to try itself with.
    #[must_use]
    pub fn arrival(&self, beside: Option<&DaemonName>) -> Arrival {
        let (Some(ordered), Some(said)) = (&self.desired, &self.observed) else {
            return Arrival::OnItsWay(Wait::Call);
        };
        if let Some(fallen) = said
            .fallen
            .as_ref()
            .filter(|fell| fell.from == ordered.serial)
        {
            return Arrival::FellBack(fallen.daemon.clone());
        }
        if said.in_force != Some(ordered.serial) {
            let wait = said.refused.clone().map_or(Wait::Change, Wait::Refusal);
            return Arrival::OnItsWay(wait);
        }
        let running = ordered
            .daemons
            .iter()
            .filter(|(_, wanted)| wanted.state == RunState::Run);
        for (name, wanted) in running {
            let daemon = said.daemons.get(name);
            let up = daemon.filter(|one| one.release == wanted.release && one.doing == Doing::Up);
            let Some(daemon) = up else {
                return Arrival::OnItsWay(Wait::Start(name.clone()));
            };
            if daemon.ready == Some(false) && beside != Some(name) {
                return Arrival::OnItsWay(Wait::Ready(name.clone()));
            }
        }
        if said.settled == Some(false) {
            return Arrival::OnItsWay(Wait::Change);
        }
        Arrival::There
    }

    /// How an index of it leaves; nothing if the node does not say.
    #[must_use]
    pub fn leaving(&self, name: &DaemonName) -> Option<&LeavingSeen> {
        let said = self.observed.as_ref()?;
        said.daemons.get(name)?.leaving.as_ref()
    }

    /// Whether a daemon of it says that it does its work.
    #[must_use]
    pub fn is_ready(&self, name: &DaemonName) -> bool {
        let daemon = self
            .observed
            .as_ref()
            .and_then(|said| said.daemons.get(name));
        daemon.is_some_and(|daemon| daemon.ready != Some(false))
    }
}
