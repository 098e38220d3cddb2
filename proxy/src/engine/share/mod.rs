//! Who gets how much of this node.
//!
//! [`lobby`] lets visitors in when more come than can be served, [`connections`] bounds what one
//! client holds open, [`clients`] how often it asks, [`bytes`] what of the node's traffic one site
//! may be, [`slots`] how many fetches from one site run at once. Nothing here waits, sends or knows of
//! sockets: the shell asks, and says what became of it.

pub mod bytes;
pub mod clients;
pub mod connections;
pub mod courtesy;
pub mod lobby;
pub mod site;
pub mod slots;

use std::net::IpAddr;
use std::time::Duration;

use common::clock::Moment;
use common::netaddr::Prefix;

use self::bytes::{Bytes, Over};
use self::clients::Clients;
use self::slots::{SlotConfig, Slots};
use super::net::Net;

/// The operator's bounds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShareConfig {
    /// Requests per second and client neighbourhood; zero for no bound.
    pub client_per_second: u32,
    /// Requests that one may make at once.
    pub client_burst: u32,
    /// Clients without bounds of their own.
    pub exempt: Vec<Net>,
    /// Bytes per second that are divided among sites.
    pub bytes_per_second: Option<u64>,
    /// Bytes per 24 hours.
    pub bytes_per_day: Option<u64>,
    /// Fetches from origins.
    pub slots: SlotConfig,
    /// How long one may wait for a slot.
    pub slot_within: Duration,
}

/// Why a request is not served, or not from here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denied {
    /// Its client asks too often; after this long it may ask again.
    Client(Duration),
    /// Its bytes are better sent by the site itself.
    Bytes(Over),
}

/// What is left of `places` of which so many are `taken`, in percent.
#[must_use]
pub fn spare(taken: usize, places: usize) -> u8 {
    let left = places.saturating_sub(taken).saturating_mul(100);
    u8::try_from(left / places.max(1)).unwrap_or(100)
}

/// See the module.
#[derive(Debug)]
pub struct Share {
    config: ShareConfig,
    clients: Clients,
    bytes: Bytes,
    slots: Slots,
}

impl Share {
    /// Everything free.
    #[must_use]
    pub fn new(config: ShareConfig) -> Self {
        Self {
            clients: Clients::new(config.client_per_second, config.client_burst),
            bytes: Bytes::new(config.bytes_per_second, config.bytes_per_day),
            slots: Slots::new(config.slots),
            config,
        }
    }

    /// Other bounds from now on.
    pub fn reset(&mut self, config: ShareConfig) {
        let rate = (config.client_per_second, config.client_burst);
        self.clients.reset(rate.0, rate.1);
        self.bytes
            .reset(config.bytes_per_second, config.bytes_per_day);
        self.slots.reset(config.slots);
        self.config = config;
    }

    /// A request of `client`, for a page of `host` if it is one.
    ///
    /// # Errors
    /// Why it should not be served from here.
    pub fn ask(&mut self, now: Moment, client: IpAddr, host: Option<&str>) -> Result<(), Denied> {
        let exempt = self.config.exempt.iter().any(|net| net.contains(client));
        if !exempt {
            let asked = self.clients.ask(now, Prefix::of(client));
            asked.map_err(Denied::Client)?;
        }
        match host {
            Some(host) if self.bytes.is_bounded() => {
                self.bytes.ask(now, site::of(host)).map_err(Denied::Bytes)
            }
            _ => Ok(()),
        }
    }

    /// Bytes of answers.
    pub const fn bytes(&mut self) -> &mut Bytes {
        &mut self.bytes
    }

    /// Fetches from origins.
    pub const fn slots(&mut self) -> &mut Slots {
        &mut self.slots
    }

    /// Clients, for the state page.
    #[must_use]
    pub const fn clients(&self) -> &Clients {
        &self.clients
    }

    /// How long one may wait for a slot.
    #[must_use]
    pub const fn slot_within(&self) -> Duration {
        self.config.slot_within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: ShareConfig = ShareConfig {
        client_per_second: 10,
        client_burst: 10,
        exempt: Vec::new(),
        bytes_per_second: None,
        bytes_per_day: Some(1_000),
        slots: SlotConfig {
            slots: 4,
            waiting: 4,
        },
        slot_within: Duration::from_secs(1),
    };

    #[test]
    fn bounds_of_clients_do_not_hold_for_the_exempt() {
        let exempt = vec![Net::parse("192.0.2.0/24").unwrap()];
        let mut share = Share::new(ShareConfig { exempt, ..CONFIG });
        let mut passed = |ip: &str| {
            let ip = ip.parse().unwrap();
            (0..100)
                .filter(|_| share.ask(Moment::ZERO, ip, None).is_ok())
                .count()
        };
        assert_eq!((passed("192.0.2.1"), passed("198.51.100.1")), (100, 10));
    }

    #[test]
    fn other_bounds_hold_at_once_and_what_was_sent_stays_counted() {
        let mut share = Share::new(CONFIG);
        let client = IpAddr::from([192, 0, 2, 1]);
        share.bytes().sent(Moment::ZERO, "a.com", 1_000, None);
        let denied = share.ask(Moment::ZERO, client, Some("www.a.com"));
        assert_eq!(denied, Err(Denied::Bytes(Over::Day)));
        share.reset(ShareConfig {
            bytes_per_day: Some(1_001),
            ..CONFIG
        });
        assert_eq!(share.ask(Moment::ZERO, client, Some("www.a.com")), Ok(()));
    }
}
