//! Host names and IPv4 addresses that may stand in a coralised name.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::limits::{HOST_MAX, LABEL_MAX};

/// Why a name is not a coralised one. Closed, for logs, metrics and answers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
pub enum NameError {
    /// Nothing stands before the zone, or a label is empty.
    #[error("a label of the name is empty")]
    EmptyLabel,
    /// A label exceeds 63 bytes or the whole 253.
    #[error("the name is too long")]
    TooLong,
    /// A byte outside `[a-z0-9_.-]`.
    #[error("the name has a character that host names do not have")]
    BadByte,
    /// A single label such as `localhost` names no site on the Web.
    #[error("a site has at least two labels, such as example.com")]
    SingleLabel,
    /// The last label is a number, and neither port nor part of an IPv4 address.
    #[error("the name ends in a number that is neither port nor address")]
    NumericEnd,
    /// The port is zero, above 65535 or written with a leading zero.
    #[error("the port is not between 1 and 65535")]
    BadPort,
    /// Reserved for use inside networks (RFC 6761 and its registry).
    #[error("the name is reserved for special use")]
    SpecialUse,
    /// The name is the zone itself or lies under it.
    #[error("the name lies inside the zone itself")]
    InsideZone,
    /// The name does not end in the zone.
    #[error("the name does not lie under the zone")]
    OutsideZone,
    /// A label that no encoder makes.
    #[error("the label is not one this zone makes")]
    BadLabel,
}

impl NameError {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EmptyLabel => "empty_label",
            Self::TooLong => "too_long",
            Self::BadByte => "bad_byte",
            Self::SingleLabel => "single_label",
            Self::NumericEnd => "numeric_end",
            Self::BadPort => "bad_port",
            Self::SpecialUse => "special_use",
            Self::InsideZone => "inside_zone",
            Self::OutsideZone => "outside_zone",
            Self::BadLabel => "bad_label",
        }
    }
}

/// A host that has been checked: lower-case name of two or more labels, or an IPv4 address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Host {
    /// A domain name, lower case, without the final dot.
    Domain(Arc<str>),
    /// An IPv4 address, which has a dotted form but no label form.
    Ipv4(Ipv4Addr),
}

/// What a host is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HostKind {
    /// A domain name.
    Domain,
    /// An address.
    Ipv4(Ipv4Addr),
}

impl Host {
    /// Reads a host as users write it: any case, a final dot allowed.
    ///
    /// # Errors
    /// The rule that the name breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.len() > HOST_MAX {
            return Err(NameError::TooLong);
        }
        let lower = text.to_ascii_lowercase();
        Ok(Self::new(judge(&lower)?, &lower))
    }

    /// The host of `text`, which was judged to be of `kind`.
    pub(super) fn new(kind: HostKind, text: &str) -> Self {
        match kind {
            HostKind::Domain => Self::Domain(text.into()),
            HostKind::Ipv4(ip) => Self::Ipv4(ip),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(name) => f.write_str(name),
            Self::Ipv4(ip) => ip.fmt(f),
        }
    }
}

/// What host `lower` is: lower case, at most 253 bytes, without the final dot. Allocates nothing.
pub(super) fn judge(lower: &str) -> Result<HostKind, NameError> {
    if let Ok(ip) = lower.parse() {
        // Numbers with leading zeros are refused there: `010.0.0.1` is read differently by
        // different resolvers, as `0x7f.1` is.
        return Ok(HostKind::Ipv4(ip));
    }
    check_labels(lower)?;
    let Some((before, last)) = lower.rsplit_once('.') else {
        return Err(NameError::SingleLabel);
    };
    if numeric_like(last) {
        return Err(NameError::NumericEnd);
    }
    if is_special(before, last) {
        return Err(NameError::SpecialUse);
    }
    Ok(HostKind::Domain)
}

/// Whether a name with this last label is no public site's: RFC 6761, 6762, 7686, 8375, 9476 and the
/// `internal` zone.
fn is_special(before: &str, last: &str) -> bool {
    match last {
        "localhost" | "local" | "test" | "example" | "invalid" | "onion" | "internal" | "alt" => {
            true
        }
        "arpa" => is_or_under(before, "home"),
        _ => false,
    }
}

/// Checks lengths and bytes of every label.
pub(super) fn check_labels(lower: &str) -> Result<(), NameError> {
    for label in lower.split('.') {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if label.len() > LABEL_MAX {
            return Err(NameError::TooLong);
        }
        let fits = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if !label.bytes().all(fits) {
            return Err(NameError::BadByte);
        }
    }
    Ok(())
}

/// A port written as browsers write it: 1..=65535, no leading zero.
pub(super) fn parse_port(text: &str) -> Result<u16, NameError> {
    let canonical = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if canonical && port > 0 => Ok(port),
        _ => Err(NameError::BadPort),
    }
}

/// Whether `name` is `end` or lies under it.
pub(super) fn is_or_under(name: &str, end: &str) -> bool {
    name.strip_suffix(end)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// A label that some parser takes for a number, decimal or hexadecimal (WHATWG URL "ends in a
/// number"): as a last label it makes the whole host an address there.
fn numeric_like(label: &str) -> bool {
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let hex = |s: &str| s.bytes().all(|b| b.is_ascii_hexdigit());
    digits(label) || label.strip_prefix("0x").is_some_and(hex)
}
