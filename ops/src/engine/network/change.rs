//! The order of a step, made of the order before it.
//!
//! Each step says all that it is about, whatever was there: going back gives what was there before going forth, and a
//! step that is there already changes nothing.

use super::refusal::Refusal;
use super::stand::{ASKS, ASKS_OLD, BESIDE, SOCKET, Stand, setting};
use super::successor::{SECRET, Successor};
use super::{Daemons, Releases, Step};
use crate::engine::document::intent::Wanted;
use crate::engine::document::words::{DaemonName, Program, RunState};

/// How long an old index has to be asked next to nothing before it leaves.
const QUIET: &str = "retire.quiet";

/// When an old index leaves at the latest.
const DEADLINE: &str = "retire.deadline";

/// As long as a node is in both networks its old index stays: longer than anybody is. It is another process than the one
/// that may leave, so that one that has left comes back when its node does.
const STAYS: &str = "365d";

/// The secret of the network that a proxy comes from.
const OLD_SECRET: &str = "network.old_secret_file";

/// The wire generation of that network, where it is another one.
const OLD_GENERATION: &str = "network.old_generation";

/// When an old index leaves, as its settings say it; what is left out is as the index has it by itself.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Leave {
    /// How long others have to have asked it next to nothing.
    pub quiet: Option<String>,
    /// At the latest.
    pub deadline: Option<String>,
}

/// What a step is made with.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The controller's releases.
    pub releases: &'a Releases,
    /// What the new network is: for [`Step::Shadow`].
    pub successor: Option<&'a Successor>,
    /// When old indexes leave: for [`Step::Drained`].
    pub leave: &'a Leave,
}

/// A node's next order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The daemons.
    pub daemons: Daemons,
    /// Whether one of them becomes older.
    pub downgrade: bool,
}

/// The order of step `to` of a node that stands so.
///
/// # Errors
/// There is another step in between, or the node cannot go there.
pub fn change(
    daemons: &Daemons,
    stand: &Stand<'_>,
    to: Step,
    terms: Terms<'_>,
) -> Result<Change, Refusal> {
    if !stand.step.is_next_to(to) {
        return Err(Refusal::Skips(stand.step, to));
    }
    let owned = |(name, wanted): (&DaemonName, &Wanted)| (name.clone(), wanted.clone());
    let early = stand.step <= Step::Shadow && to == Step::Shadow;
    let new = match terms.successor.filter(|_| early) {
        Some(successor) => Some(successor.beside(stand, daemons, terms.releases)?),
        None => stand.new.map(owned),
    };
    let Some((name, new)) = new else {
        // One index, and it is to stay so.
        let daemons = daemons.clone();
        let downgrade = false;
        return Ok(Change { daemons, downgrade });
    };
    let new = (&name, &new);
    let writer = Writer {
        stand,
        new,
        to,
        terms,
    };
    let next = writer.daemons(daemons)?;
    let older = |(name, wanted): (&DaemonName, &Wanted)| {
        daemons
            .get(name)
            .is_some_and(|before| wanted.release < before.release)
    };
    Ok(Change {
        downgrade: next.iter().any(older),
        daemons: next,
    })
}

/// The order of a node that is done: without what its old index was. `None` if it is not retired.
#[must_use]
pub fn finished(daemons: &Daemons, stand: &Stand<'_>) -> Option<Change> {
    (stand.step == Step::Retired).then(|| {
        let mut daemons = daemons.clone();
        daemons.remove(stand.old.0);
        let downgrade = false;
        Change { daemons, downgrade }
    })
}

/// Writes the daemons of a step.
struct Writer<'a> {
    stand: &'a Stand<'a>,
    new: (&'a DaemonName, &'a Wanted),
    to: Step,
    terms: Terms<'a>,
}

impl Writer<'_> {
    fn daemons(&self, before: &Daemons) -> Result<Daemons, Refusal> {
        let mut next = before.clone();
        for (name, wanted) in &mut next {
            if name == self.stand.old.0 {
                self.old_index(wanted)?;
            } else if wanted.program != Program::Dht {
                self.other(wanted)?;
            }
        }
        if self.to == Step::Single {
            next.remove(self.new.0);
        } else {
            next.insert(self.new.0.clone(), self.new.1.clone());
        }
        Ok(next)
    }

    /// What a setting of an index comes to.
    fn of(&self, index: &Wanted, name: &'static str) -> Result<String, Refusal> {
        let found = setting(index, self.terms.releases, name);
        found.map(ToOwned::to_owned).ok_or(Refusal::Unset(name))
    }

    fn put(&self, wanted: &mut Wanted, name: &str, value: Option<String>) {
        match value {
            None => drop(wanted.settings.remove(name)),
            Some(value) if setting(wanted, self.terms.releases, name) == Some(&value) => {}
            Some(value) => drop(wanted.settings.insert(name.to_owned(), value)),
        }
    }

    /// The index of the old network.
    fn old_index(&self, wanted: &mut Wanted) -> Result<(), Refusal> {
        let leaves = self.to >= Step::Dual;
        let beside = leaves.then(|| self.of(self.new.1, SOCKET)).transpose()?;
        self.put(wanted, BESIDE, beside);
        wanted.state = if self.to == Step::Retired {
            RunState::Stop
        } else {
            RunState::Run
        };
        for (name, asked) in [
            (QUIET, &self.terms.leave.quiet),
            (DEADLINE, &self.terms.leave.deadline),
        ] {
            let is = wanted
                .settings
                .get(name)
                .filter(|value| *value != STAYS)
                .cloned();
            let value = match self.to {
                Step::Single | Step::Shadow => None,
                Step::Dual => Some(STAYS.to_owned()),
                Step::Drained | Step::Retired => asked.clone().or(is),
            };
            self.put(wanted, name, value);
        }
        Ok(())
    }

    /// A proxy or a name server.
    fn other(&self, wanted: &mut Wanted) -> Result<(), Refusal> {
        let (old, new) = (self.stand.old.1, self.new.1);
        let is_new = self.to >= Step::Dual;
        let index = if is_new { new } else { old };
        wanted.release.clone_from(&index.release);
        if setting(wanted, self.terms.releases, ASKS).is_none() {
            return Ok(());
        }
        let socket = self.of(index, SOCKET)?;
        self.put(wanted, ASKS, Some(socket));
        let old_socket = (self.to == Step::Dual)
            .then(|| self.of(old, SOCKET))
            .transpose()?;
        self.put(wanted, ASKS_OLD, old_socket);
        if wanted.program != Program::Proxy {
            return Ok(());
        }
        let secret = self.of(index, SECRET)?;
        self.put(wanted, SECRET, Some(secret));
        // Whoever is still in the old network, or in it again, goes on being believed.
        let believes = matches!(self.to, Step::Dual | Step::Drained);
        let old_secret = believes.then(|| self.of(old, SECRET)).transpose()?;
        self.put(wanted, OLD_SECRET, old_secret);
        let generation = |index: &Wanted| {
            let manifest = self.terms.releases.get(&index.release);
            let manifest =
                manifest.ok_or_else(|| Refusal::UnknownRelease(index.release.clone()))?;
            Ok(manifest.generation)
        };
        let (before, after) = (generation(old)?, generation(new)?);
        let other = believes && before != after;
        self.put(wanted, OLD_GENERATION, other.then(|| before.to_string()));
        Ok(())
    }
}
