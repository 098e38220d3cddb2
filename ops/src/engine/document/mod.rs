//! Signed documents: release manifests, intents for nodes, reports of nodes.
//!
//! A document is text. Its first line names the format, the kind, the signer and the signature;
//! everything after it is the body, JSON in its canonical form ([`canonical`]). The signature is
//! Ed25519 (RFC 8032) over the first line up to the signer, a line end, and the body, so that one
//! kind of document never passes as another. A reader checks, in this order: size, first line, kind,
//! signer, signature, canonical form, schema version, critical fields, the body's own bounds.
//! Nothing of a body is believed before its signature is.
//!
//! What a document is not: it holds no time of day and does not expire. A node whose clock is wrong by
//! days reads the same from it as any other; old documents are told by their serial.

pub mod canonical;
pub mod intent;
pub mod key;
pub mod refusal;
pub mod release;
pub mod report;
#[cfg(test)]
mod tests;
pub mod times;
pub mod words;

use data_encoding::HEXLOWER;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::key::{PublicKey, SigningKey};
use self::refusal::RefusalReason;
use self::words::Digest;

/// Largest document read, in bytes. An intent with every bound reached takes less.
pub const DOCUMENT_MAX: usize = 256 << 10;

/// The first words of a document: what it is, and the format of its first line.
const FORMAT: &str = "atoll-signed 1";

/// What a document says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The programs of a version.
    Release,
    /// What one node is to run.
    Intent,
    /// What one node runs.
    Report,
}

impl Kind {
    /// The word in the first line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Intent => "intent",
            Self::Report => "report",
        }
    }
}

/// The body of a kind of document.
pub trait Body: Serialize + DeserializeOwned {
    /// Its kind.
    const KIND: Kind;
    /// The version of its schema. Raised when a reader of the old one would be misled.
    const SCHEMA: u64;
    /// The fields that this program understands, `schema` and `critical` left out.
    const FIELDS: &'static [&'static str];

    /// Checks the bounds that the types do not hold.
    ///
    /// # Errors
    /// [`RefusalReason`] says which part is out of bounds.
    fn check(&self) -> Result<(), RefusalReason>;
}

/// A document whose signature was checked, or that was just signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed<T> {
    /// What it says.
    pub body: T,
    /// Who says it.
    pub signer: PublicKey,
    /// BLAKE3 of the body's bytes: two documents with one digest say the same.
    pub digest: Digest,
    text: String,
}

impl<T: Body> Signed<T> {
    /// Signs `body`.
    #[must_use]
    pub fn seal(body: T, key: &SigningKey) -> Self {
        let json = canonical::write(&body, T::SCHEMA);
        let signer = key.public();
        let head = head(T::KIND, &signer);
        let signature = HEXLOWER.encode(&key.sign(covered(&head, &json).as_bytes()));
        Self {
            digest: Digest::of(json.as_bytes()),
            text: format!("{head} {signature}\n{json}\n"),
            body,
            signer,
        }
    }

    /// Reads a document that one of `trusted` signed.
    ///
    /// # Errors
    /// [`RefusalReason`] says what is wrong with it, in the order of the module's text.
    pub fn read(bytes: &[u8], trusted: &[PublicKey]) -> Result<Self, RefusalReason> {
        Self::read_of_anyone(bytes, |signer| trusted.contains(signer))
    }

    /// Reads a document whose signer is `known`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_of_anyone(
        bytes: &[u8],
        known: impl FnOnce(&PublicKey) -> bool,
    ) -> Result<Self, RefusalReason> {
        if bytes.len() > DOCUMENT_MAX {
            return Err(RefusalReason::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| RefusalReason::Malformed)?;
        let (signer, signature, json) = split(text, T::KIND)?;
        if !known(&signer) {
            return Err(RefusalReason::Stranger);
        }
        let covered = covered(&head(T::KIND, &signer), json);
        if !signer.verifies(covered.as_bytes(), &signature) {
            return Err(RefusalReason::BadSignature);
        }
        let body: T = canonical::read(json, T::SCHEMA, T::FIELDS)?;
        body.check()?;
        Ok(Self {
            body,
            signer,
            digest: Digest::of(json.as_bytes()),
            text: text.to_owned(),
        })
    }

    /// The whole document.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn head(kind: Kind, signer: &PublicKey) -> String {
    format!("{FORMAT} {} {signer}", kind.as_str())
}

fn covered(head: &str, json: &str) -> String {
    format!("{head}\n{json}")
}

/// The parts of a document of `kind`: who signed it, the signature, the body.
fn split(text: &str, kind: Kind) -> Result<(PublicKey, Vec<u8>, &str), RefusalReason> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    if first.starts_with('{') {
        return Err(RefusalReason::Unsigned);
    }
    let Some(words) = first.strip_prefix(FORMAT) else {
        let ours = first.starts_with("atoll-signed ");
        return Err(if ours {
            RefusalReason::UnknownFormat
        } else {
            RefusalReason::Malformed
        });
    };
    let mut words = words.strip_prefix(' ').unwrap_or_default().split(' ');
    if words.next() != Some(kind.as_str()) {
        return Err(RefusalReason::WrongKind);
    }
    let signer = words.next().and_then(|word| PublicKey::parse(word).ok());
    let signer = signer.ok_or(RefusalReason::Malformed)?;
    let signature = words.next().ok_or(RefusalReason::Unsigned)?;
    let signature = HEXLOWER.decode(signature.as_bytes());
    let signature = signature.map_err(|_| RefusalReason::Malformed)?;
    let json = rest.strip_suffix('\n').ok_or(RefusalReason::Malformed)?;
    if words.next().is_some() {
        return Err(RefusalReason::Malformed);
    }
    Ok((signer, signature, json))
}
