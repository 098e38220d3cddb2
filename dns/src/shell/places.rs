//! Places for TCP connections: so many in all, so many to one neighbourhood. Shared by all threads;
//! asked once per connection.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use common::netaddr::Prefix;

use super::lock;

/// The places.
#[derive(Clone, Debug)]
pub struct Places {
    taken: Arc<Mutex<Taken>>,
    total_max: usize,
    prefix_max: usize,
}

/// Those taken. The table has no more entries than there are connections.
#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_prefix: HashMap<Prefix, usize>,
}

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoPlace {
    /// All are taken.
    Full,
    /// The neighbourhood has its share.
    Crowded,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub struct Place {
    taken: Arc<Mutex<Taken>>,
    prefix: Prefix,
}

impl Places {
    /// `total_max` places, of which `prefix_max` may go to one neighbourhood (IPv4 /24, IPv6 /56).
    #[must_use]
    pub fn new(total_max: usize, prefix_max: usize) -> Self {
        Self {
            taken: Arc::default(),
            total_max,
            prefix_max,
        }
    }

    /// A place for `ip`.
    ///
    /// # Errors
    /// There is none.
    pub fn take(&self, ip: IpAddr) -> Result<Place, NoPlace> {
        let prefix = Prefix::of(ip);
        let mut taken = lock(&self.taken);
        if taken.total >= self.total_max {
            return Err(NoPlace::Full);
        }
        let neighbours = taken.by_prefix.entry(prefix).or_default();
        if *neighbours >= self.prefix_max {
            return Err(NoPlace::Crowded);
        }
        *neighbours += 1;
        taken.total += 1;
        drop(taken);
        Ok(Place {
            taken: Arc::clone(&self.taken),
            prefix,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.total = taken.total.saturating_sub(1);
        if let Some(neighbours) = taken.by_prefix.get_mut(&self.prefix) {
            *neighbours = neighbours.saturating_sub(1);
            if *neighbours == 0 {
                taken.by_prefix.remove(&self.prefix);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_per_neighbourhood_and_come_back() {
        let places = Places::new(3, 2);
        let take = |ip: &str| places.take(ip.parse().unwrap());
        let (one, two) = (take("192.0.2.1").unwrap(), take("192.0.2.2").unwrap());
        assert_eq!(take("192.0.2.3").unwrap_err(), NoPlace::Crowded);
        let three = take("198.51.100.1").unwrap();
        assert_eq!(take("203.0.113.1").unwrap_err(), NoPlace::Full);
        drop(one);
        let four = take("192.0.2.3").unwrap();
        drop((two, three, four));
        assert!(lock(&places.taken).by_prefix.is_empty());
    }
}
