//! The OPT record of a reply (RFC 6891 §6.1.2). Both writers end with it.

use super::options::{CLIENT_SUBNET, COOKIE, EXTENDED_ERROR, NSID};
use super::read::{COMPACT_OK, DNSSEC_OK};
use super::{OPT, UDP_PAYLOAD_MAX};

/// Bytes of an OPT record without options.
const EMPTY: usize = 11;

/// Bytes of an option before its value.
const OPTION: usize = 4;

/// Where the scope stands in a client subnet (RFC 7871 §6).
const SCOPE: usize = 3;

/// What an OPT record is to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Opt<'a> {
    /// Upper bits of the response code.
    pub code_high: u8,
    /// DO, repeated (RFC 3225 §3).
    pub dnssec_ok: bool,
    /// CO: the answer denies the name in the compact way (RFC 9824 §5.1).
    pub compact: bool,
    /// Client subnet as it came, and the scope of the answer.
    pub subnet: Option<(&'a [u8], u8)>,
    /// The client's cookie and ours.
    pub cookie: Option<[u8; 24]>,
    /// Name of this server.
    pub nsid: Option<&'a [u8]>,
    /// Extended error.
    pub extended_error: Option<u16>,
}

impl Opt<'_> {
    /// Bytes of the record.
    #[must_use]
    pub fn len(&self) -> usize {
        let option = |value: Option<usize>| value.map_or(0, |length| OPTION + length);
        EMPTY
            + option(self.subnet.map(|(bytes, _)| bytes.len()))
            + option(self.cookie.map(|bytes| bytes.len()))
            + option(self.nsid.map(<[u8]>::len))
            + option(self.extended_error.map(|_| 2))
    }

    /// Never: an OPT record has at least its fixed part.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Leaves out what nobody needs to understand the answer until the record has at most `room`
    /// bytes, or nothing of that kind is left.
    #[must_use]
    pub fn within(mut self, room: usize) -> Self {
        if self.len() > room {
            self.nsid = None;
        }
        if self.len() > room {
            self.extended_error = None;
        }
        self
    }

    /// Appends the record to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let ([t0, t1], [p0, p1]) = (OPT.to_be_bytes(), UDP_PAYLOAD_MAX.to_be_bytes());
        let flag = |set: bool, flag| if set { flag } else { 0 };
        let flags = flag(self.dnssec_ok, DNSSEC_OK) | flag(self.compact, COMPACT_OK);
        let [l0, l1] = length(self.len() - EMPTY);
        out.extend_from_slice(&[0, t0, t1, p0, p1, self.code_high, 0, flags, 0, l0, l1]);
        if let Some((bytes, scope)) = self.subnet {
            option(out, CLIENT_SUBNET, bytes);
            let at = out.len() - bytes.len() + SCOPE;
            if let Some(place) = out.get_mut(at) {
                *place = scope;
            }
        }
        if let Some(cookie) = &self.cookie {
            option(out, COOKIE, cookie);
        }
        if let Some(nsid) = self.nsid {
            option(out, NSID, nsid);
        }
        if let Some(error) = self.extended_error {
            option(out, EXTENDED_ERROR, &error.to_be_bytes());
        }
    }
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let ([c0, c1], [l0, l1]) = (code.to_be_bytes(), length(value.len()));
    out.extend_from_slice(&[c0, c1, l0, l1]);
    out.extend_from_slice(value);
}

/// A length in two bytes. Nothing here is longer than the message it came in, or a setting.
fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}
