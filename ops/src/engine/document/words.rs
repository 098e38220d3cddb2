//! The small words of documents: versions, digests, names of daemons, programs, run states.
//!
//! Each is checked when it is read, so that none can name a path outside a node's directory or an
//! argument that is none.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// Longest version, in bytes.
const VERSION_MAX: usize = 64;

/// Longest name of a daemon, in bytes.
const NAME_MAX: usize = 32;

/// A word was not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WordError {
    /// Not a version.
    #[error(
        "a version is three numbers with dots, then perhaps a hyphen and letters: 1.2.3, 1.2.3-rc.1"
    )]
    Version,
    /// Not a digest.
    #[error("a digest is 64 lower-case hexadecimal digits")]
    Digest,
    /// Not a name.
    #[error("a name has 1 to 32 lower-case letters, digits and hyphens, and begins with a letter")]
    Name,
}

/// Makes a word that is text outside: in documents, in commands, in file names.
macro_rules! as_text {
    ($word:ty) => {
        impl Serialize for $word {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $word {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }

        impl std::str::FromStr for $word {
            type Err = WordError;

            fn from_str(text: &str) -> Result<Self, WordError> {
                Self::parse(text)
            }
        }

        impl fmt::Debug for $word {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

/// BLAKE3 of something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// A digest that was computed piece by piece.
    #[must_use]
    pub fn finish(hasher: &blake3::Hasher) -> Self {
        Self(*hasher.finalize().as_bytes())
    }

    /// Reads 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// It is anything else.
    pub fn parse(text: &str) -> Result<Self, WordError> {
        let bytes = HEXLOWER.decode(text.as_bytes());
        let bytes = bytes.map_err(|_| WordError::Digest)?;
        Ok(Self(bytes.try_into().map_err(|_| WordError::Digest)?))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

as_text!(Digest);

/// The version of a release: three numbers, and perhaps what comes before it is one (`-rc.1`).
///
/// Ordered as Semantic Versioning orders, except that what follows the hyphen is compared as text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Version {
    numbers: [u32; 3],
    before: String,
}

impl Version {
    /// Reads `1.2.3` or `1.2.3-rc.1`.
    ///
    /// # Errors
    /// It is anything else, or has a number that begins with a zero.
    pub fn parse(text: &str) -> Result<Self, WordError> {
        let (numbers, before) = text.split_once('-').unwrap_or((text, ""));
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.';
        let hyphen = text.contains('-');
        let wrong =
            text.len() > VERSION_MAX || !before.bytes().all(plain) || hyphen == before.is_empty();
        let mut parts = numbers.split('.').map(number);
        let three = [(); 3].map(|()| parts.next().flatten());
        match (three, parts.next()) {
            ([Some(major), Some(minor), Some(patch)], None) if !wrong => Ok(Self {
                numbers: [major, minor, patch],
                before: before.to_owned(),
            }),
            _ => Err(WordError::Version),
        }
    }
}

/// A number in decimal, written as one writes numbers.
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| digits && shortest)
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // What has a hyphen comes before what has none.
        let key = |version: &Self| (version.numbers, version.before.is_empty());
        key(self)
            .cmp(&key(other))
            .then_with(|| self.before.cmp(&other.before))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        let hyphen = if self.before.is_empty() { "" } else { "-" };
        write!(f, "{major}.{minor}.{patch}{hyphen}{}", self.before)
    }
}

as_text!(Version);

/// Longest name of a node or a cluster, in bytes.
const NODE_NAME_MAX: usize = 64;

/// Whether `text` may name a node or a cluster: 1 to 64 letters, digits, hyphens, dots and underscores. So it
/// is no more than a word wherever it is shown, on a command line as well.
#[must_use]
pub fn is_node_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=NODE_NAME_MAX).contains(&text.len()) && text.bytes().all(letter)
}

/// What a node calls one of its daemons: `proxy`, `index-old`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DaemonName(String);

impl DaemonName {
    /// Reads a name.
    ///
    /// # Errors
    /// It is empty, too long, or has other letters.
    pub fn parse(text: &str) -> Result<Self, WordError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let letter = text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase());
        if letter && text.len() <= NAME_MAX && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(WordError::Name)
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DaemonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(DaemonName);

/// A program of a release.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Program {
    /// The proxy.
    #[serde(rename = "atoll-proxy")]
    Proxy,
    /// The index.
    #[serde(rename = "atoll-dht")]
    Dht,
    /// The name server.
    #[serde(rename = "atoll-dns")]
    Dns,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Proxy, Self::Dht, Self::Dns];

    /// The name of its file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proxy => "atoll-proxy",
            Self::Dht => "atoll-dht",
            Self::Dns => "atoll-dns",
        }
    }
}

/// What a daemon is to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Serve.
    Run,
    /// Finish what was begun, take nothing new, and end.
    Drain,
    /// Not run.
    Stop,
}

impl RunState {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Drain => "drain",
            Self::Stop => "stop",
        }
    }
}
