//! The primary cache key: which resource a request names (RFC 9111 §2, §4; RFC 9110 §4.2.3).
//!
//! Two requests share a key only if they are the same to any origin: the scheme and host in lower
//! case, the port with the scheme's default filled in, then path and query byte for byte. Percent
//! encodings, empty segments, dot segments and the order of parameters are left alone, because an
//! origin may tell them apart. The secondary key is [`vary`](super::vary)'s business.
//!
//! A slice of a large resource has a key of its own: the resource's, and what could be no part of it
//! after a `#`. It is asked for at the same URL.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use common::ids::Key;

/// Query suffix by which a URL asks not to be served by the CDN, so that an origin that redirects
/// its visitors here can be sent one back without a loop.
const NO_SERVE: &str = "coral-no-serve";

/// The scheme of an origin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scheme {
    /// Plain HTTP, default port 80 (RFC 9110 §4.2.1).
    Http,
    /// HTTP over TLS, default port 443 (RFC 9110 §4.2.2).
    Https,
}

impl Scheme {
    /// Lower-case name as it stands in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port meant when a URL names none.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// The scheme of this name in any case, if it is one of the two.
    #[must_use]
    pub const fn parse(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("http") {
            Some(Self::Http)
        } else if name.eq_ignore_ascii_case("https") {
            Some(Self::Https)
        } else {
            None
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The primary key of a resource: its canonical URL, cheap to clone and to compare.
///
/// Equality, order and hash are those of the canonical text alone.
#[derive(Clone)]
pub struct PrimaryKey {
    text: Arc<str>,
    scheme: Scheme,
    port: u16,
    /// Bytes of the port with its colon, if it is written.
    port_len: u8,
    host_end: u32,
}

/// Which part of a large resource a key is about, beside the version that it is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Portion {
    /// The slice of this number.
    Slice(u64),
    /// Those slices that have one pointer together: the extent of this number.
    Extent(u64),
}

impl PrimaryKey {
    /// The key of the resource at `path_and_query` of an origin.
    ///
    /// `host` is a name or address as it stands in a URL (an IPv6 address in brackets); its case is
    /// normalised here, everything else about it is the caller's check. `port` is the effective
    /// one. A fragment is removed, and a missing leading slash is added (RFC 9110 §4.2.3).
    #[must_use]
    pub fn new(scheme: Scheme, host: &str, port: u16, path_and_query: &str) -> Self {
        let mut text = String::with_capacity(host.len() + path_and_query.len() + 16);
        text.push_str(scheme.as_str());
        text.push_str("://");
        text.push_str(host);
        text.make_ascii_lowercase();
        let host_end = u32::try_from(text.len()).unwrap_or(0);
        let before = text.len();
        if port != scheme.default_port() {
            text.push(':');
            text.push_str(&port.to_string());
        }
        let port_len = u8::try_from(text.len() - before).unwrap_or(0);
        push_target(&mut text, path_and_query);
        Self {
            text: text.into(),
            scheme,
            port,
            port_len,
            host_end,
        }
    }

    /// The key of a portion of the version of this resource that is called `tag`, a word of letters and
    /// digits.
    #[must_use]
    pub fn portion(&self, tag: &str, portion: Portion) -> Self {
        let url = self.url();
        let text = match portion {
            Portion::Slice(n) => format!("{url}#{tag}/{n}"),
            Portion::Extent(n) => format!("{url}#{tag}/e{n}"),
        };
        Self {
            text: text.into(),
            ..*self
        }
    }

    /// The version and the portion that it is about, unless it is the whole resource's.
    #[must_use]
    pub fn as_portion(&self) -> Option<(&str, Portion)> {
        let (tag, portion) = self.text.get(self.url_end() + 1..)?.split_once('/')?;
        let portion = match portion.strip_prefix('e') {
            Some(extent) => Portion::Extent(extent.parse().ok()?),
            None => Portion::Slice(portion.parse().ok()?),
        };
        Some((tag, portion))
    }

    /// Whether it is about a portion of a resource.
    #[must_use]
    pub fn is_portion(&self) -> bool {
        self.url_end() < self.text.len()
    }

    /// The canonical URL of the resource that it is about, or about a portion of.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.text[..self.url_end()]
    }

    /// The key whose canonical text is `url`; `None` if that is none.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        if let Some((url, portion)) = url.split_once('#') {
            let (tag, number) = portion.split_once('/')?;
            let whole = Self::parse(url)?;
            let portion = match number.strip_prefix('e') {
                Some(extent) => Portion::Extent(extent.parse().ok()?),
                None => Portion::Slice(number.parse().ok()?),
            };
            return tag
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric())
                .then(|| whole.portion(tag, portion));
        }
        let (scheme, rest) = url.split_once("://")?;
        let scheme = Scheme::parse(scheme)?;
        let (authority, path) = rest.split_at(rest.find('/')?);
        // The colons of an IPv6 address are within brackets.
        let port = authority
            .rsplit_once(':')
            .filter(|(_, port)| !port.ends_with(']'));
        let (host, port) = match port {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, scheme.default_port()),
        };
        let key = Self::new(scheme, host, port, path);
        (key.as_str() == url).then_some(key)
    }

    /// The key of the resource at `path_and_query` of the same origin.
    #[must_use]
    pub fn sibling(&self, path_and_query: &str) -> Self {
        let mut text = String::with_capacity(self.path_start() + path_and_query.len() + 1);
        text.push_str(self.origin());
        push_target(&mut text, path_and_query);
        Self {
            text: text.into(),
            ..*self
        }
    }

    /// Writes the canonical URL of that resource, in place of what `text` held.
    pub fn write_sibling(&self, path_and_query: &str, text: &mut String) {
        text.clear();
        text.push_str(self.origin());
        push_target(text, path_and_query);
    }

    const fn host_end(&self) -> usize {
        self.host_end as usize
    }

    /// Where the URL ends, and the name of a portion of the resource begins, if it is one.
    fn url_end(&self) -> usize {
        memchr::memchr(b'#', self.text.as_bytes()).unwrap_or(self.text.len())
    }

    const fn path_start(&self) -> usize {
        self.host_end() + self.port_len as usize
    }

    /// The canonical URL: `http://host[:port]/path?query`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme of the origin.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The origin's host in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.text[self.scheme.as_str().len() + 3..self.host_end()]
    }

    /// The origin's port, also when it is the scheme's default.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// `host[:port]` as the Host field of a request to the origin says it (RFC 9110 §7.2).
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.text[self.scheme.as_str().len() + 3..self.path_start()]
    }

    /// Scheme, host and port: `http://host[:port]`, what fails and recovers as one (RFC 6454).
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.text[..self.path_start()]
    }

    /// Path and query, beginning with a slash.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.text[self.path_start()..self.url_end()]
    }

    /// The point of the index where pointers to copies of this resource live.
    #[must_use]
    pub fn index_key(&self) -> Key {
        Key::of(self.text.as_bytes())
    }

    /// The point of the index where those whom `source` fed with this resource agree who goes on
    /// with it once `source` is dead. Nothing else is kept there.
    #[must_use]
    pub fn succession(&self, source: SocketAddr) -> Key {
        // A URL has no spaces.
        Key::of(format!("{} {source}", self.text).as_bytes())
    }

    /// Whether the URL asks not to be served from here: its query ends in `coral-no-serve`.
    #[must_use]
    pub fn is_no_serve(&self) -> bool {
        is_no_serve(self.text.as_bytes())
    }

    /// Whether the mark stands there twice: the visitor was sent home, and back again, and home, and
    /// back once more. A third time would not help.
    #[must_use]
    pub fn came_back(&self) -> bool {
        let once = self.text.as_bytes().strip_suffix(NO_SERVE.as_bytes());
        let once = once.and_then(|before| before.strip_suffix(b"&"));
        once.is_some_and(is_no_serve)
    }

    /// The origin's own URL of the resource, marked so that the origin does not send the visitor
    /// back here.
    #[must_use]
    pub fn home(&self) -> String {
        let joint = if self.text.contains('?') { '&' } else { '?' };
        format!("{}{joint}{NO_SERVE}", self.text)
    }
}

