//! The label form: one DNS label for a host and an optional port.
//!
//! `-` becomes `--`, then `.` becomes `-`. If bytes 3 and 4 of the result are `--` (where IDNA puts
//! its marks) the result is wrapped as `0-…-0`. What does not fit 63 bytes, or has a label that
//! starts or ends with `-` (its dashes would run together), becomes unpadded lower-case
//! `base32(SHA-256(host[:port]))`: 52 characters that only the index can turn back.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use super::host::{Host, NameError, parse_port};
use crate::limits::LABEL_MAX;

/// Characters of a hashed label.
const HASH_LEN: usize = 52;

/// What a label stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Decoded {
    /// A host and perhaps a port.
    Site(Host, Option<u16>),
    /// The hash of one; only the index can tell which.
    Hashed,
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
    let edged = |label: &str| label.starts_with('-') || label.ends_with('-');
    if !name.split('.').any(edged) {
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
/// so that each site has one name.
pub(super) fn decode(label: &str) -> Result<Decoded, NameError> {
    if is_hash(label) {
        return Ok(Decoded::Hashed);
    }
    let inner = unwrap(label);
    let mut parts = split(inner)?;
    let port = match parts.last() {
        Some(last) if parts.len() > 2 && last.bytes().all(|b| b.is_ascii_digit()) => {
            let port = parse_port(last)?;
            parts.pop();
            Some(port)
        }
        _ => None,
    };
    let host = Host::parse(&parts.join("."))?;
    if encode(&host, port)? == label {
        Ok(Decoded::Site(host, port))
    } else {
        Err(NameError::BadLabel)
    }
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

/// Splits at runs of hyphens: one is a dot, an even number are half as many hyphens.
fn split(text: &str) -> Result<Vec<String>, NameError> {
    let mut parts = vec![String::new()];
    let mut rest = text;
    while let Some(start) = rest.find('-') {
        let (before, run) = rest.split_at(start);
        let after = run.trim_start_matches('-');
        let length = run.len() - after.len();
        let last = parts.last_mut().ok_or(NameError::BadLabel)?;
        last.push_str(before);
        match length {
            1 => parts.push(String::new()),
            even if even % 2 == 0 => last.extend(std::iter::repeat_n('-', even / 2)),
            _ => return Err(NameError::BadLabel),
        }
        rest = after;
    }
    parts.last_mut().ok_or(NameError::BadLabel)?.push_str(rest);
    Ok(parts)
}

/// 52 characters of the base32 alphabet, without a hyphen.
fn is_hash(label: &str) -> bool {
    label.len() == HASH_LEN
        && label
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
}
