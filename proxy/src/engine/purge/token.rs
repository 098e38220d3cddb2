//! Who may order what: tokens, of which only hashes are held.
//!
//! One token a line: a name for the log, the site whose pages it may purge or `*` for all, and the
//! BLAKE3 hash of the token in hexadecimal digits. `#` begins a comment.

use blake3::Hash;

use super::order::{self, Order, OrderFault, lies_in};

/// Tokens of a file.
pub const TOKENS_MAX: usize = 1_024;

/// Bytes of such a file that are read.
pub const FILE_BYTES_MAX: u64 = 512 * 1_024;

/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 512;

/// Why somebody may not purge.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PurgeRefusal {
    /// There is no token in `Authorization: Bearer`.
    NoToken,
    /// The token is not one of those known.
    UnknownToken,
    /// The token is for another site.
    OtherSite,
    /// Orders, or wrong tokens, come too often.
    TooOften,
    /// What is ordered is not understood.
    Order(OrderFault),
}

impl PurgeRefusal {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> http::StatusCode {
        match self {
            Self::NoToken | Self::UnknownToken => http::StatusCode::UNAUTHORIZED,
            Self::OtherSite => http::StatusCode::FORBIDDEN,
            Self::TooOften => http::StatusCode::TOO_MANY_REQUESTS,
            Self::Order(_) => http::StatusCode::BAD_REQUEST,
        }
    }

    /// The word for logs, metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::UnknownToken => "unknown_token",
            Self::OtherSite => "other_site",
            Self::TooOften => "too_often",
            Self::Order(fault) => fault.as_str(),
        }
    }
}

#[derive(Clone, Debug)]
struct Token {
    name: Box<str>,
    /// `None` for all sites.
    site: Option<Box<str>>,
    hash: Hash,
}

/// The tokens known.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<Token>);

/// What is wrong with a file of tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TokensFault {
    /// A line is not `NAME SITE HASH`.
    #[error("line {0}: not NAME, SITE or *, and the 64 digits of a BLAKE3 hash")]
    Line(usize),
    /// There are too many.
    #[error("more than {TOKENS_MAX} tokens")]
    TooMany,
}

impl Tokens {
    /// Those of a file with this text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, TokensFault> {
        let mut tokens = Vec::new();
        for (at, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            let (name, site, hash) = match *words.as_slice() {
                [] => continue,
                [name, site, hash] => (name, site, hash),
                _ => return Err(TokensFault::Line(at)),
            };
            if tokens.len() == TOKENS_MAX {
                return Err(TokensFault::TooMany);
            }
            let site = match site {
                "*" => None,
                host => Some(order::site(host).map_err(|_| TokensFault::Line(at))?),
            };
            let hash = Hash::from_hex(hash).map_err(|_| TokensFault::Line(at))?;
            let name = name.into();
            tokens.push(Token { name, site, hash });
        }
        Ok(Self(tokens))
    }

    /// Whether there are none: then nobody may purge.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// The name of the token that `authorization` bears, if it allows `order`. How long it takes does
    /// not depend on the token: what is compared are hashes, in constant time, and always all.
    ///
    /// # Errors
    /// Why it does not.
    pub fn judge(&self, authorization: Option<&[u8]>, order: &Order) -> Result<&str, PurgeRefusal> {
        let bearer = authorization.and_then(|field| field.split_at_checked(7));
        let token = bearer
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
            .map(|(_, token)| token.trim_ascii())
            .filter(|token| !token.is_empty())
            .ok_or(PurgeRefusal::NoToken)?;
        if token.len() > TOKEN_BYTES_MAX {
            return Err(PurgeRefusal::UnknownToken);
        }
        let hash = blake3::hash(token);
        let (mut known, mut allowed) = (false, None);
        for token in &self.0 {
            let same = token.hash == hash;
            known |= same;
            if same && allowed.is_none() && token.allows(order) {
                allowed = Some(&*token.name);
            }
        }
        match allowed {
            Some(name) => Ok(name),
            None if known => Err(PurgeRefusal::OtherSite),
            None => Err(PurgeRefusal::UnknownToken),
        }
    }
}

impl Token {
    fn allows(&self, order: &Order) -> bool {
        let Some(own) = &self.site else { return true };
        order.selector.site().is_some_and(|site| lies_in(site, own))
    }
}
