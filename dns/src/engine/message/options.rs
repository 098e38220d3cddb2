//! The options of an OPT record that mean something here. All others are ignored (RFC 6891
//! §6.1.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::wire::codec::Reader;

use crate::engine::inquiry::{CookieAsked, Subnet};

/// Name of the server (RFC 5001 §4.1).
pub const NSID: u16 = 3;

/// Client subnet (RFC 7871 §6).
pub const CLIENT_SUBNET: u16 = 8;

/// Cookie (RFC 7873 §4).
pub const COOKIE: u16 = 10;

/// Extended error (RFC 8914 §2).
pub const EXTENDED_ERROR: u16 = 15;

/// Address families (RFC 7871 §6).
const NO_FAMILY: u16 = 0;
const IPV4: u16 = 1;
const IPV6: u16 = 2;

/// Most bytes after the eight of the client in a cookie (RFC 7873 §4).
const SERVER_COOKIE_MAX: usize = 32;

/// What the options say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options<'a> {
    /// Client subnet.
    pub client_subnet: Option<Subnet>,
    /// Cookie.
    pub cookie: Option<CookieAsked>,
    /// Whether the name of the server is asked for.
    pub nsid_asked: bool,
    /// The client subnet as it came.
    pub subnet: Option<&'a [u8]>,
}

/// Reads `data`. `None` if an option is cut off, or one of ours is not what its standard says:
/// FORMERR by RFC 7871 §7.1.1 and RFC 7873 §5.2.2.
#[must_use]
pub fn read(data: &[u8]) -> Option<Options<'_>> {
    let mut options = Options::default();
    let mut reader = Reader::new(data);
    while !reader.is_empty() {
        let code = reader.u16("option code").ok()?;
        let value = reader.bytes16(usize::from(u16::MAX), "option").ok()?;
        match code {
            NSID => options.nsid_asked = true,
            // Of several the first counts: RFC 7873 §5.2 says so for cookies.
            CLIENT_SUBNET if options.subnet.is_none() => {
                options.client_subnet = Some(subnet(value)?);
                options.subnet = Some(value);
            }
            COOKIE if options.cookie.is_none() => options.cookie = Some(cookie(value)?),
            _ => {}
        }
    }
    Some(options)
}

fn cookie(value: &[u8]) -> Option<CookieAsked> {
    let (client, server) = value.split_first_chunk()?;
    let fits = server.is_empty() || (8..=SERVER_COOKIE_MAX).contains(&server.len());
    fits.then(|| CookieAsked {
        client: *client,
        server: server.try_into().ok(),
    })
}

fn subnet(value: &[u8]) -> Option<Subnet> {
    let mut reader = Reader::new(value);
    let family = reader.u16("family").ok()?;
    let (source, scope) = (reader.u8("source").ok()?, reader.u8("scope").ok()?);
    let given = reader.rest();
    // RFC 7871 §6: as many bytes as the prefix needs, no bit beyond it, scope 0 in questions.
    if scope != 0 || given.len() != usize::from(source).div_ceil(8) {
        return None;
    }
    let unused = (8 - source % 8) % 8;
    let last = given.last().copied().unwrap_or(0);
    if last & !(0xff_u8 << unused) != 0 {
        return None;
    }
    let address = match family {
        IPV4 => Ipv4Addr::from(padded::<4>(given)?).into(),
        IPV6 => Ipv6Addr::from(padded::<16>(given)?).into(),
        // What resolvers send that decline to say (RFC 7871 §7.1.2).
        NO_FAMILY if source == 0 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        _ => return None,
    };
    Some(Subnet { address, source })
}

/// `given` with zeros after it; `None` if it is longer.
fn padded<const N: usize>(given: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    bytes.get_mut(..given.len())?.copy_from_slice(given);
    Some(bytes)
}
