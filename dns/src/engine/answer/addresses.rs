//! The addresses of one answer, on the stack: they are drawn for every question.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;

use crate::engine::config::ADDRESSES_MAX;

/// Addresses of one answer, at most [`ADDRESSES_MAX`].
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    list: [IpAddr; ADDRESSES_MAX],
    count: usize,
}

impl Addresses {
    /// None.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            list: [IpAddr::V4(Ipv4Addr::UNSPECIFIED); ADDRESSES_MAX],
            count: 0,
        }
    }

    /// Adds `address`; beyond [`ADDRESSES_MAX`] there is no room, and nothing happens.
    pub fn push(&mut self, address: IpAddr) {
        if let Some(place) = self.list.get_mut(self.count) {
            *place = address;
            self.count += 1;
        }
    }
}

impl Deref for Addresses {
    type Target = [IpAddr];

    fn deref(&self) -> &[IpAddr] {
        self.list.get(..self.count).unwrap_or_default()
    }
}
