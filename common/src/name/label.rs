//! The label form: one DNS label for a host and an optional port.
//!
//! `-` becomes `--`, then `.` becomes `-`. If bytes 3 and 4 of the result are `--` (where IDNA puts
//! its marks) the result is wrapped as `0-…-0`. What does not fit 63 bytes, or has a label that
//! starts or ends with `-` (its dashes would run together), becomes unpadded lower-case
//! `base32(SHA-256(host[:port]))`: 52 characters that only the index can turn back.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use super::host::{Host, HostKind, NameError, judge, parse_port};
use crate::limits::LABEL_MAX;

/// Characters of a hashed label.
const HASH_LEN: usize = 52;

/// What a label stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Decoded {
    /// A site.
    Site(Spelt),
    /// The hash of one; only the index can tell which.
    Hashed,
}

/// A site as its label spells it, on the stack: the name server reads one for each question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spelt {
    text: [u8; LABEL_MAX],
    length: usize,
    /// Bytes of the host.
    host: usize,
    /// Its port.
    pub(super) port: Option<u16>,
}

impl Spelt {
    /// The host: a domain name.
    pub(super) fn host(&self) -> &str {
        self.upto(self.host)
    }

    /// The host, and the port behind a dot.
    fn whole(&self) -> &str {
        self.upto(self.length)
    }

    fn upto(&self, end: usize) -> &str {
        let text = self.text.get(..end).unwrap_or_default();
        // It was put together of whole pieces of text.
        std::str::from_utf8(text).unwrap_or_default()
    }

    fn push(&mut self, piece: &[u8]) -> Result<(), NameError> {
        let end = self.length + piece.len();
        let room = self.text.get_mut(self.length..end);
        room.ok_or(NameError::TooLong)?.copy_from_slice(piece);
        self.length = end;
        Ok(())
    }
}

/// The label of `host` and `port`.
pub(super) fn encode(host: &Host, port: Option<u16>) -> Result<String, NameError> {
    let Host::Domain(name) = host else {
        // An address ends in a number, which as a label would read as a port.
        return Err(NameError::NumericEnd);
    };
    let whole = match port {
        Some(port) => format!("{name}.{port}"),
        None => name.to_string(),
    };
    if !has_edges(name) {
        let plain = whole.replace('-', "--").replace('.', "-");
        let label = if marked(&plain) {
            format!("0-{plain}-0")
        } else {
            plain
        };
        if label.len() <= LABEL_MAX {
            return Ok(label);
        }
    }
    let hashed = match port {
        Some(port) => format!("{name}:{port}"),
        None => name.to_string(),
    };
    let digest = Sha256::digest(hashed.as_bytes());
    Ok(BASE32_NOPAD.encode(&digest).to_ascii_lowercase())
}

/// What `label` (lower case) stands for. Accepted only if encoding it again gives the same label,
/// so that each site has one name. Allocates nothing.
pub(super) fn decode(label: &str) -> Result<Decoded, NameError> {
    if is_hash(label) {
        return Ok(Decoded::Hashed);
    }
    let inner = unwrap(label);
    let mut site = spelt(inner)?;
    let whole = site.whole();
    if let Some((before, last)) = whole.rsplit_once('.')
        && before.contains('.')
        && last.bytes().all(|b| b.is_ascii_digit())
    {
        (site.host, site.port) = (before.len(), Some(parse_port(last)?));
    }
    match judge(site.host())? {
        // An address ends in a number, which as a label would read as a port.
        HostKind::Ipv4(_) => Err(NameError::NumericEnd),
        HostKind::Domain if is_label_of(&site, inner, label) => Ok(Decoded::Site(site)),
        HostKind::Domain => Err(NameError::BadLabel),
    }
}

/// Whether `label`, which is `inner` or wraps it, is what [`encode`] makes of `site`.
fn is_label_of(site: &Spelt, inner: &str, label: &str) -> bool {
    let plain = site.whole().bytes().flat_map(|byte| match byte {
        b'-' => [Some(b'-'); 2],
        b'.' => [Some(b'-'), None],
        other => [Some(other), None],
    });
    let wrapped = inner.len() < label.len();
    !has_edges(site.host()) && wrapped == marked(inner) && plain.flatten().eq(inner.bytes())
}

/// Whether a label of `host` starts or ends with a hyphen.
fn has_edges(host: &str) -> bool {
    let edged = |label: &str| label.starts_with('-') || label.ends_with('-');
    host.split('.').any(edged)
}

/// Bytes 3 and 4 are `--`.
fn marked(text: &str) -> bool {
    text.as_bytes().get(2..4) == Some(b"--")
}

/// Strips the `0-…-0` wrap, which is there only if what it wraps is marked.
fn unwrap(label: &str) -> &str {
    let inner = label
        .strip_prefix("0-")
        .and_then(|rest| rest.strip_suffix("-0"));
    match inner {
        Some(inner) if marked(inner) && !inner.ends_with('-') => inner,
        _ => label,
    }
}

/// What `text` spells: of its runs of hyphens one is a dot, an even number are half as many hyphens.
fn spelt(text: &str) -> Result<Spelt, NameError> {
    const HYPHENS: [u8; LABEL_MAX] = [b'-'; LABEL_MAX];
    let mut site = Spelt {
        text: [0; LABEL_MAX],
        length: 0,
        host: 0,
        port: None,
    };
    let mut rest = text;
    while let Some(start) = rest.find('-') {
        let (before, run) = rest.split_at(start);
        let after = run.trim_start_matches('-');
        site.push(before.as_bytes())?;
        match run.len() - after.len() {
            1 => site.push(b".")?,
            even if even % 2 == 0 => {
                let hyphens = HYPHENS.get(..even / 2);
                site.push(hyphens.ok_or(NameError::TooLong)?)?;
            }
            _ => return Err(NameError::BadLabel),
        }
        rest = after;
    }
    site.push(rest.as_bytes())?;
    site.host = site.length;
    Ok(site)
}

/// 52 characters of the base32 alphabet, without a hyphen.
fn is_hash(label: &str) -> bool {
    label.len() == HASH_LEN
        && label
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
}
