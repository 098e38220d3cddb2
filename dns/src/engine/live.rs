//! The set of proxies that may be named, as the checker publishes it and answers read it: a dense
//! table for each address family, ordered so that a draw by weight from the proxies of one level is
//! one random number and one binary search.

use std::net::IpAddr;

use common::clock::Moment;

/// Levels of nearness to this server: 0 is the world, more is nearer.
pub const LEVELS: u8 = 3;

/// The weight of a proxy that has all its capacity to spare.
pub const WEIGHT_MAX: u8 = 10;

/// A proxy that may be named.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Member {
    /// Its address.
    pub address: IpAddr,
    /// How near it is to this server, below [`LEVELS`].
    pub level: u8,
    /// How often it is drawn beside others, at most [`WEIGHT_MAX`]; 0 is full: only if all are.
    pub weight: u8,
}

impl Member {
    /// A proxy of which only the address is known.
    #[must_use]
    pub const fn plain(address: IpAddr) -> Self {
        Self {
            address,
            level: 0,
            weight: WEIGHT_MAX,
        }
    }
}

/// Where a proxy stands: proxies of one site are taken to fail together. IPv4 /24, IPv6 /48.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Site(u64);

impl Site {
    /// The site of `address`.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(u64::from(v4.to_bits() >> 8)),
            // IPv4 ends at bit 24, so that no two sites of different families look alike.
            IpAddr::V6(v6) => Self((1 << 60) | u64::try_from(v6.to_bits() >> 80).unwrap_or(0)),
        }
    }

    /// As operators write it.
    #[must_use]
    pub fn text(address: IpAddr) -> String {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                format!("{a}.{b}.{c}.0/24")
            }
            IpAddr::V6(v6) => {
                let [a, b, c, ..] = v6.segments();
                format!("{a:x}:{b:x}:{c:x}::/48")
            }
        }
    }
}

/// Number of a row of a [`Side`].
pub type RowNumber = u16;

/// One row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The proxy.
    pub member: Member,
    /// Its site.
    pub site: Site,
}

/// The rows of one level.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Band {
    /// The first.
    pub from: usize,
    /// The one after the last.
    pub to: usize,
    /// Whether they are of more than one site.
    pub several_sites: bool,
}

/// The proxies of one address family.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Side {
    /// By level, the nearest first, then by address.
    rows: Vec<Row>,
    /// Weights of all rows up to each, itself included.
    sums: Vec<u32>,
    /// By level.
    bands: [Band; LEVELS as usize],
    by_address: Vec<(IpAddr, RowNumber)>,
}

impl Side {
    fn new(mut members: Vec<Member>) -> Self {
        // A machine with two proxies is as good as the better of them.
        members.sort_unstable_by_key(|m| (m.address, std::cmp::Reverse((m.weight, m.level))));
        members.dedup_by_key(|member| member.address);
        if members.iter().all(|member| member.weight == 0) {
            // All are full: then all are equal.
            members.iter_mut().for_each(|member| member.weight = 1);
        }
        members.sort_unstable_by_key(|m| (std::cmp::Reverse(m.level), m.address));
        members.truncate(usize::from(RowNumber::MAX));
        let mut side = Self::default();
        let mut sum = 0;
        for (number, member) in (0..).zip(members) {
            sum += u32::from(member.weight);
            side.sums.push(sum);
            side.by_address.push((member.address, number));
            let site = Site::of(member.address);
            if let Some(band) = side.bands.get_mut(usize::from(member.level)) {
                let at = usize::from(number);
                if band.to == 0 {
                    band.from = at;
                }
                let first = side.rows.get(band.from).map_or(site, |row| row.site);
                band.several_sites |= first != site;
                band.to = at + 1;
            }
            side.rows.push(Row { member, site });
        }
        side.by_address.sort_unstable();
        side
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows, the nearest level first.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// One row.
    #[must_use]
    pub fn row(&self, number: RowNumber) -> Option<&Row> {
        self.rows.get(usize::from(number))
    }

    /// The addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.by_address.iter().map(|(address, _)| *address)
    }

    /// The row of `address`.
    #[must_use]
    pub fn number(&self, address: IpAddr) -> Option<RowNumber> {
        let found = self.by_address.binary_search_by_key(&address, |(a, _)| *a);
        let (_, number) = self.by_address.get(found.ok()?)?;
        Some(*number)
    }

    /// The rows of `level`.
    #[must_use]
    pub fn band(&self, level: u8) -> Band {
        self.bands
            .get(usize::from(level))
            .copied()
            .unwrap_or_default()
    }

    /// All rows.
    #[must_use]
    pub const fn all(&self) -> Band {
        Band {
            from: 0,
            to: self.rows.len(),
            several_sites: true,
        }
    }

    /// All weights of `band`.
    #[must_use]
    pub fn weight(&self, band: Band) -> u32 {
        let sum = |rows: usize| rows.checked_sub(1).and_then(|at| self.sums.get(at));
        sum(band.to).map_or(0, |to| to - sum(band.from).copied().unwrap_or(0))
    }