/// Adds a target without its fragment, and with its slash.
fn push_target(text: &mut String, path_and_query: &str) {
    let target = path_and_query
        .split_once('#')
        .map_or(path_and_query, |(target, _)| target);
    if !target.starts_with('/') {
        text.push('/');
    }
    text.push_str(target);
}

/// Whether a URL without fragment ends in the `coral-no-serve` parameter.
pub(in crate::engine) fn is_no_serve(url: &[u8]) -> bool {
    url.strip_suffix(NO_SERVE.as_bytes())
        .is_some_and(|before| before.ends_with(b"?") || before.ends_with(b"&"))
}

impl PartialEq for PrimaryKey {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PrimaryKey {}

impl PartialOrd for PrimaryKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PrimaryKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for PrimaryKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Borrow<str> for PrimaryKey {
    /// A key is found by its canonical URL.
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for PrimaryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PrimaryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Scheme::{Http, Https};
    use super::*;

    #[rustfmt::skip]
    const NORMALISED: &[(&str, Scheme, &str, u16, &str, &str)] = &[
        ("9110 4.2.3 case", Http, "WWW.Example.COM", 80, "/A", "http://www.example.com/A"),
        ("9110 4.2.3 port", Http, "a.example", 80, "/", "http://a.example/"),
        ("9110 4.2.3 port", Https, "a.example", 443, "/", "https://a.example/"),
        ("other port", Http, "a.example", 443, "/", "http://a.example:443/"),
        ("9110 4.2.3 empty path", Http, "a.example", 80, "", "http://a.example/"),
        ("9110 4.2.3 query alone", Http, "a.example", 80, "?q", "http://a.example/?q"),
        ("9110 4.2.5 fragment", Http, "a.example", 80, "/p?q#f?x", "http://a.example/p?q"),
        ("bytes kept", Http, "a.example", 80, "/%41/../b//c?B&a",
         "http://a.example/%41/../b//c?B&a"),
        ("IPv6", Http, "[2001:DB8::1]", 8080, "/", "http://[2001:db8::1]:8080/"),
    ];

