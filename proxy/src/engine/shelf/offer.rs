//! What is written: a response is offered, and what comes of it is said when the disk has it or has not.
//! Meanwhile the URL may be offered again, forgotten or purged; the number of its ticket tells.

use common::clock::Moment;

use super::entry::{Large, Name, Put, Spot, Variant};
use super::{PENDING_MAX, Shelf, seconds};
use crate::engine::store::admission::{Candidate, NotAdmitted};

/// Names one write, so that what happened to the URL meanwhile is noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// Of what.
    pub name: Name,
    /// Which variant.
    pub variant: Variant,
    number: u64,
}

/// A write that nobody has heard of yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    number: u64,
    /// The file of what it replaces: it may be the same body under a newer head, so it stays until then.
    pub(super) replaces: Option<Large>,
}

/// Why a response is not written to disk.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NotShelved {
    /// There is no disk store, or it is failing.
    Off,
    /// The admission policy said so.
    Admission(NotAdmitted),
    /// It would be too much of the whole store.
    TooLarge,
    /// Too much is waiting to be written.
    Behind,
    /// Its body is not whole any more, or its file cannot be given a name there.
    NotWhole,
    /// The disk failed while it was written.
    Failed,
    /// It was purged while it was on its way.
    Purged,
}

impl NotShelved {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Admission(reason) => reason.as_str(),
            Self::TooLarge => "too_large",
            Self::Behind => "behind",
            Self::NotWhole => "not_whole",
            Self::Failed => "failed",
            Self::Purged => "purged",
        }
    }
}

impl Shelf {
    /// A response is about to be written. What was on disk of this variant is of no use any more,
    /// whatever comes of the write.
    ///
    /// # Errors
    /// It is not to be written.
    pub fn offer(
        &mut self,
        (name, variant): (Name, Variant),
        candidate: &Candidate<'_>,
    ) -> Result<Ticket, NotShelved> {
        let judged = self.judge(candidate);
        if let Err(reason) = judged {
            self.forget(name, Some(variant));
            return Err(reason);
        }
        let replaces = self.large_of(name, variant);
        self.hold(replaces);
        // The new record says in the log that the old one is gone.
        self.remove_variant(name, variant);
        self.tickets += 1;
        let pending = Pending {
            number: self.tickets,
            replaces,
        };
        if let Some(before) = self.pending.insert((name, variant), pending) {
            // Nothing was written of it, so what that was to replace is what this does.
            match replaces {
                None => self.replaces_too((name, variant), before.replaces),
                Some(_) => self.let_go(before.replaces),
            }
        }
        Ok(Ticket {
            name,
            variant,
            number: self.tickets,
        })
    }

    fn judge(&mut self, candidate: &Candidate<'_>) -> Result<(), NotShelved> {
        if !self.on {
            return Err(NotShelved::Off);
        }
        // One that took more would leave nothing for others.
        if candidate.bytes > self.budget / 2 {
            return Err(NotShelved::TooLarge);
        }
        if self.pending.len() >= PENDING_MAX {
            return Err(NotShelved::Behind);
        }
        let admitted = self.admission.to_disk(candidate);
        admitted.map_err(NotShelved::Admission)
    }

    /// What was offered is on disk in `segment`. Whether it is in the index: not if something happened
    /// to the URL meanwhile.
    pub fn written(&mut self, now: Moment, ticket: Ticket, put: &Put, segment: u32) -> bool {
        let key = (ticket.name, ticket.variant);
        if !self.is_pending(ticket) {
            self.hold(put.large);
            self.let_go(put.large);
            self.must_be_told_gone(ticket);
            return false;
        }
        self.insert(put, segment, seconds(now).saturating_add(put.fresh.into()));
        let before = self.pending.remove(&key);
        self.let_go(before.and_then(|pending| pending.replaces));
        true
    }

    /// What was offered is not on disk, or in part: nobody knows.
    pub fn not_written(&mut self, ticket: Ticket) {
        if self.is_pending(ticket) {
            let before = self.pending.remove(&(ticket.name, ticket.variant));
            self.let_go(before.and_then(|pending| pending.replaces));
        }
        self.must_be_told_gone(ticket);
    }

    fn is_pending(&self, ticket: Ticket) -> bool {
        let pending = self.pending.get(&(ticket.name, ticket.variant));
        pending.is_some_and(|pending| pending.number == ticket.number)
    }

    fn replaces_too(&mut self, key: (Name, Variant), large: Option<Large>) {
        if let Some(pending) = self.pending.get_mut(&key) {
            pending.replaces = large;
        }
    }

    /// The record at `from` was written again, in `segment`. Whether it is in the index there.
    pub fn moved(&mut self, from: Spot, put: &Put, segment: u32) -> bool {
        let Some(place) = self.at(put.name, from).copied() else {
            self.hold(put.large);
            self.let_go(put.large);
            return false;
        };
        self.insert(put, segment, place.fresh_until.into());
        true
    }
}
