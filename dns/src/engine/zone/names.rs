//! Names as the zone sees them: where one lies, and how text becomes one.

use common::name::{NameError, Zone};
use hickory_proto::rr::Name;

use super::super::asked::{AskedName, is_odd};
use super::error::ZoneError;

/// Where a name lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relative<'a> {
    /// Not under the zone.
    Outside,
    /// The zone itself.
    Apex,
    /// Under it: lower-case labels between the name's start and the zone, joined by dots.
    Below(&'a str),
    /// Under it, with bytes that no host name has.
    Odd(NameError),
}

/// Where `name` lies with regard to `zone`.
#[must_use]
pub fn relative<'a>(zone: &Zone, name: &'a AskedName) -> Relative<'a> {
    let Some(rest) = name.as_str().strip_suffix(zone.as_str()) else {
        return Relative::Outside;
    };
    if rest.is_empty() {
        return Relative::Apex;
    }
    match rest.strip_suffix('.') {
        None => Relative::Outside,
        Some(below) if is_odd(below) => Relative::Odd(NameError::BadByte),
        Some(below) => Relative::Below(below),
    }
}

/// `text` as a full name.
pub(super) fn absolute(text: &str) -> Result<Name, ZoneError> {
    let wrong = || ZoneError::Name(text.to_owned());
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() {
        return Err(wrong());
    }
    let mut name = Name::from_ascii(text).map_err(|_| wrong())?;
    name.set_fqdn(true);
    Ok(name)
}

/// `user@host` as RFC 1035 §8 writes mailboxes: the part before the `@` is the first label, dots
/// and all.
pub(super) fn mailbox(text: &str) -> Result<Name, ZoneError> {
    let Some((user, host)) = text.split_once('@') else {
        return absolute(text);
    };
    let wrong = || ZoneError::Name(text.to_owned());
    let host = absolute(host)?;
    let labels = std::iter::once(user.as_bytes()).chain(host.iter());
    let mut name = Name::from_labels(labels).map_err(|_| wrong())?;
    name.set_fqdn(true);
    Ok(name)
}
