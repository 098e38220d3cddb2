//! Keys: who signs (Ed25519, RFC 8032), and how nodes are named.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use common::rng::Generator;
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

/// Bytes of a public key, and of the seed of a private one.
pub const KEY_LEN: usize = 32;

/// First word of a private key's text, so that a file of another kind is not taken for one.
const TEXT_TAG: &str = "atoll-key-1";

/// Digits of a key that tables show; one in four thousand million has the same.
const SHORT: usize = 8;

/// A public key: 64 lower-case hexadecimal digits.
///
/// It is the name of whoever has the private one: a node, a controller, a maker of releases.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_LEN]);

/// A key's text was not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// A public key is 64 lower-case hexadecimal digits.
    #[error("a public key is 64 lower-case hexadecimal digits")]
    Public,
    /// The first word is not the tag of a private key.
    #[error(
        "not a private key: it must begin with \"atoll-key-1\" (make one with `atoll key new`)"
    )]
    Tag,
    /// The second word is not 64 hexadecimal digits.
    #[error("the private key is damaged: 64 hexadecimal digits must follow the first word")]
    Digits,
}

impl PublicKey {
    /// Reads 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// It is anything else.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = HEXLOWER.decode(text.as_bytes());
        let bytes = bytes.map_err(|_| KeyError::Public)?;
        Ok(Self(bytes.try_into().map_err(|_| KeyError::Public)?))
    }

    /// The first digits, for tables.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(SHORT);
        text
    }

    /// Whether its private key made `signature` over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.0);
        key.verify(message, signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.short())
    }
}

impl serde::Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A private key. Neither printed nor copied; its seed is wiped on drop.
#[expect(
    missing_debug_implementations,
    reason = "a private key is never printed"
)]
pub struct SigningKey {
    seed: Zeroizing<[u8; KEY_LEN]>,
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// A new key from `rng`, which must come from the system's entropy.
    #[must_use]
    pub fn generate(rng: &mut Generator) -> Self {
        Self::from_seed(Zeroizing::new(rng.bytes()))
    }

    fn from_seed(seed: Zeroizing<[u8; KEY_LEN]>) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice());
        let pair = pair.expect("every 32 bytes are a seed (RFC 8032 §5.1.5)");
        let public = pair.public_key().as_ref().try_into();
        let public = PublicKey(public.expect("an Ed25519 public key has 32 bytes"));
        Self { seed, pair, public }
    }

    /// Reads the text form that [`to_text`](Self::to_text) writes.
    ///
    /// # Errors
    /// [`KeyError`] says which part is wrong, never what it contains.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut words = text.split_ascii_whitespace();
        if words.next() != Some(TEXT_TAG) {
            return Err(KeyError::Tag);
        }
        let digits = words.next().ok_or(KeyError::Digits)?;
        let bytes = HEXLOWER.decode(digits.as_bytes());
        let bytes = Zeroizing::new(bytes.map_err(|_| KeyError::Digits)?);
        match (<[u8; KEY_LEN]>::try_from(bytes.as_slice()), words.next()) {
            (Ok(seed), None) => Ok(Self::from_seed(Zeroizing::new(seed))),
            _ => Err(KeyError::Digits),
        }
    }

    /// The text to keep in a file of mode 0600: one line, wiped when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(HEXLOWER.encode(self.seed.as_slice()));
        Zeroizing::new(format!("{TEXT_TAG} {}\n", *digits))
    }

    /// Its public key.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// The signature over `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}