    /// The row of `band` in which the weight that comes after `below` others is.
    #[must_use]
    pub fn at_weight(&self, band: Band, below: u32) -> Option<RowNumber> {
        let sums = self.sums.get(band.from..band.to)?;
        let base = band.from.checked_sub(1).and_then(|at| self.sums.get(at));
        let target = base.copied().unwrap_or(0) + below;
        let at = band.from + sums.partition_point(|sum| *sum <= target);
        RowNumber::try_from(at)
            .ok()
            .filter(|at| usize::from(*at) < band.to)
    }
}

/// Address family of a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// A.
    V4,
    /// AAAA.
    V6,
}

/// The verified proxies, each address once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LiveSet {
    /// IPv4.
    pub v4: Side,
    /// IPv6.
    pub v6: Side,
    /// When the last of them was lost: then the addresses are those that were alive last. `None`
    /// while somebody is alive, or if nobody ever was.
    pub lost: Option<Moment>,
}

impl LiveSet {
    /// The set of `addresses`, all alike. They may repeat themselves (two ports of one machine).
    #[must_use]
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>, lost: Option<Moment>) -> Self {
        Self::of(addresses.into_iter().map(Member::plain), lost)
    }

    /// The set of `members`.
    #[must_use]
    pub fn of(members: impl IntoIterator<Item = Member>, lost: Option<Moment>) -> Self {
        let (v4, v6) = members
            .into_iter()
            .partition(|member: &Member| member.address.is_ipv4());
        Self {
            v4: Side::new(v4),
            v6: Side::new(v6),
            lost,
        }
    }

    /// The proxies of `family`.
    #[must_use]
    pub const fn side(&self, family: Family) -> &Side {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    /// Whether somebody is alive now.
    #[must_use]
    pub fn anyone(&self) -> bool {
        self.lost.is_none() && !self.is_empty()
    }

    /// Whether the set has no address at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(address: &str, level: u8, weight: u8) -> Member {
        Member {
            address: address.parse().unwrap(),
            level,
            weight,
        }
    }

    #[test]
    fn rows_are_by_level_and_drawn_by_weight() {
        let set = LiveSet::of(
            [
                member("192.0.2.1", 0, 10),
                member("192.0.2.2", 2, 3),
                member("192.0.3.3", 2, 1),
                member("192.0.2.4", 1, 5),
                member("2001:db8::1", 1, 5),
            ],
            None,
        );
        let side = &set.v4;
        let order: Vec<_> = side.rows().iter().map(|row| row.member.level).collect();
        assert_eq!(order, [2, 2, 1, 0]);
        let inner = side.band(2);
        assert_eq!(side.weight(inner), 4);
        let drawn: Vec<_> = (0..5).map(|below| side.at_weight(inner, below)).collect();
        assert_eq!(drawn, [Some(0), Some(0), Some(0), Some(1), None]);
        assert_eq!(side.at_weight(side.band(1), 4), Some(2));
        assert_eq!(side.at_weight(side.band(0), 0), Some(3));
        assert!(inner.several_sites && !side.band(1).several_sites);
        assert_eq!(set.v6.len(), 1);
        assert_eq!(side.number("192.0.2.4".parse().unwrap()), Some(2));
        assert_eq!(side.number("192.0.2.9".parse().unwrap()), None);
        assert_eq!(side.band(7), Band::default());
    }

    #[test]
    fn an_address_counts_once_as_its_better_half() {
        let set = LiveSet::of([member("192.0.2.1", 0, 0), member("192.0.2.1", 1, 4)], None);
        assert_eq!(set.v4.rows()[0].member, member("192.0.2.1", 1, 4));
        assert_eq!(set.v4.len(), 1);
    }

    #[test]
    fn if_all_are_full_all_are_equal() {
        let set = LiveSet::of([member("192.0.2.1", 2, 0), member("192.0.2.2", 2, 0)], None);
        assert_eq!(set.v4.weight(set.v4.band(2)), 2);
        let set = LiveSet::of([member("192.0.2.1", 2, 0), member("192.0.2.2", 2, 1)], None);
        assert_eq!(set.v4.weight(set.v4.band(2)), 1);
    }

    #[test]
    fn sites_are_24_bits_of_ipv4_and_48_of_ipv6() {
        let site = |text: &str| Site::of(text.parse().unwrap());
        assert_eq!(site("192.0.2.1"), site("192.0.2.250"));
        assert_ne!(site("192.0.2.1"), site("192.0.3.1"));
        assert_eq!(site("2001:db8:1:1::1"), site("2001:db8:1:ffff::9"));
        assert_ne!(site("2001:db8:1::1"), site("2001:db8:2::1"));
        assert_ne!(site("::1"), site("0.0.0.1"));
        let text = |text: &str| Site::text(text.parse().unwrap());
        assert_eq!(text("192.0.2.7"), "192.0.2.0/24");
        assert_eq!(text("2001:db8:1:2::7"), "2001:db8:1::/48");
    }
}
