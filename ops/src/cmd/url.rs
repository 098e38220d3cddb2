//! `atoll url`: the coralised forms of a URL.
//!
//! The forms themselves are [`common::name`]'s; here is only which of them reach the same origin
//! by the same scheme. A proxy asks the origin by the scheme it was asked by, except that a port 80
//! or 443 in the name forces http or https; so some URLs lack a form, and that is explained.

use std::fmt;

use common::name::{Host, Name, NameError, Zone};
use serde::Serialize;

use super::{LOCAL_ZONE, zone};
use crate::outcome::{Exit, Failure, Outcome};
use crate::render::{Align, Table};
use crate::say;

/// Arguments of `atoll url`.
#[derive(Clone, Debug, clap::Args)]
pub struct UrlArgs {
    /// The URL to coralise, such as <http://www.example.com/a.html>; http:// may be left out
    url: String,
    /// The zone of the network
    #[arg(long, default_value = LOCAL_ZONE, value_parser = zone)]
    zone: Zone,
    /// Port of the proxies for plain HTTP, if it is not 80
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the forms.
///
/// # Errors
/// The URL has none.
pub fn run(args: &UrlArgs) -> Outcome {
    let forms = forms(&args.url, &args.zone, args.port).map_err(|error| {
        Failure::usage(
            format!("{} has no coralised form", args.url),
            error.to_string(),
        )
    })?;
    if args.json {
        say::result(&serde_json::to_string_pretty(&forms).unwrap_or_default());
    } else {
        say::result(&table(&forms));
    }
    Ok(Exit::Ok)
}

/// The forms of one URL. A form that does not exist is `None`, and `notes` says why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Forms {
    /// The URL as it was understood.
    pub url: String,
    /// For HTTP, as readable as the original.
    pub dotted: Option<String>,
    /// One label below the zone, by the URL's own scheme.
    pub label: Option<String>,
    /// For HTTPS between reader and proxy.
    pub https: Option<String>,
    /// What was left out, and why a form is missing.
    pub notes: Vec<String>,
}

/// Why a URL has no coralised form. `Display` says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UrlError {
    /// Neither http nor https.
    #[error("only http:// and https:// sites are served, not {0}://")]
    Scheme(String),
    /// No host.
    #[error("give a host, as in http://www.example.com/")]
    NoHost,
    /// An IPv6 address.
    #[error("an IPv6 address cannot stand in a name: use the site's host name")]
    Ipv6,
    /// The host is written with letters beyond ASCII.
    #[error("write the international name in its ASCII form (xn--...)")]
    NotAscii,
    /// A space or control character in path or query.
    #[error("percent-encode spaces and control characters")]
    Space,
    /// The name rules refuse the host or port.
    #[error("{0}")]
    Name(#[from] NameError),
    /// The port belongs to the other scheme.
    #[error("port {port} in a name means {means}, so this URL cannot be told from that one")]
    CrossedPort {
        /// The port.
        port: u16,
        /// The scheme it stands for.
        means: &'static str,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scheme {
    Http,
    Https,
}

/// A URL taken apart. `rest` is path, query and fragment, with a leading slash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Parts {
    scheme: Scheme,
    host: Host,
    /// `None` for the scheme's own port.
    port: Option<u16>,
    rest: String,
    notes: Vec<String>,
}

/// The URL in full, without a port that is the scheme's own.
impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self.scheme, &self.host, self.port, &self.rest))
    }
}

