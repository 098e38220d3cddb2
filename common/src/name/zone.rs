//! A zone and the names under it.

use std::fmt;
use std::sync::Arc;

use super::host::{Host, HostKind, NameError, check_labels, is_or_under, judge, parse_port};
use super::label::{self, Decoded, Spelt};
use crate::limits::HOST_MAX;

/// The zone a network serves, lower case, without the final dot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Zone(Arc<str>);

/// Which of the two forms a site's name had.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Form {
    /// `www.example.com.<zone>`.
    Dotted,
    /// `www-example-com.<zone>`.
    Label,
}

/// A site named under the zone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Site {
    /// The origin's host.
    pub host: Host,
    /// The origin's port, if the name gives one.
    pub port: Option<u16>,
    /// How it was written.
    pub form: Form,
}

/// What a host name under the zone means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Name {
    /// The zone itself.
    Apex,
    /// Atoll itself: one label without a hyphen, such as `www` or `ns1`.
    Service(String),
    /// Somebody's site.
    Site(Site),
    /// The hashed label of a site whose name does not fit; only the index knows which.
    Hashed(String),
}

/// What a host name under the zone is, in a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameKind {
    /// [`Name::Service`].
    Service,
    /// [`Name::Site`].
    Site,
    /// [`Name::Hashed`].
    Hashed,
}

/// A name below the zone, in parts of its text.
enum Below<'a> {
    Service,
    Hashed,
    Dotted(HostKind, &'a str, Option<u16>),
    Label(Spelt),
}

impl Zone {
    /// Reads a zone such as `nyud.net`: any case, a final dot allowed, one or more labels.
    ///
    /// # Errors
    /// An empty or over-long label, or a byte that host names do not have.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let lower = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        check_labels(&lower)?;
        // Room for a hashed label and a dot, or the zone could not name every site.
        if lower.len() + 64 > HOST_MAX {
            return Err(NameError::TooLong);
        }
        Ok(Self(lower.into()))
    }

    /// The zone's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `host` is the zone or lies under it (any case, a final dot allowed).
    #[must_use]
    pub fn contains(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        is_or_under(&host, &self.0)
    }

    /// What `host` means under this zone: any case, a final dot allowed, no port.
    ///
    /// # Errors
    /// The rule that the name breaks; [`NameError::OutsideZone`] if it is not under the zone.
    pub fn classify(&self, host: &str) -> Result<Name, NameError> {
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.len() > HOST_MAX {
            return Err(NameError::TooLong);
        }
        let lower = host.to_ascii_lowercase();
        let Some(rest) = lower.strip_suffix(&*self.0) else {
            return Err(NameError::OutsideZone);
        };
        if rest.is_empty() {
            return Ok(Name::Apex);
        }
        let below = rest.strip_suffix('.').ok_or(NameError::OutsideZone)?;
        self.classify_below(below)
    }

    /// What the name `below` under this zone means: lower case, without the zone.
    ///
    /// # Errors
    /// The rule that the name breaks.
    pub fn classify_below(&self, below: &str) -> Result<Name, NameError> {
        Ok(match self.read(below)? {
            Below::Service => Name::Service(below.to_owned()),
            Below::Hashed => Name::Hashed(below.to_owned()),
            Below::Dotted(kind, host, port) => Name::Site(Site {
                host: Host::new(kind, host),
                port,
                form: Form::Dotted,
            }),
            Below::Label(site) => Name::Site(Site {
                host: Host::new(HostKind::Domain, site.host()),
                port: site.port,
                form: Form::Label,
            }),
        })
    }

    /// Of which kind the name `below` under this zone is: [`classify_below`](Self::classify_below)
    /// without the parts of the name, and without an allocation.
    ///
    /// # Errors
    /// The rule that the name breaks.
    pub fn kind_below(&self, below: &str) -> Result<NameKind, NameError> {
        Ok(match self.read(below)? {
            Below::Service => NameKind::Service,
            Below::Hashed => NameKind::Hashed,
            Below::Dotted(..) | Below::Label(_) => NameKind::Site,
        })
    }

    fn read<'a>(&self, below: &'a str) -> Result<Below<'a>, NameError> {
        if below.len() + 1 + self.0.len() > HOST_MAX {
            return Err(NameError::TooLong);
        }
        if below.contains('.') {
            return self.dotted_name(below);
        }
        check_labels(below)?;
        match label::decode(below) {
            Ok(Decoded::Hashed) => Ok(Below::Hashed),
            Ok(Decoded::Site(site)) => {
                self.outside(site.host())?;
                Ok(Below::Label(site))
            }
            Err(_) if !below.contains('-') => Ok(Below::Service),
            Err(error) => Err(error),
        }
    }

    fn dotted_name<'a>(&self, below: &'a str) -> Result<Below<'a>, NameError> {
        let (kind, host, port) = match judge(below) {
            Ok(kind) => (kind, below, None),
            // A number at the end is a port if a host remains before it.
            Err(NameError::NumericEnd) => {
                let (before, last) = below.rsplit_once('.').ok_or(NameError::NumericEnd)?;
                let kind = judge(before).map_err(|error| match error {
                    NameError::SingleLabel => NameError::NumericEnd,
                    other => other,
                })?;
                (kind, before, Some(parse_port(last)?))
            }
            Err(error) => return Err(error),
        };
        self.outside(host)?;
        Ok(Below::Dotted(kind, host, port))
    }

    /// A site inside the zone would be fetched from ourselves, for ever.
    fn outside(&self, host: &str) -> Result<(), NameError> {
        if is_or_under(host, &self.0) {
            Err(NameError::InsideZone)
        } else {
            Ok(())
        }
    }

    fn outside_host(&self, host: &Host) -> Result<(), NameError> {
        match host {
            Host::Domain(name) => self.outside(name),
            Host::Ipv4(_) => Ok(()),
        }
    }

    /// The dotted form of `host` and `port` under this zone.
    ///
    /// # Errors
    /// The result would be too long for a host name, or `host` lies inside the zone.
    pub fn dotted(&self, host: &Host, port: Option<u16>) -> Result<String, NameError> {
        self.outside_host(host)?;
        let name = match port {
            Some(port) => format!("{host}.{port}.{self}"),
            None => format!("{host}.{self}"),
        };
        if name.len() > HOST_MAX {
            Err(NameError::TooLong)
        } else {
            Ok(name)
        }
    }

    /// The label form of `host` and `port` under this zone.
    ///
    /// # Errors
    /// An IPv4 address has none; a host inside the zone has none.
    pub fn label(&self, host: &Host, port: Option<u16>) -> Result<String, NameError> {
        self.outside_host(host)?;
        Ok(format!("{}.{self}", label::encode(host, port)?))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
