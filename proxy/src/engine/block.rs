//! The block list: sites, pages, addresses and clients that are not served.
//!
//! A text file, one rule a line, `#` begins a comment:
//!
//! ```text
//! host example.com            # this host name and no other
//! domain example.com          # it and everything under it
//! url example.com/private/    # pages of a host whose path begins so
//! address 192.0.2.0/24        # origins at these addresses
//! client 198.51.100.0/24      # requests from these
//! ```
//!
//! A line that is not understood makes the whole list bad: half a list would serve what somebody
//! meant to block.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::http::key::PrimaryKey;
use super::net::Net;

/// Most rules.
pub const RULES_MAX: usize = 100_000;

/// Largest file, in bytes.
pub const FILE_MAX: usize = 16 << 20;

/// Networks are looked through one by one, for every request: so many of them.
pub const NETS_MAX: usize = 1_000;

/// Why a list is bad: the line, and what is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct BlockError {
    /// From 1.
    pub line: usize,
    /// In words.
    pub what: String,
}

/// See the module.
#[derive(Clone, Default, Debug)]
pub struct BlockList {
    hosts: BTreeSet<Box<str>>,
    domains: BTreeSet<Box<str>>,
    /// Beginnings of paths, by host.
    urls: BTreeMap<Box<str>, Vec<Box<str>>>,
    addresses: Vec<Net>,
    clients: Vec<Net>,
    rules: usize,
}

impl BlockList {
    /// Reads a list.
    ///
    /// # Errors
    /// The first line that is no rule, or one rule too many.
    pub fn parse(text: &str) -> Result<Self, BlockError> {
        let mut list = Self::default();
        for (n, line) in text.lines().enumerate() {
            let rule = line.split('#').next().unwrap_or_default().trim();
            if !rule.is_empty() {
                let added = list.add(rule);
                added.map_err(|what| BlockError { line: n + 1, what })?;
            }
        }
        Ok(list)
    }

    fn add(&mut self, rule: &str) -> Result<(), String> {
        let mut words = rule.split_ascii_whitespace();
        let (Some(kind), Some(what), None) = (words.next(), words.next(), words.next()) else {
            return Err("a rule is two words".to_owned());
        };
        match kind {
            "host" => {
                self.hosts.insert(host(what)?);
            }
            "domain" => {
                self.domains.insert(host(what)?);
            }
            "url" => {
                let (name, path) = what.split_once('/').ok_or("a url is host/path")?;
                let paths = self.urls.entry(host(name)?).or_default();
                paths.push(format!("/{path}").into());
            }
            "address" => self.addresses.push(Net::parse(what)?),
            "client" => self.clients.push(Net::parse(what)?),
            other => return Err(format!("\"{other}\" is no kind of rule")),
        }
        self.rules += 1;
        if self.rules > RULES_MAX || self.addresses.len().max(self.clients.len()) > NETS_MAX {
            return Err(format!(
                "more than {RULES_MAX} rules or {NETS_MAX} networks"
            ));
        }
        Ok(())
    }

    /// Whether the page of `key` is blocked. Percent signs and dot segments of the path are left
    /// alone, as everywhere.
    #[must_use]
    pub fn has_page(&self, key: &PrimaryKey) -> bool {
        if self.rules == 0 {
            return false;
        }
        let host = key.host();
        let under = |host: &str| self.domains.contains(host);
        let parents = host.match_indices('.').map(|(at, _)| &host[at + 1..]);
        self.hosts.contains(host)
            || under(host)
            || parents.into_iter().any(under)
            || self.urls.get(host).is_some_and(|paths| {
                let path = key.path_and_query();
                paths.iter().any(|blocked| path.starts_with(&**blocked))
            })
    }

    /// Whether an origin at `ip` is blocked.
    #[must_use]
    pub fn has_address(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|net| net.contains(ip))
    }

    /// Whether a client at `ip` is.
    #[must_use]
    pub fn has_client(&self, ip: IpAddr) -> bool {
        self.clients.iter().any(|net| net.contains(ip))
    }

    /// How many rules there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rules
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules == 0
    }
}

fn host(text: &str) -> Result<Box<str>, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let name = text.trim_end_matches('.');
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(fits) {
        return Err(format!("\"{text}\" is no host name"));
    }
    Ok(name.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::http::key::Scheme;

    const LIST: &str = "# of this node\nhost Bad.example.com.\ndomain evil.org # all of it\n\n\
        url good.com/private/\naddress 192.0.2.0/24\nclient 2001:db8::/32\n";

    #[test]
    fn blocks_what_it_names_and_nothing_beside() {
        let list = BlockList::parse(LIST).unwrap();
        let page =
            |host: &str, path: &str| list.has_page(&PrimaryKey::new(Scheme::Http, host, 80, path));
        for (host, path, blocked) in [
            ("bad.example.com", "/", true),
            ("BAD.example.com", "/x", true),
            ("x.bad.example.com", "/", false),
            ("example.com", "/", false),
            ("evil.org", "/", true),
            ("a.b.evil.org", "/", true),
            ("notevil.org", "/", false),
            ("good.com", "/", false),
            ("good.com", "/private/x?y", true),
            ("good.com", "/privateer", false),
        ] {
            assert_eq!(page(host, path), blocked, "{host}{path}");
        }
        assert!(list.has_address("::ffff:192.0.2.9".parse().unwrap()));
        assert!(!list.has_address("192.0.3.9".parse().unwrap()));
        assert!(list.has_client("2001:db8::1".parse().unwrap()));
        assert_eq!(list.len(), 5);
    }

    #[test]
    fn one_bad_line_makes_a_bad_list() {
        for (text, line) in [
            ("host", 1),
            ("host a b", 1),
            ("\nhosts a.com", 2),
            ("host a.com\nurl a.com", 2),
            ("address 192.0.2.1/24", 1),
            ("domain .com", 1),
            ("host \u{e4}.com", 1),
        ] {
            assert_eq!(BlockList::parse(text).unwrap_err().line, line, "{text}");
        }
        let many = "host a.com\n".repeat(RULES_MAX + 1);
        assert_eq!(BlockList::parse(&many).unwrap_err().line, RULES_MAX + 1);
        let nets = "client 192.0.2.1\n".repeat(NETS_MAX + 1);
        assert!(BlockList::parse(&nets).is_err());
    }
}
