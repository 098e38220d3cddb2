//! A zone and the names under it.

use std::fmt;
use std::sync::Arc;

use super::host::{Host, NameError, check_labels, is_or_under, parse_port};
use super::label::{self, Decoded};
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
        if below.len() + 1 + self.0.len() > HOST_MAX {
            return Err(NameError::TooLong);
        }
        check_labels(below)?;
        if below.contains('.') {
            self.dotted_name(below)
        } else {
            self.single_label(below)
        }
    }

    fn single_label(&self, label: &str) -> Result<Name, NameError> {
        match label::decode(label) {
            Ok(Decoded::Hashed) => Ok(Name::Hashed(label.to_owned())),
            Ok(Decoded::Site(host, port)) => {
                self.outside(&host)?;
                Ok(Name::Site(Site {
                    host,
                    port,
                    form: Form::Label,
                }))
            }
            Err(_) if !label.contains('-') => Ok(Name::Service(label.to_owned())),
            Err(error) => Err(error),
        }
    }

    fn dotted_name(&self, below: &str) -> Result<Name, NameError> {
        let (host, port) = match Host::parse(below) {
            Ok(host) => (host, None),
            // A number at the end is a port if a host remains before it.
            Err(NameError::NumericEnd) => {
                let (before, last) = below.rsplit_once('.').ok_or(NameError::NumericEnd)?;
                let host = Host::parse(before).map_err(|error| match error {
                    NameError::SingleLabel => NameError::NumericEnd,
                    other => other,
                })?;
                (host, Some(parse_port(last)?))
            }
            Err(error) => return Err(error),
        };
        self.outside(&host)?;
        Ok(Name::Site(Site {
            host,
            port,
            form: Form::Dotted,
        }))
    }

    /// A site inside the zone would be fetched from ourselves, for ever.
    fn outside(&self, host: &Host) -> Result<(), NameError> {
        match host {
            Host::Domain(name) if is_or_under(name, &self.0) => Err(NameError::InsideZone),
            Host::Domain(_) | Host::Ipv4(_) => Ok(()),
        }
    }

    /// The dotted form of `host` and `port` under this zone.
    ///
    /// # Errors
    /// The result would be too long for a host name, or `host` lies inside the zone.
    pub fn dotted(&self, host: &Host, port: Option<u16>) -> Result<String, NameError> {
        self.outside(host)?;
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
        self.outside(host)?;
        Ok(format!("{}.{self}", label::encode(host, port)?))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
