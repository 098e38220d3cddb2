//! Coralised names: the only parser, shared by the name server and the proxy.
//!
//! Under a zone stand three kinds of name:
//!
//! - *dotted*: `www.example.com.<zone>`, with a port `www.example.com.8080.<zone>`, an IPv4 address
//!   `192.0.2.1.<zone>`. One or more labels below the zone's child; for plain HTTP.
//! - *label*: `www-example-com.<zone>`. One label, so that one wildcard certificate covers it.
//! - *service*: one label without a hyphen directly under the zone (`www`, `ns1`): Atoll itself.
//!
//! This module knows grammar only. Whether a name resolves, or may be fetched, is not its affair.

mod host;
mod label;
mod zone;

pub use host::{Host, NameError};
pub use zone::{Form, Name, NameKind, Site, Zone};

#[cfg(test)]
mod tests;
