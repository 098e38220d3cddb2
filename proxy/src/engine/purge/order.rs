//! An order to purge, as data and as the text in which it travels: `soft|hard` and one of `url URL`,
//! `prefix URL`, `site HOST`, `tag HOST|* TAG`.

use std::fmt;

use data_encoding::HEXLOWER;
use http::Uri;

use super::tags;
use crate::engine::http::field::Named;
use crate::engine::http::key::{PrimaryKey, Scheme};

/// Longest text of an order, in bytes: a URL of 8 KiB and the words before it.
pub const TEXT_MAX: usize = 8 * 1_024 + 64;

/// Longest name of a host, in bytes (RFC 1035 §2.3.4).
const HOST_MAX: usize = 253;

/// Names an order, so that it is carried out once wherever it arrives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct OrderId(pub [u8; 16]);

impl OrderId {
    /// The id of these 32 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        HEXLOWER
            .decode(text.as_bytes())
            .ok()?
            .try_into()
            .ok()
            .map(Self)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// What is to be purged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selector {
    /// All variants of a URL.
    Url(PrimaryKey),
    /// All URLs that begin with this one.
    Prefix(PrimaryKey),
    /// All pages of a host and of all hosts below its name, whatever scheme and port.
    Site(Box<str>),
    /// All pages that bear a tag: of such a site, or of all.
    Tag(Option<Box<str>>, Box<str>),
}

/// An order to purge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Its name.
    pub id: OrderId,
    /// What.
    pub selector: Selector,
    /// Whether it goes for good, or becomes stale.
    pub hard: bool,
}

/// Why a text is no order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OrderFault {
    /// It is longer than 8 KiB.
    TooLong,
    /// It names no kind of purge, or more than one, or says more than it should.
    Kind,
    /// Its URL is not one of a web page.
    Url,
    /// Its site is no name of a host.
    Site,
    /// Its tag is empty, too long, or has a comma or a space in it.
    Tag,
}

impl OrderFault {
    /// The word for logs, metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "order_too_long",
            Self::Kind => "order_kind",
            Self::Url => "order_url",
            Self::Site => "order_site",
            Self::Tag => "order_tag",
        }
    }
}

impl Selector {
    /// The site whose pages it is about; `None` if it is about those of all.
    #[must_use]
    pub fn site(&self) -> Option<&str> {
        match self {
            Self::Url(key) | Self::Prefix(key) => Some(key.host()),
            Self::Site(site) => Some(site),
            Self::Tag(site, _) => site.as_deref(),
        }
    }

    /// Whether a URL may be meant, as far as that can be told without what was answered.
    #[must_use]
    pub fn may_meet(&self, key: &PrimaryKey) -> bool {
        match self {
            // Its slices with it, and no resource whose name goes on.
            Self::Url(url) => key.url() == url.as_str(),
            Self::Prefix(url) => key.as_str().starts_with(url.as_str()),
            Self::Site(site) => lies_in(key.host(), site),
            Self::Tag(site, _) => site.as_ref().is_none_or(|site| lies_in(key.host(), site)),
        }
    }
}

impl Order {
    /// The order of this text.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(id: OrderId, text: &str) -> Result<Self, OrderFault> {
        if text.len() > TEXT_MAX {
            return Err(OrderFault::TooLong);
        }
        let mut words = text.split_ascii_whitespace().peekable();
        let hard = words.peek() == Some(&"hard");
        if matches!(words.peek(), Some(&("hard" | "soft"))) {
            words.next();
        }
        let words: Vec<_> = words.take(4).collect();
        let selector = match *words.as_slice() {
            ["url", url] => Selector::Url(page(url)?),
            ["prefix", url] => Selector::Prefix(page(url)?),
            ["site", host] => Selector::Site(site(host)?),
            ["tag", "*", name] => Selector::Tag(None, tag(name)?),
            ["tag", host, name] => Selector::Tag(Some(site(host)?), tag(name)?),
            _ => return Err(OrderFault::Kind),
        };
        Ok(Self { id, selector, hard })
    }

    /// The order that a client gives with a request for the page `key`: `words` are `soft` or `hard`,
    /// and nothing, `url`, `prefix`, `site`, or `tag` and its name, all of that page.
    ///
    /// # Errors
    /// It is none.
    pub fn of_page(id: OrderId, key: &PrimaryKey, words: &str) -> Result<Self, OrderFault> {
        let mut words = words.split_ascii_whitespace().peekable();
        let hard = words.peek() == Some(&"hard");
        if matches!(words.peek(), Some(&("hard" | "soft"))) {
            words.next();
        }
        let words: Vec<_> = words.take(3).collect();
        let selector = match *words.as_slice() {
            [] | ["url"] => Selector::Url(key.clone()),
            ["prefix"] => Selector::Prefix(key.clone()),
            ["site"] => Selector::Site(key.host().into()),
            ["tag", name] => Selector::Tag(Some(key.host().into()), tag(name)?),
            _ => return Err(OrderFault::Kind),
        };
        Ok(Self { id, selector, hard })
    }

    /// Whether a response to a request for `key` with these fields is meant.
    #[must_use]
    pub fn meets(&self, key: &PrimaryKey, fields: &impl Named) -> bool {
        self.selector.may_meet(key)
            && match &self.selector {
                Selector::Url(_) | Selector::Prefix(_) | Selector::Site(_) => true,
                Selector::Tag(_, tag) => tags::bears(fields, tag),
            }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.hard { "hard " } else { "soft " })?;
        match &self.selector {
            Selector::Url(url) => write!(f, "url {}", url.as_str()),
            Selector::Prefix(url) => write!(f, "prefix {}", url.as_str()),
            Selector::Site(site) => write!(f, "site {site}"),
            Selector::Tag(site, tag) => write!(f, "tag {} {tag}", site.as_deref().unwrap_or("*")),
        }
    }
}

/// Whether a host is a site's or lies below its name.
#[must_use]
pub fn lies_in(host: &str, site: &str) -> bool {
    let before = host.strip_suffix(site);
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn page(url: &str) -> Result<PrimaryKey, OrderFault> {
    let uri: Uri = url.parse().map_err(|_| OrderFault::Url)?;
    let scheme = uri.scheme_str().and_then(Scheme::parse);
    let (scheme, authority) = scheme.zip(uri.authority()).ok_or(OrderFault::Url)?;
    if authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(OrderFault::Url);
    }
    let port = authority.port_u16().unwrap_or(scheme.default_port());
    let path = uri.path_and_query().map_or("/", |target| target.as_str());
    Ok(PrimaryKey::new(scheme, authority.host(), port, path))
}

/// A host as it stands in a URL, in lower case.
///
/// # Errors
/// It is none.
pub fn site(host: &str) -> Result<Box<str>, OrderFault> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    let edge = |dot: Option<u8>| dot.is_none() || dot == Some(b'.');
    let bytes = host.as_bytes();
    if bytes.len() > HOST_MAX || edge(bytes.first().copied()) || edge(bytes.last().copied()) {
        return Err(OrderFault::Site);
    }
    if !bytes.iter().all(|byte| allowed(*byte)) {
        return Err(OrderFault::Site);
    }
    Ok(host.to_ascii_lowercase().into())
}

fn tag(name: &str) -> Result<Box<str>, OrderFault> {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b',');
    if plain && !name.is_empty() && name.len() <= tags::TAG_BYTES_MAX {
        Ok(name.into())
    } else {
        Err(OrderFault::Tag)
    }
}
