//! How many connections each client has. The table is as large as the connections that are open,
//! which the listener bounds.

use std::collections::HashMap;

use common::netaddr::Prefix;

/// Why a connection is closed as soon as it is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TurnedAway {
    /// As many connections are open as the listener may have.
    Full,
    /// The client has as many open as one may have.
    Client,
}

impl TurnedAway {
    /// The word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Client => "client",
        }
    }
}

/// Connections per client neighbourhood (IPv4 /24, IPv6 /56).
#[derive(Debug, Default)]
pub struct Connections {
    open: HashMap<Prefix, usize>,
}

impl Connections {
    /// Counts one more connection of `client`, unless it has `most` already. Whether it may stay;
    /// one that may is to be told of by [`left`](Self::left).
    pub fn came(&mut self, client: Prefix, most: usize) -> bool {
        let open = self.open.entry(client).or_insert(0);
        let fits = *open < most;
        *open += usize::from(fits);
        if *open == 0 {
            self.open.remove(&client);
        }
        fits
    }

    /// A connection of `client` has ended.
    pub fn left(&mut self, client: Prefix) {
        if let Some(open) = self.open.get_mut(&client) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(&client);
            }
        }
    }

    /// Neighbourhoods that have any.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_cannot_have_them_all_and_leaves_no_trace() {
        let mut connections = Connections::default();
        let client = |text: &str| Prefix::of(text.parse().unwrap());
        let came = |c: &mut Connections, ip: &str| c.came(client(ip), 3);
        let stayed = (0..10).filter(|n| came(&mut connections, &format!("192.0.2.{n}")));
        assert_eq!(stayed.count(), 3);
        assert!(came(&mut connections, "192.0.3.1"));
        connections.left(client("192.0.2.9"));
        assert!(came(&mut connections, "192.0.2.200"));
        for _ in 0..3 {
            connections.left(client("192.0.2.1"));
        }
        connections.left(client("192.0.3.1"));
        assert_eq!(connections.clients(), 0);
        assert!(!connections.came(client("192.0.2.1"), 0));
        assert_eq!(connections.clients(), 0);
    }
}
