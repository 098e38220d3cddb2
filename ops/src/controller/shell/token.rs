//! Tokens: who may do what. The database holds their hashes, never themselves.

use common::rng::Generator;
use data_encoding::HEXLOWER;

/// What a token is good for. Each includes those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scope {
    /// See nodes, releases and events.
    Read,
    /// Give orders to nodes.
    Operate,
    /// Publish releases.
    Release,
}

impl Scope {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Release => "release",
        }
    }

    /// Reads the word.
    ///
    /// # Errors
    /// It is none; the text says which there are.
    pub fn parse(word: &str) -> Result<Self, String> {
        let all = [Self::Read, Self::Operate, Self::Release];
        let found = all.into_iter().find(|scope| scope.as_str() == word);
        found.ok_or_else(|| "choose read, operate or release".to_owned())
    }
}

/// A new token.
#[must_use]
pub fn generate(rng: &mut Generator) -> String {
    HEXLOWER.encode(&rng.bytes::<32>())
}

/// What of a token is written down.
#[must_use]
pub fn hash(token: &str) -> String {
    blake3::hash(token.as_bytes()).to_hex().to_string()
}