/// The forms of `url` under `zone`, with the proxies' plain-HTTP port if it is not 80.
///
/// # Errors
/// The rule that the URL breaks.
pub fn forms(url: &str, zone: &Zone, proxy_port: Option<u16>) -> Result<Forms, UrlError> {
    let parts = parse(url)?;
    let Parts {
        scheme,
        host,
        port,
        rest,
        mut notes,
    } = parts;
    let suffix = proxy_port
        .filter(|port| *port != 80)
        .map_or_else(String::new, |p| format!(":{p}"));
    let over_http = |name: String| format!("http://{name}{suffix}{rest}");
    let over_https = |name: String| format!("https://{name}{rest}");
    let mut missing = |form: &str, why: &str| notes.push(format!("no {form} form: {why}"));

    let dotted = match (scheme, port) {
        (Scheme::Http, port) => Some(over_http(zone.dotted(&host, port)?)),
        (Scheme::Https, None) => Some(over_http(zone.dotted(&host, Some(443))?)),
        (Scheme::Https, Some(port)) => {
            zone.dotted(&host, Some(port))?;
            missing(
                "dotted",
                &format!("over plain HTTP a proxy would speak HTTP to port {port}"),
            );
            None
        }
    };
    // An address has no label form, so it has none for HTTPS either.
    if matches!(host, Host::Ipv4(_)) {
        missing(
            "label",
            "an IPv4 address ends in a number, which as a label would read as a port",
        );
        let shown = shown(scheme, &host, port, &rest);
        return Ok(Forms {
            url: shown,
            dotted,
            label: None,
            https: None,
            notes,
        });
    }
    let label = zone.label(&host, port)?;
    let hashed = matches!(zone.classify(&label), Ok(Name::Hashed(_)));
    let (label, https) = match (scheme, port) {
        (Scheme::Https, _) => (Some(over_https(label.clone())), Some(over_https(label))),
        (Scheme::Http, None) => {
            let https = zone.label(&host, Some(80))?;
            (Some(over_http(label)), Some(over_https(https)))
        }
        (Scheme::Http, Some(port)) => {
            missing(
                "https",
                &format!("over HTTPS a proxy would speak HTTPS to port {port}"),
            );
            (Some(over_http(label)), None)
        }
    };
    if hashed {
        notes.push(
            "the name is too long for a label, so its label is a hash: it works only while \
            the index knows the site"
                .to_owned(),
        );
    }
    Ok(Forms {
        url: shown(scheme, &host, port, &rest),
        dotted,
        label,
        https,
        notes,
    })
}

fn shown(scheme: Scheme, host: &Host, port: Option<u16>, rest: &str) -> String {
    let scheme = match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    format!("{scheme}://{host}{port}{rest}")
}

/// Takes `url` apart.
fn parse(url: &str) -> Result<Parts, UrlError> {
    parse_under(url, None)
}

/// Takes `url` apart; a name under `zone` stands for the site it is made of, whatever the port.
pub(super) fn parse_under(url: &str, zone: Option<&Zone>) -> Result<Parts, UrlError> {
    let mut notes = Vec::new();
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(UrlError::Space);
    }
    let (scheme, after) = match url.split_once("://") {
        Some((scheme, after)) => (scheme.to_ascii_lowercase(), after),
        None => ("http".to_owned(), url),
    };
    let scheme = match &*scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err(UrlError::Scheme(scheme)),
    };
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    let (authority, rest) = after.split_at(end);
    let rest = if rest.starts_with('/') {
        rest.to_owned()
    } else {
        format!("/{rest}")
    };
    let host_port = match authority.rsplit_once('@') {
        Some((_, host_port)) => {
            notes.push("user name and password left out: they are not sent through others".into());
            host_port
        }
        None => authority,
    };
    if host_port.starts_with('[') {
        return Err(UrlError::Ipv6);
    }
    if !host_port.is_ascii() {
        return Err(UrlError::NotAscii);
    }
    let (host, port) = match host_port.split_once(':') {
        Some((host, "")) => (host, None),
        Some((host, port)) => {
            let digits = port.bytes().all(|b| b.is_ascii_digit());
            let number = port
                .parse::<u16>()
                .ok()
                .filter(|number| digits && *number > 0);
            (host, Some(number.ok_or(NameError::BadPort)?))
        }
        None => (host_port, None),
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    let (scheme, host, port) = match zone.filter(|zone| zone.contains(host)) {
        Some(zone) => site(zone, host, scheme)?,
        None => (scheme, Host::parse(host)?, own_port(scheme, port)?),
    };
    Ok(Parts {
        scheme,
        host,
        port,
        rest,
        notes,
    })
}

/// The site that a name under `zone` stands for. In a name the two well-known ports say the scheme.
fn site(zone: &Zone, host: &str, scheme: Scheme) -> Result<(Scheme, Host, Option<u16>), UrlError> {
    let Name::Site(site) = zone.classify(host)? else {
        return Err(NameError::InsideZone.into());
    };
    Ok(match site.port {
        Some(80) => (Scheme::Http, site.host, None),
        Some(443) => (Scheme::Https, site.host, None),
        port => (scheme, site.host, port),
    })
}

/// The port if it is not the scheme's own; the other scheme's cannot be expressed.
const fn own_port(scheme: Scheme, port: Option<u16>) -> Result<Option<u16>, UrlError> {
    match (scheme, port) {
        (Scheme::Http, Some(80)) | (Scheme::Https, Some(443)) => Ok(None),
        (Scheme::Http, Some(443)) => Err(UrlError::CrossedPort {
            port: 443,
            means: "https",
        }),
        (Scheme::Https, Some(80)) => Err(UrlError::CrossedPort {
            port: 80,
            means: "http",
        }),
        (_, port) => Ok(port),
    }
}

