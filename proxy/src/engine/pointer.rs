//! What a proxy puts in the index about a copy it has or is fetching.
//!
//! A short line of text, so that the index can be read with curl:
//!
//! ```text
//! atoll1 fetching 192.0.2.1:8081
//! atoll1 complete 192.0.2.1:8081 41000 <64 hexadecimal digits of BLAKE3>
//! atoll1 parts 192.0.2.1:8081 00ff
//! ```
//!
//! The last is about an [extent](super::slices::extent) of a large object, with a bit for each slice.
//!
//! Words after those are ignored, so that later releases can add some. A pointer is a hint from a
//! member: the digest is checked by whoever fetches, and a pointer to nobody costs one attempt.

use std::fmt;
use std::net::SocketAddr;

use data_encoding::HEXLOWER;

/// First word.
const TAG: &str = "atoll1";

/// BLAKE3 of a whole body.
pub type Digest = [u8; 32];

/// How much of the object the proxy has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It is fetching; its readers get bytes as they arrive.
    Fetching,
    /// It has all of it.
    Complete {
        /// Bytes of the body.
        length: u64,
        /// Their digest.
        digest: Digest,
    },
    /// It has these of an extent's slices, and perhaps more by now.
    Parts {
        /// A bit for each.
        held: u16,
    },
}

/// Who has a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pointer {
    /// Where its peer port is.
    pub peer: SocketAddr,
    /// How much it has.
    pub progress: Progress,
}

impl Pointer {
    /// Reads what [`Display`](fmt::Display) writes; `None` for anything else.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(bytes).ok()?.split_ascii_whitespace();
        if words.next()? != TAG {
            return None;
        }
        let state = words.next()?;
        let peer = words.next()?.parse().ok()?;
        let progress = match state {
            "fetching" => Progress::Fetching,
            "complete" => {
                let length = words.next()?.parse().ok()?;
                let digest = HEXLOWER.decode(words.next()?.as_bytes()).ok()?;
                Progress::Complete {
                    length,
                    digest: digest.try_into().ok()?,
                }
            }
            "parts" => {
                let held = u16::from_str_radix(words.next()?, 16).ok()?;
                Progress::Parts { held }
            }
            _ => return None,
        };
        Some(Self { peer, progress })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.progress {
            Progress::Fetching => write!(f, "{TAG} fetching {}", self.peer),
            Progress::Parts { held } => write!(f, "{TAG} parts {} {held:04x}", self.peer),
            Progress::Complete { length, digest } => {
                write!(
                    f,
                    "{TAG} complete {} {length} {}",
                    self.peer,
                    HEXLOWER.encode(&digest)
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use common::limits::VALUE_MAX;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_what_it_writes(
            ip: u128, port: u16, kind in 0..3, length: u64, digest: [u8; 32], held: u16,
        ) {
            let progress = match kind {
                0 => Progress::Complete { length, digest },
                1 => Progress::Parts { held },
                _ => Progress::Fetching,
            };
            let ip = std::net::IpAddr::V6(ip.into());
            let pointer = Pointer { peer: SocketAddr::new(ip, port), progress };
            let text = pointer.to_string();
            prop_assert!(text.len() <= VALUE_MAX);
            prop_assert_eq!(Pointer::parse(text.as_bytes()), Some(pointer));
            prop_assert_eq!(Pointer::parse(format!("{text} more").as_bytes()), Some(pointer));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Pointer::parse(&bytes);
        }
    }

    #[test]
    fn a_pointer_of_another_kind_is_none() {
        for text in [
            "",
            "atoll2 fetching 192.0.2.1:1",
            "atoll1 gone 192.0.2.1:1",
            "atoll1 complete 192.0.2.1:1 5",
            "atoll1 parts 192.0.2.1:1 12345",
        ] {
            assert_eq!(Pointer::parse(text.as_bytes()), None, "{text}");
        }
    }
}
