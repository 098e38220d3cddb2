//! Which certificate a client is shown, and for which names a connection then speaks.
//!
//! Names only: keys and chains are the shell's affair. A name of a certificate is exact, or `*.` and
//! a domain, which stands for one more label and no more (RFC 9525 §6.3).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use common::config::FromSetting;

/// Certificates that are held at once at most: an operator has a wildcard and a few of his own.
pub const CERTIFICATES_MAX: usize = 1_000;

/// Where certificates come from: an item of `https.certificates`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A file with a chain and a file with its key.
    Pair(Pair),
    /// A directory, or a file that holds both.
    Path(PathBuf),
}

/// The files of a certificate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Pair {
    /// The chain, the certificate itself first.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl FromSetting for Source {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text.is_empty() => Err("an empty path".to_owned()),
            None => Ok(Self::Path(text.into())),
            Some(("", _) | (_, "")) => Err(format!("\"{text}\" is not CHAIN:KEY")),
            Some((chain, key)) => Ok(Self::Pair(Pair {
                chain: chain.into(),
                key: key.into(),
            })),
        }
    }
}

/// The names of one certificate, in lower case.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Names(Vec<Box<str>>);

impl Names {
    /// Those of a certificate that says it is for `names`.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter();
        Self(names.map(|name| name.to_ascii_lowercase().into()).collect())
    }

    /// Whether it says nothing that a client could look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `host` is among them. A dot at its end and its case say nothing.
    #[must_use]
    pub fn cover(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let parent = parent(host);
        self.0.iter().any(|name| match name.strip_prefix("*.") {
            Some(domain) => parent.is_some_and(|parent| parent.eq_ignore_ascii_case(domain)),
            None => name.eq_ignore_ascii_case(host),
        })
    }
}

/// What a client was shown when it connected.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The name it asked for, in lower case; `None` if it asked for none.
    pub asked: Option<Box<str>>,
    /// The names of the certificate it got.
    pub names: Arc<Names>,
}

impl Shown {
    /// Whether a request for `host` may come over this connection (RFC 9110 §7.4): it is the name
    /// that was asked for, whatever was shown then, or one that the certificate is for. So a browser
    /// may use one connection for all sites under the wildcard, and nobody gets a page under a name
    /// that hides another.
    #[must_use]
    pub fn admits(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let asked = self.asked.as_deref();
        asked.is_some_and(|asked| asked.eq_ignore_ascii_case(host)) || self.names.cover(host)
    }
}

/// Finds certificates by name.
#[derive(Clone, Default, Debug)]
pub struct Shelf {
    exact: HashMap<Box<str>, Vec<usize>>,
    wild: HashMap<Box<str>, Vec<usize>>,
}

impl Shelf {
    /// A shelf of certificates with these names, in order.
    pub fn new<'a>(certificates: impl IntoIterator<Item = &'a Names>) -> Self {
        let mut shelf = Self::default();
        for (at, names) in certificates.into_iter().enumerate() {
            for name in &names.0 {
                let places = match name.strip_prefix("*.") {
                    Some(domain) => shelf.wild.entry(domain.into()),
                    None => shelf.exact.entry(name.clone()),
                };
                places.or_default().push(at);
            }
        }
        shelf
    }

    /// The certificates for `name`, in order: those with the very name, else those with a wildcard,
    /// else the first of all. `None` is a client that names nobody.
    #[must_use]
    pub fn find(&self, name: Option<&str>) -> &[usize] {
        const FIRST: &[usize] = &[0];
        let Some(name) = name.map(str::to_ascii_lowercase) else {
            return FIRST;
        };
        let exact = self.exact.get(name.as_str());
        let found = exact.or_else(|| self.wild.get(parent(&name)?));
        found.map_or(FIRST, Vec::as_slice)
    }
}

/// A name without its first label.
fn parent(name: &str) -> Option<&str> {
    let (label, parent) = name.split_once('.')?;
    (!label.is_empty()).then_some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let names = Names::new(["*.Nyud.net", "nyud.net"]);
        for (host, covered) in [
            ("www-example-com.nyud.net", true),
            ("WWW-example-com.NYUD.net.", true),
            ("nyud.net", true),
            ("www.example.com.nyud.net", false),
            ("nyud.net.example", false),
            (".nyud.net", false),
            ("net", false),
            ("", false),
        ] {
            assert_eq!(names.cover(host), covered, "{host}");
        }
        assert!(!Names::default().cover(""));
    }

    #[test]
    fn the_very_name_goes_before_a_wildcard_and_the_first_stands_in() {
        let all = [
            Names::new(["status.nyud.net"]),
            Names::new(["*.nyud.net"]),
            Names::new(["www.nyud.net", "status.nyud.net"]),
        ];
        let shelf = Shelf::new(&all);
        for (name, want) in [
            (None, &[0][..]),
            (Some("status.nyud.net"), &[0, 2]),
            (Some("WWW.nyud.net"), &[2]),
            (Some("example-com.nyud.net"), &[1]),
            (Some("a.b.nyud.net"), &[0]),
            (Some("elsewhere"), &[0]),
        ] {
            assert_eq!(shelf.find(name), want, "{name:?}");
        }
    }

    #[test]
    fn a_connection_speaks_for_what_was_asked_and_what_was_shown() {
        let shown = |asked: Option<&str>| Shown {
            asked: asked.map(Into::into),
            names: Arc::new(Names::new(["*.nyud.net"])),
        };
        let named = shown(Some("example-com.nyud.net"));
        assert!(named.admits("example-com.nyud.net"));
        assert!(named.admits("other-org.nyud.net"), "one for all sites");
        assert!(!named.admits("www.example.com.nyud.net"));
        let dotted = shown(Some("www.example.com.nyud.net"));
        assert!(
            dotted.admits("WWW.example.com.nyud.net."),
            "it asked for it"
        );
        assert!(!dotted.admits("www.example.org.nyud.net"));
        assert!(shown(None).admits("example-com.nyud.net"));
        assert!(!shown(None).admits("www.example.com.nyud.net"));
    }

    #[test]
    fn a_source_is_a_path_or_two() {
        let pair = |chain: &str, key: &str| {
            Ok(Source::Pair(Pair {
                chain: chain.into(),
                key: key.into(),
            }))
        };
        let read = Source::from_text;
        assert_eq!(read("/etc/tls"), Ok(Source::Path("/etc/tls".into())));
        assert_eq!(read("/a/c.pem:/a/k.pem"), pair("/a/c.pem", "/a/k.pem"));
        for wrong in ["", ":", "a:", ":b"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
