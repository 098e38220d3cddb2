//! One property each. A checker sees everything that happens and says at the end what it found:
//! figures, and violations of what must always hold. None of them influences the run.

mod bounds;
mod claims;
mod clusters;
mod gets;
mod goodput;
mod healing;
mod latency;
mod load;
pub(crate) mod reach;
mod recovery;
mod silence;
mod traffic;
mod walks;
mod withdrawals;

use common::clock::Moment;
use common::ids::TxId;
use common::wire::header::{FIXED_LEN, TAG_LEN, levels_len};
use dht::engine::message::{self, Message};
use dht::engine::{Answer, Event, Index, Ticket};

use crate::host::Parcel;
use crate::model::Model;
use crate::report::Report;
use crate::world::World;

pub(crate) use bounds::Bounds;
pub(crate) use claims::Claims;
pub(crate) use clusters::Clusters;
pub(crate) use gets::Gets;
pub(crate) use goodput::Goodput;
pub(crate) use healing::Healing;
pub(crate) use latency::Latency;
pub(crate) use load::Load;
pub(crate) use reach::Reach;
pub(crate) use recovery::Recovery;
pub(crate) use silence::Silence;
pub(crate) use traffic::Traffic;
pub(crate) use walks::Walks;
pub(crate) use withdrawals::Withdrawals;

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Seen<'a> {
    /// An engine sent a datagram.
    Sent {
        /// Which.
        host: usize,
        /// To which node, if one can have that address.
        to: Option<usize>,
        /// All of it.
        bytes: &'a [u8],
        /// The datagram it was handling, if any.
        cause: Option<&'a Parcel>,
    },
    /// A datagram arrived, whether or not anybody is up there.
    Arrived {
        /// It.
        parcel: &'a Parcel,
    },
    /// A local client wishes something.
    Asked {
        /// Where.
        host: usize,
        /// Its ticket: the index of its operation in the model.
        ticket: Ticket,
    },
    /// It is answered, for now or for good.
    Answered {
        /// Where.
        host: usize,
        /// Which wish.
        ticket: Ticket,
        /// The answer.
        answer: &'a Answer,
    },
    /// An engine has something for the log.
    Event {
        /// Which.
        host: usize,
        /// What.
        event: &'a Event,
    },
    /// A node is gone.
    Died {
        /// Which.
        host: usize,
    },
    /// A live member is looked at.
    Sampled {
        /// Which.
        host: usize,
        /// Its engine.
        node: &'a dyn Index,
    },
    /// A phase of the scenario begins.
    Phase {
        /// Its name.
        name: &'static str,
    },
}

/// Checks one property.
pub(crate) trait Checker: std::fmt::Debug {
    /// Something happened. What it adds to an operation goes into the model.
    fn saw(&mut self, now: Moment, seen: &Seen<'_>, model: &mut Model);

    /// The run is over.
    fn tell(&mut self, world: &World, report: &mut Report);
}

/// Where the header has the kind (replies have the high bit), the count of levels and the
/// transaction id; see `common::wire::header`.
pub(crate) const KIND_AT: usize = 5;
const LEVELS_AT: usize = 6;
const TX_AT: usize = 12;

/// Whether a datagram has the form of a reply.
pub(crate) fn is_reply(bytes: &[u8]) -> bool {
    bytes.get(KIND_AT).is_some_and(|kind| kind & 0x80 != 0)
}

/// The transaction and message of a datagram, without checking its tag: engines do that.
pub(crate) fn read(bytes: &[u8]) -> Option<(TxId, Message)> {
    let levels = usize::from(*bytes.get(LEVELS_AT)?);
    let tx = bytes.get(TX_AT..TX_AT + 8)?.try_into().ok()?;
    let end = bytes.len().checked_sub(TAG_LEN)?;
    let body = bytes.get(FIXED_LEN + levels_len(levels)..end)?;
    let message = message::decode(*bytes.get(KIND_AT)?, body).ok()?;
    Some((TxId(u64::from_be_bytes(tx)), message))
}

/// The number in a ticket, as an index.
pub(crate) fn index(ticket: Ticket) -> usize {
    usize::try_from(ticket.0).unwrap_or(usize::MAX)
}
