//! Stage 1: which node of which zone a name is.
//!
//! The tree of coralised names is not stored but follows from the grammar: every coralised name
//! exists, and so does every name that has an existing one below it. The second half matters to
//! resolvers, which ask for `com.<zone>` before `www.example.com.<zone>` (RFC 9156) and take NXDOMAIN
//! for the end of the whole branch (RFC 8020): such an empty non-terminal is NODATA. NXDOMAIN is left
//! for names that no coralised name can end in. Static records come first, and what they need above
//! them exists too.

use common::name::{NameError, NameKind};
use hickory_proto::op::ResponseCode;

use super::ExtendedError;
use super::admit::Refusal;
use crate::engine::asked::AskedName;
use crate::engine::reason::Reason;
use crate::engine::zone::statics::StaticNode;
use crate::engine::zone::{Relative, ZoneData, Zones};

/// A node of a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Node<'a> {
    /// The zone itself.
    Apex,
    /// A name server, by its name below the zone.
    NameServer(&'a str),
    /// A coralised name or a service: live proxies answer for it.
    Proxied,
    /// Has static records and no proxies: an alias, an address, or a name that is no site.
    Static,
    /// Has names below it and nothing of its own.
    EmptyNonTerminal,
    /// Does not exist, and nothing below it does. Says which rule of the grammar it breaks.
    Missing(NameError),
}

/// A name's place among the zones.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Its zone.
    pub zone: &'a ZoneData,
    /// The name below the zone, lower case; empty at the zone itself, and for names with odd bytes.
    pub below: &'a str,
    /// What it is there.
    pub node: Node<'a>,
    /// Its static records, whatever it is.
    pub statics: Option<&'a StaticNode>,
}

impl Place<'_> {
    /// Whether live proxies answer for it under a name that one wildcard certificate for the zone
    /// covers (RFC 6125 §6.4.3): one label below the zone, or the zone itself.
    #[must_use]
    pub fn is_certified(&self) -> bool {
        match self.node {
            Node::Apex => true,
            Node::Proxied => !self.below.contains('.'),
            Node::NameServer(_) | Node::Static | Node::EmptyNonTerminal | Node::Missing(_) => false,
        }
    }
}

/// Prefixes that complete the end of a coralised name if anything does: a host label or two; the
/// missing numbers of an IPv4 address. Two different first labels, since the zone itself might be
/// one of them and then lie in its own way.
const COMPLETIONS: [&str; 6] = ["a", "b", "a.a", "1.1.1", "1.1", "1"];

/// The place of `name`; `None` if it lies outside all zones.
#[must_use]
pub fn locate<'a>(zones: &'a Zones, name: &'a AskedName) -> Option<Place<'a>> {
    let (zone, relative) = zones.find(name)?;
    let at = |below, node| Place {
        zone,
        below,
        node,
        statics: zone.statics(below),
    };
    match relative {
        Relative::Outside => None,
        Relative::Apex => Some(at("", Node::Apex)),
        Relative::Odd(error) => Some(Place {
            zone,
            below: "",
            node: Node::Missing(error),
            statics: None,
        }),
        Relative::Below(below) => {
            let mut place = at(below, Node::Static);
            place.node = node(zone, below, place.statics);
            Some(place)
        }
    }
}

/// The refusal for names outside all zones.
pub const OUTSIDE: Refusal = Refusal {
    code: ResponseCode::Refused,
    reason: Reason::OutOfZone,
    extended_error: Some(ExtendedError::NotAuthoritative),
};

fn node<'a>(zone: &ZoneData, below: &'a str, statics: Option<&StaticNode>) -> Node<'a> {
    if zone.is_server(below) {
        return Node::NameServer(below);
    }
    if statics.is_some_and(StaticNode::replaces_proxies) {
        return Node::Static;
    }
    let error = match zone.grammar().kind_below(below) {
        Ok(NameKind::Site | NameKind::Hashed) => return Node::Proxied,
        Ok(NameKind::Service) if zone.is_service(below) => return Node::Proxied,
        Ok(NameKind::Service) => NameError::SingleLabel,
        Err(error) => error,
    };
    if statics.is_some() {
        Node::Static
    } else if (depends_on_its_start(error) && may_be_completed(zone, below))
        || zone.has_names_below(below)
    {
        Node::EmptyNonTerminal
    } else {
        Node::Missing(error)
    }
}

/// Whether a name that breaks this rule might keep it with something before it. The others are about
/// the end of a name, and need not be tried: whoever floods with such names gains nothing by it.
const fn depends_on_its_start(error: NameError) -> bool {
    match error {
        NameError::SpecialUse | NameError::InsideZone | NameError::BadByte => false,
        NameError::EmptyLabel
        | NameError::TooLong
        | NameError::SingleLabel
        | NameError::NumericEnd
        | NameError::BadPort
        | NameError::OutsideZone
        | NameError::BadLabel => true,
    }
}

/// Whether some coralised name ends in `below`.
///
/// The grammar judges a dotted name by its end (special use, numbers, the zone itself), by the
/// number of its labels and by its length. So if any prefix makes it valid, a shortest one does,
/// and those are the ones tried.
fn may_be_completed(zone: &ZoneData, below: &str) -> bool {
    COMPLETIONS.iter().any(|prefix| {
        let labels = prefix.split('.').chain(below.split('.'));
        let longer = AskedName::from_labels(labels.map(str::as_bytes));
        let kind = longer.map(|longer| zone.grammar().kind_below(longer.as_str()));
        matches!(kind, Some(Ok(NameKind::Site)))
    })
}
