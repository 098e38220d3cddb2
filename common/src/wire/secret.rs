//! The operator's secret and the keys derived from it.
//!
//! Neither type has `Debug`, `Display`, `Clone` or serialisation; both are wiped on drop. A secret
//! comes from a file that only its owner reads (`shell::secret`), never from argv or environment.

use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::rng::Generator;

/// Bytes of a network secret.
pub const SECRET_LEN: usize = 32;

/// First word of a secret's text, so that a file of another kind is not taken for one.
const TEXT_TAG: &str = "atoll-secret-1";

/// The operator's shared secret.
#[derive(Zeroize, ZeroizeOnDrop)]
#[expect(missing_debug_implementations, reason = "a secret is never printed")]
pub struct NetworkSecret([u8; SECRET_LEN]);

/// A secret's text was not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SecretError {
    /// The first word is not the tag of a secret.
    #[error(
        "not a network secret: it must begin with \"atoll-secret-1\" (make one with `atoll secret new`)"
    )]
    Tag,
    /// The second word is not 64 hexadecimal digits.
    #[error("the network secret is damaged: 64 hexadecimal digits must follow the first word")]
    Digits,
}

impl NetworkSecret {
    /// A new secret from `rng`, which must come from the system's entropy.
    #[must_use]
    pub fn generate(rng: &mut Generator) -> Self {
        Self(rng.bytes())
    }

    /// The secret with these bytes: for tests and vectors.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; SECRET_LEN]) -> Self {
        Self(bytes)
    }

    /// Reads the text form that [`to_text`](Self::to_text) writes.
    ///
    /// # Errors
    /// [`SecretError`] says which part is wrong, never what it contains.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let mut words = text.split_ascii_whitespace();
        if words.next() != Some(TEXT_TAG) {
            return Err(SecretError::Tag);
        }
        let digits = words.next().ok_or(SecretError::Digits)?;
        let decoded = HEXLOWER_PERMISSIVE.decode(digits.as_bytes());
        let bytes = Zeroizing::new(decoded.map_err(|_| SecretError::Digits)?);
        match (<[u8; SECRET_LEN]>::try_from(bytes.as_slice()), words.next()) {
            (Ok(secret), None) => Ok(Self(secret)),
            _ => Err(SecretError::Digits),
        }
    }

    /// The text to keep in a file of mode 0600: one line, wiped when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(HEXLOWER_PERMISSIVE.encode(&self.0));
        Zeroizing::new(format!("{TEXT_TAG} {}\n", *digits))
    }

    /// The network of this secret and wire generation `generation`.
    #[must_use]
    pub fn network(&self, generation: u32) -> Network {
        let derive = |context: &str| {
            let mut hasher = blake3::Hasher::new_derive_key(context);
            hasher.update(&self.0);
            hasher.update(&generation.to_be_bytes());
            *hasher.finalize().as_bytes()
        };
        let [a, b, c, d, ..] = derive("atoll 2026-11-21 network id");
        Network {
            id: NetworkId(u32::from_be_bytes([a, b, c, d])),
            datagram_key: derive("atoll 2026-11-21 datagram tag"),
            peer_key: derive("atoll 2026-11-21 peer http proof"),
        }
    }
}

/// Which network a datagram belongs to; public, so that a foreign one is told from noise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NetworkId(pub u32);

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// What a member knows of its network: the id and the keys.
#[derive(Zeroize, ZeroizeOnDrop)]
#[expect(missing_debug_implementations, reason = "keys are never printed")]
pub struct Network {
    #[zeroize(skip)]
    id: NetworkId,
    datagram_key: [u8; 32],
    peer_key: [u8; 32],
}

impl Network {
    /// The public id.
    #[must_use]
    pub const fn id(&self) -> NetworkId {
        self.id
    }

    pub(super) const fn datagram_key(&self) -> &[u8; 32] {
        &self.datagram_key
    }

    pub(super) const fn peer_key(&self) -> &[u8; 32] {
        &self.peer_key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_reads_back_and_damage_is_refused() {
        let secret = NetworkSecret::generate(&mut Generator::from_seed(1));
        let text = secret.to_text();
        assert!(NetworkSecret::parse(&text).is_ok_and(|back| back.0 == secret.0));
        let parse = |text: &str| NetworkSecret::parse(text).err();
        assert_eq!(parse("hello"), Some(SecretError::Tag));
        assert_eq!(parse("atoll-secret-1 12ab"), Some(SecretError::Digits));
        assert_eq!(
            parse(&format!("{} extra", text.trim())),
            Some(SecretError::Digits)
        );
        assert_eq!(parse(""), Some(SecretError::Tag));
    }

    #[test]
    fn another_generation_or_secret_is_another_network() {
        let secret = NetworkSecret::from_bytes([7; SECRET_LEN]);
        let other = NetworkSecret::from_bytes([8; SECRET_LEN]);
        let network = secret.network(1);
        assert_eq!(network.id(), secret.network(1).id());
        assert_ne!(network.id(), secret.network(2).id());
        assert_ne!(network.id(), other.network(1).id());
        assert_ne!(network.datagram_key(), network.peer_key());
    }
}
