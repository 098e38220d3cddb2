//! How far a node is, read from its order.

use super::refusal::Refusal;
use super::{Daemons, Releases, Step};
use crate::engine::document::intent::Wanted;
use crate::engine::document::words::{DaemonName, Program, RunState};

/// Where an index of the machine is asked.
pub(super) const SOCKET: &str = "local.socket";

/// Which index a proxy or a name server asks.
pub(super) const ASKS: &str = "index.socket";

/// Which index of an old network it asks as well.
pub(super) const ASKS_OLD: &str = "index.old_socket";

/// Beside which index one stays until it is not asked any more.
pub(super) const BESIDE: &str = "retire.beside";

/// A daemon of an order.
pub type Named<'a> = (&'a DaemonName, &'a Wanted);

/// How far a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stand<'a> {
    /// The step.
    pub step: Step,
    /// The index of the network that it is in, or comes from.
    pub old: Named<'a>,
    /// The index of the network that it moves to.
    pub new: Option<Named<'a>>,
}

/// What a daemon's setting comes to, from its order or else its release; nothing if it is empty.
#[must_use]
pub fn setting<'a>(wanted: &'a Wanted, releases: &'a Releases, name: &str) -> Option<&'a str> {
    let of_release = || {
        releases
            .get(&wanted.release)?
            .settings
            .get(&wanted.program)?
            .get(name)
    };
    let found = wanted.settings.get(name).or_else(of_release);
    found.map(String::as_str).filter(|value| !value.is_empty())
}

/// Daemons that ask an index, with where.
fn askers<'a>(
    daemons: &'a Daemons,
    releases: &'a Releases,
) -> impl Iterator<Item = (Named<'a>, &'a str)> {
    let all = daemons
        .iter()
        .filter(|(_, wanted)| wanted.program != Program::Dht);
    all.filter_map(|named| Some((named, setting(named.1, releases, ASKS)?)))
}

impl<'a> Stand<'a> {
    /// Reads it; nothing if the node has no index.
    ///
    /// # Errors
    /// The order is none that a step makes.
    pub fn read(daemons: &'a Daemons, releases: &'a Releases) -> Result<Option<Self>, Refusal> {
        let is_index = |(_, wanted): &Named<'a>| wanted.program == Program::Dht;
        let indexes: Vec<Named<'a>> = daemons.iter().filter(is_index).collect();
        match *indexes {
            [] => Ok(None),
            [old] => Self::with_one(old, daemons, releases).map(Some),
            [one, two] => Self::with_two((one, two), daemons, releases).map(Some),
            _ => Err(Refusal::ManyIndexes),
        }
    }

    fn with_one(old: Named<'a>, daemons: &Daemons, releases: &Releases) -> Result<Self, Refusal> {
        let leaves = setting(old.1, releases, BESIDE).is_some();
        if leaves || old.1.state != RunState::Run {
            return Err(Refusal::Unclear);
        }
        let socket = setting(old.1, releases, SOCKET);
        for ((name, wanted), asks) in askers(daemons, releases) {
            if setting(wanted, releases, ASKS_OLD).is_some() {
                return Err(Refusal::Unclear);
            }
            if Some(asks) != socket {
                return Err(Refusal::AsksAnother(name.clone()));
            }
        }
        Ok(Self {
            step: Step::Single,
            old,
            new: None,
        })
    }

    fn with_two(
        (one, two): (Named<'a>, Named<'a>),
        daemons: &'a Daemons,
        releases: &'a Releases,
    ) -> Result<Self, Refusal> {
        let socket =
            |named: Named<'a>| setting(named.1, releases, SOCKET).ok_or(Refusal::Unset(SOCKET));
        let (at_one, at_two) = (socket(one)?, socket(two)?);
        let mut asked = askers(daemons, releases).map(|(_, asks)| asks);
        let first = asked.next().ok_or(Refusal::NobodyAsks)?;
        let alike = asked.all(|asks| asks == first);
        let beside = [one, two].map(|named| setting(named.1, releases, BESIDE));
        // Who is asked is the old one as long as neither is to leave, and the new one from then on.
        let (old, new) = match beside {
            [None, None] if first == at_one => (one, two),
            [None, None] if first == at_two => (two, one),
            [Some(successor), None] if successor == at_two && first == at_two => (one, two),
            [None, Some(successor)] if successor == at_one && first == at_one => (two, one),
            _ => return Err(Refusal::Unclear),
        };
        let leaves = beside.iter().any(Option::is_some);
        let step = Self::step((leaves, old), socket(old)?, daemons, releases)?;
        if !alike || new.1.state != RunState::Run {
            return Err(Refusal::Unclear);
        }
        Ok(Self {
            step,
            old,
            new: Some(new),
        })
    }

    /// The step of a node with two indexes.
    fn step(
        (leaves, old): (bool, Named<'a>),
        socket: &str,
        daemons: &Daemons,
        releases: &Releases,
    ) -> Result<Step, Refusal> {
        let (mut both, mut one) = (false, false);
        for ((_, wanted), _) in askers(daemons, releases) {
            match setting(wanted, releases, ASKS_OLD) {
                None => one = true,
                Some(asks) if asks == socket => both = true,
                Some(_) => return Err(Refusal::Unclear),
            }
        }
        match (leaves, old.1.state, both, one) {
            (false, RunState::Run, false, true) => Ok(Step::Shadow),
            (true, RunState::Run, true, false) => Ok(Step::Dual),
            (true, RunState::Run, false, true) => Ok(Step::Drained),
            (true, RunState::Stop, false, true) => Ok(Step::Retired),
            _ => Err(Refusal::Unclear),
        }
    }
}