    #[test]
    fn only_what_every_origin_ignores_is_normalised() {
        for (why, scheme, host, port, target, expected) in NORMALISED {
            let key = PrimaryKey::new(*scheme, host, *port, target);
            assert_eq!(key.as_str(), *expected, "{why}");
            let sibling = PrimaryKey::new(*scheme, host, *port, "/other?x").sibling(target);
            assert_eq!(sibling.as_str(), *expected, "{why}, beside another");
            assert_eq!(sibling.path_and_query(), key.path_and_query(), "{why}");
        }
    }

    #[test]
    fn parts_are_slices_of_the_text() {
        let key = PrimaryKey::new(Https, "A.example", 8443, "/p?q");
        assert_eq!(key.scheme(), Https);
        assert_eq!(key.host(), "a.example");
        assert_eq!(key.port(), 8443);
        assert_eq!(key.authority(), "a.example:8443");
        assert_eq!(key.path_and_query(), "/p?q");
        assert_eq!(key.index_key(), Key::of(b"https://a.example:8443/p?q"));
    }

    #[test]
    fn a_portion_has_a_key_of_its_own_at_the_same_url() {
        let whole = PrimaryKey::new(Https, "A.example", 8443, "/p?q");
        for portion in [Portion::Slice(7), Portion::Extent(7)] {
            let key = whole.portion("0a1b", portion);
            assert_eq!(key.as_portion(), Some(("0a1b", portion)));
            assert_eq!((key.url(), key.path_and_query()), (whole.as_str(), "/p?q"));
            assert!(key != whole && key.is_portion() && !whole.is_portion());
            assert_eq!(PrimaryKey::parse(key.as_str()), Some(key));
        }
        assert_eq!(whole.as_portion(), None);
        for text in ["/p#", "/p#a", "/p#a/", "/p#a/x", "/p#a b/1", "/p#a/1#b/2"] {
            let text = format!("http://a.example{text}");
            assert_eq!(PrimaryKey::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn no_serve_is_seen_only_as_the_last_parameter() {
        let no_serve = |target| PrimaryKey::new(Http, "a.example", 80, target).is_no_serve();
        assert!(no_serve("/p?coral-no-serve"));
        assert!(no_serve("/p?a=b&coral-no-serve"));
        assert!(!no_serve("/p/coral-no-serve"));
        assert!(!no_serve("/p?xcoral-no-serve"));
        assert!(!no_serve("/p?coral-no-serve&a"));
    }

    #[test]
    fn the_way_home_is_marked_once() {
        let home = |target| PrimaryKey::new(Http, "a.example", 80, target).home();
        assert_eq!(home("/p"), "http://a.example/p?coral-no-serve");
        assert_eq!(home("/p?q"), "http://a.example/p?q&coral-no-serve");
        assert_eq!(
            home("/p?coral-no-serve"),
            "http://a.example/p?coral-no-serve&coral-no-serve"
        );
    }

    proptest! {
        #[test]
        fn any_target_makes_a_key_that_keys_itself(target in ".{0,60}", port in any::<u16>()) {
            let key = PrimaryKey::new(Http, "a.example", port, &target);
            let again = PrimaryKey::new(key.scheme(), key.host(), key.port(), key.path_and_query());
            prop_assert_eq!(&key, &again);
            prop_assert!(!key.as_str().contains('#'));
        }
    }
}
