//! Stage 1: which node of the zone a name is.
//!
//! The zone's tree is not stored but follows from the grammar: every coralised name exists, and so
//! does every name that has an existing one below it. The second half matters to resolvers, which
//! ask for `com.<zone>` before `www.example.com.<zone>` (RFC 9156) and take NXDOMAIN for the end
//! of the whole branch (RFC 8020): such an empty non-terminal is NODATA. NXDOMAIN is left for names
//! that no coralised name can end in.

use common::name::{Name as Grammar, NameError};
use hickory_proto::op::ResponseCode;

use super::{ExtendedError, Reply};
use crate::engine::asked::AskedName;
use crate::engine::reason::Reason;
use crate::engine::zone::{Relative, ZoneData};

/// A node of the zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Node<'a> {
    /// The zone itself.
    Apex,
    /// A name server, by its name below the zone.
    NameServer(&'a str),
    /// A coralised name or a service: live proxies answer for it.
    Proxied,
    /// Has names below it and nothing of its own.
    EmptyNonTerminal,
    /// Does not exist, and nothing below it does. Says which rule of the grammar it breaks.
    Missing(NameError),
}

/// Prefixes that complete the end of a coralised name if anything does: a host label or two; the
/// missing numbers of an IPv4 address. Two different first labels, since the zone itself might be
/// one of them and then lie in its own way.
const COMPLETIONS: [&str; 6] = ["a", "b", "a.a", "1.1.1", "1.1", "1"];

/// The node that `name` is; `None` if it lies outside the zone.
#[must_use]
pub fn locate<'a>(zone: &ZoneData, name: &'a AskedName) -> Option<Node<'a>> {
    match zone.relative(name) {
        Relative::Outside => None,
        Relative::Apex => Some(Node::Apex),
        Relative::Odd(error) => Some(Node::Missing(error)),
        Relative::Below(below) => Some(node(zone, below)),
    }
}

/// The refusal for names outside the zone.
#[must_use]
pub const fn outside() -> Reply {
    let error = Some(ExtendedError::NotAuthoritative);
    Reply::refusal(ResponseCode::Refused, Reason::OutOfZone, error)
}

fn node<'a>(zone: &ZoneData, below: &'a str) -> Node<'a> {
    if zone.is_server(below) {
        return Node::NameServer(below);
    }
    let error = match zone
        .grammar()
        .classify(&format!("{below}.{}", zone.grammar()))
    {
        Ok(Grammar::Site(_) | Grammar::Hashed(_)) => return Node::Proxied,
        Ok(Grammar::Service(label)) if zone.is_service(&label) => return Node::Proxied,
        Ok(Grammar::Service(_) | Grammar::Apex) => NameError::SingleLabel,
        Err(error) => error,
    };
    if may_be_completed(zone, below) || zone.has_server_under(below) {
        Node::EmptyNonTerminal
    } else {
        Node::Missing(error)
    }
}

/// Whether some coralised name ends in `below`.
///
/// The grammar judges a dotted name by its end (special use, numbers, the zone itself), by the
/// number of its labels and by its length. So if any prefix makes it valid, a shortest one does,
/// and those are the ones tried.
fn may_be_completed(zone: &ZoneData, below: &str) -> bool {
    COMPLETIONS.iter().any(|prefix| {
        let longer = format!("{prefix}.{below}.{}", zone.grammar());
        matches!(zone.grammar().classify(&longer), Ok(Grammar::Site(_)))
    })
}
