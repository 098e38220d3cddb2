//! What signing needs of a private key, wherever it is kept. The engine never sees the key itself.

use std::fmt;

/// Bytes of a public key of ECDSA P-256 in a DNSKEY record (RFC 6605 §4).
pub const PUBLIC_KEY: usize = 64;

/// Bytes of a signature of ECDSA P-256 (RFC 6605 §4).
pub const SIGNATURE: usize = 64;

/// A private key of ECDSA P-256 with SHA-256 (DNSSEC algorithm 13).
pub trait Signer: fmt::Debug + Send + Sync {
    /// The two coordinates of the public key.
    fn public_key(&self) -> [u8; PUBLIC_KEY];

    /// The signature over `message`; `None` if the library fails, which it has no reason to.
    fn sign(&self, message: &[u8]) -> Option<[u8; SIGNATURE]>;
}
