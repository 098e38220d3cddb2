//! Proof of membership on a request between proxies.
//!
//! The proof is a tag under the network's peer key over everything that gives the request its
//! meaning: who is meant to receive it, the method, the target and a nonce. One overheard request
//! can at most be repeated to the same receiver for the same object.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use subtle::ConstantTimeEq;

use super::secret::Network;

/// Bytes of nonce and tag.
const PART_LEN: usize = 16;

/// What the proof is bound to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bound<'a> {
    /// Address and port of the proxy asked, as the asker dials it.
    pub receiver: &'a str,
    /// HTTP method.
    pub method: &'a str,
    /// Request target, byte for byte.
    pub target: &'a str,
}

/// A nonce and the tag over it and the request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    nonce: [u8; PART_LEN],
    tag: [u8; PART_LEN],
}

/// The text was not a proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a proof: two groups of 32 hexadecimal digits")]
pub struct ParseProofError;

impl Proof {
    /// Proves membership of `network` for `bound`; `nonce` is fresh from a generator.
    #[must_use]
    pub fn new(network: &Network, bound: Bound<'_>, nonce: [u8; PART_LEN]) -> Self {
        Self {
            nonce,
            tag: tag(network, bound, &nonce),
        }
    }

    /// Whether this proof was made by a member of `network` for `bound` (constant time).
    #[must_use]
    pub fn holds(&self, network: &Network, bound: Bound<'_>) -> bool {
        tag(network, bound, &self.nonce).ct_eq(&self.tag).into()
    }
}

fn tag(network: &Network, bound: Bound<'_>, nonce: &[u8; PART_LEN]) -> [u8; PART_LEN] {
    let mut hasher = blake3::Hasher::new_keyed(network.peer_key());
    hasher.update(nonce);
    for part in [bound.receiver, bound.method, bound.target] {
        // Lengths first, or "ab"+"c" would prove "a"+"bc".
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let mut tag = [0; PART_LEN];
    tag.copy_from_slice(&hasher.finalize().as_bytes()[..PART_LEN]);
    tag
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}",
            HEXLOWER.encode(&self.nonce),
            HEXLOWER.encode(&self.tag)
        )
    }
}

impl FromStr for Proof {
    type Err = ParseProofError;

    fn from_str(text: &str) -> Result<Self, ParseProofError> {
        let part = |digits: &str| -> Option<[u8; PART_LEN]> {
            HEXLOWER.decode(digits.as_bytes()).ok()?.try_into().ok()
        };
        let (nonce, tag) = text.split_once('.').ok_or(ParseProofError)?;
        match (part(nonce), part(tag)) {
            (Some(nonce), Some(tag)) => Ok(Self { nonce, tag }),
            _ => Err(ParseProofError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::secret::NetworkSecret;

    const BOUND: Bound<'static> = Bound {
        receiver: "192.0.2.1:81",
        method: "GET",
        target: "/http/example.com/p",
    };

    #[test]
    fn holds_only_for_the_network_and_request_it_was_made_for() {
        let network = NetworkSecret::from_bytes([1; 32]).network(1);
        let stranger = NetworkSecret::from_bytes([2; 32]).network(1);
        let proof: Proof = Proof::new(&network, BOUND, [9; 16])
            .to_string()
            .parse()
            .unwrap();
        assert!(proof.holds(&network, BOUND));
        assert!(!proof.holds(&stranger, BOUND));
        assert!(!proof.holds(
            &network,
            Bound {
                receiver: "192.0.2.2:81",
                ..BOUND
            }
        ));
        assert!(!proof.holds(
            &network,
            Bound {
                method: "HEAD",
                ..BOUND
            }
        ));
        assert!(!proof.holds(
            &network,
            Bound {
                target: "/http/example.com/q",
                ..BOUND
            }
        ));
    }

    #[test]
    fn refuses_text_that_is_no_proof() {
        for text in ["", ".", "00.00", "zz", &"0".repeat(65)] {
            assert_eq!(text.parse::<Proof>(), Err(ParseProofError), "{text}");
        }
    }
}