fn table(forms: &Forms) -> String {
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left)]);
    let rows = [
        ("dotted", &forms.dotted),
        ("label", &forms.label),
        ("https", &forms.https),
    ];
    for (name, form) in rows {
        // For an https URL the label form is the https form already.
        let repeated = name == "https" && forms.https == forms.label;
        if let Some(form) = form.as_ref().filter(|_| !repeated) {
            table.row([name.to_owned(), form.clone()]);
        }
    }
    for note in &forms.notes {
        table.row(["note".to_owned(), note.clone()]);
    }
    table.to_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Result<Forms, UrlError> {
        forms(url, &Zone::parse("nyud.net").unwrap(), None)
    }

    #[test]
    fn forms_keep_path_query_and_fragment_and_the_origins_scheme() {
        // URL, dotted, label, https.
        let cases = [
            (
                "http://www.example.com/a?b#c",
                "http://www.example.com.nyud.net/a?b#c",
                "http://www-example-com.nyud.net/a?b#c",
                "https://www-example-com-80.nyud.net/a?b#c",
            ),
            (
                "WWW.Example.com",
                "http://www.example.com.nyud.net/",
                "http://www-example-com.nyud.net/",
                "https://www-example-com-80.nyud.net/",
            ),
            (
                "https://example.com?q=1",
                "http://example.com.443.nyud.net/?q=1",
                "https://example-com.nyud.net/?q=1",
                "https://example-com.nyud.net/?q=1",
            ),
            (
                "http://example.com:8080/",
                "http://example.com.8080.nyud.net/",
                "http://example-com-8080.nyud.net/",
                "",
            ),
            (
                "https://test-site.org:8443/",
                "",
                "https://test--site-org-8443.nyud.net/",
                "https://test--site-org-8443.nyud.net/",
            ),
            (
                "http://192.0.2.1:8080/x",
                "http://192.0.2.1.8080.nyud.net/x",
                "",
                "",
            ),
            (
                "http://example.com:80/",
                "http://example.com.nyud.net/",
                "http://example-com.nyud.net/",
                "https://example-com-80.nyud.net/",
            ),
        ];
        for (url, dotted, label, https) in cases {
            let forms = of(url).unwrap();
            assert_eq!(forms.dotted.unwrap_or_default(), dotted, "{url}");
            assert_eq!(forms.label.unwrap_or_default(), label, "{url}");
            assert_eq!(forms.https.unwrap_or_default(), https, "{url}");
            let explained = !(dotted.is_empty() || label.is_empty() || https.is_empty());
            assert!(explained || !forms.notes.is_empty(), "{url}");
        }
    }

    #[test]
    fn the_proxies_port_stands_in_plain_http_forms_only() {
        let zone = Zone::parse("nyud.test").unwrap();
        let made = forms("http://www.example.com/", &zone, Some(8080)).unwrap();
        assert_eq!(
            made.dotted.unwrap(),
            "http://www.example.com.nyud.test:8080/"
        );
        assert_eq!(made.https.unwrap(), "https://www-example-com-80.nyud.test/");
    }

    #[test]
    fn passwords_are_left_out_and_said_so() {
        let made = of("http://me:secret@example.com/").unwrap();
        assert_eq!(made.dotted.unwrap(), "http://example.com.nyud.net/");
        assert!(!made.url.contains("secret") && made.notes[0].contains("left out"));
    }

    #[test]
    fn a_name_too_long_for_a_label_says_that_its_label_is_a_hash() {
        let long = format!("http://{}.{}.example.com/", "a".repeat(40), "b".repeat(40));
        let made = of(&long).unwrap();
        assert!(made.label.is_some() && made.notes.iter().any(|note| note.contains("hash")));
    }

    #[test]
    fn every_url_without_a_form_says_why() {
        let cases = [
            ("ftp://example.com/", UrlError::Scheme("ftp".into())),
            ("http:///x", UrlError::NoHost),
            ("http://[::1]/", UrlError::Ipv6),
            ("http://bücher.example.com/", UrlError::NotAscii),
            ("http://example.com/a b", UrlError::Space),
            ("http://example.com:0/", UrlError::Name(NameError::BadPort)),
            (
                "http://example.com:+80/",
                UrlError::Name(NameError::BadPort),
            ),
            ("http://localhost/", UrlError::Name(NameError::SingleLabel)),
            ("http://a.nyud.net/", UrlError::Name(NameError::InsideZone)),
            (
                "http://example.com:443/",
                UrlError::CrossedPort {
                    port: 443,
                    means: "https",
                },
            ),
            (
                "https://example.com:80/",
                UrlError::CrossedPort {
                    port: 80,
                    means: "http",
                },
            ),
        ];
        for (url, error) in cases {
            assert_eq!(of(url), Err(error), "{url}");
        }
    }
}
