//! Where on earth addresses are, for clients of whom nobody has measured anything yet: the proxies that
//! are nearest as the crow flies, and the round trip to expect. Where coordinates come from is the
//! caller's ([`Map`]); nothing here reads a file.
//!
//! What is made of it is a guess and counts as one: it gives way to the first measurement.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::places::NEAR_MAX;

/// Mean radius of the earth in kilometres.
const EARTH_KM: f32 = 6_371.0;

/// What a round trip takes where there is no distance, and for each kilometre. The medians between 213
/// cities (WonderProxy) are within a tenth of the line from 300 to 4,000 kilometres; beyond it they are
/// up to a sixth shorter, where it no longer matters.
const NO_DISTANCE: Duration = Duration::from_millis(4);
const MICROS_PER_KM: f32 = 22.0;

/// A place on earth.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Coordinates {
    /// Of a point on the sphere of radius one.
    point: [f32; 3],
}

impl Coordinates {
    /// From degrees north and east; `None` unless they are within 90 and 180 degrees.
    #[must_use]
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        // Not a number is in no range.
        if !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) {
            return None;
        }
        let (north, east) = (latitude.to_radians(), longitude.to_radians());
        let point = [
            north.cos() * east.cos(),
            north.cos() * east.sin(),
            north.sin(),
        ];
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a place is known to kilometres, which 24 bits of a radius tell"
        )]
        let point = point.map(|part| part as f32);
        Some(Self { point })
    }

    /// Nearness of two places: 1 for the same, -1 for antipodes.
    fn cosine(&self, other: &Self) -> f32 {
        let [a, b] = [self.point, other.point];
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// Kilometres to `other`, as the crow flies.
    #[must_use]
    pub fn distance(&self, other: &Self) -> f32 {
        // Twice the arc sine of half the chord: unlike an arc cosine it tells small distances.
        let [a, b] = [self.point, other.point];
        let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
        let half = (squares.sum::<f32>().sqrt() / 2.0).min(1.0);
        2.0 * EARTH_KM * half.asin()
    }
}

/// The round trip to expect over `km` kilometres.
#[must_use]
pub fn expected(km: f32) -> Duration {
    NO_DISTANCE + Duration::from_micros(1).mul_f32((km * MICROS_PER_KM).max(0.0))
}

/// Knows where addresses are.
pub trait Map: fmt::Debug + Send + Sync {
    /// Where `address` is, if that is known.
    fn locate(&self, address: IpAddr) -> Option<Coordinates>;
}

/// The proxies whose place is known.
#[derive(Clone, Default, Debug)]
pub struct Atlas {
    proxies: Vec<(SocketAddr, Coordinates)>,
}

impl Atlas {
    /// Those of `proxies` that are on `map`.
    #[must_use]
    pub fn new(map: &dyn Map, proxies: impl IntoIterator<Item = SocketAddr>) -> Self {
        let located = |proxy: SocketAddr| Some((proxy, map.locate(proxy.ip())?));
        Self {
            proxies: proxies.into_iter().filter_map(located).collect(),
        }
    }

    /// The proxies nearest to `place` and the round trips to expect, the nearest first; at most
    /// [`NEAR_MAX`]. Looks at every proxy once: 20 us for ten thousand.
    #[must_use]
    pub fn nearest(&self, place: &Coordinates) -> Vec<(SocketAddr, Duration)> {
        let cosine = |at: &usize| self.proxies.get(*at).map_or(-1.0, |p| p.1.cosine(place));
        let nearer = |a: &usize, b: &usize| cosine(b).total_cmp(&cosine(a)).then(a.cmp(b));
        let mut order: Vec<usize> = (0..self.proxies.len()).collect();
        if order.len() > NEAR_MAX {
            order.select_nth_unstable_by(NEAR_MAX, nearer);
            order.truncate(NEAR_MAX);
        }
        order.sort_unstable_by(nearer);
        let guess =
            |(proxy, at): &(SocketAddr, Coordinates)| (*proxy, expected(at.distance(place)));
        let found = order.iter().filter_map(|at| self.proxies.get(*at));
        found.map(guess).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const BERLIN: (f64, f64) = (52.52, 13.40);
    const PARIS: (f64, f64) = (48.86, 2.35);
    const TOKYO: (f64, f64) = (35.68, 139.69);
    const SYDNEY: (f64, f64) = (-33.87, 151.21);

    fn at((latitude, longitude): (f64, f64)) -> Coordinates {
        Coordinates::new(latitude, longitude).unwrap()
    }

    #[derive(Debug)]
    struct Known(BTreeMap<IpAddr, Coordinates>);

    impl Map for Known {
        fn locate(&self, address: IpAddr) -> Option<Coordinates> {
            self.0.get(&address).copied()
        }
    }

    #[test]
    fn distances_are_those_of_a_globe() {
        for (from, to, km) in [
            (BERLIN, PARIS, 878.0),
            (BERLIN, TOKYO, 8_920.0),
            (TOKYO, SYDNEY, 7_820.0),
            (BERLIN, BERLIN, 0.0),
            ((0.0, 179.9), (0.0, -179.9), 22.2),
            ((90.0, 0.0), (-90.0, 0.0), 20_015.0),
        ] {
            let found = at(from).distance(&at(to));
            assert!((found - km).abs() <= km / 200.0 + 1.0, "{found} for {km}");
        }
    }

    #[test]
    fn what_is_not_on_earth_is_nowhere() {
        for (latitude, longitude) in [
            (90.1, 0.0),
            (0.0, 180.5),
            (f64::NAN, 0.0),
            (0.0, f64::INFINITY),
        ] {
            assert_eq!(Coordinates::new(latitude, longitude), None);
        }
    }

    #[test]
    fn the_nearest_come_first_and_those_not_on_the_map_not_at_all() {
        let proxy = |n: u8| SocketAddr::from(([192, 0, 2, n], 80));
        let places = [(1, TOKYO), (2, PARIS), (3, SYDNEY), (4, BERLIN)];
        let map = Known(places.map(|(n, place)| (proxy(n).ip(), at(place))).into());
        let atlas = Atlas::new(&map, (1..=9).map(proxy));
        let near = atlas.nearest(&at(BERLIN));
        let order: Vec<_> = near.iter().map(|(proxy, _)| *proxy).collect();
        assert_eq!(order, [proxy(4), proxy(2), proxy(1), proxy(3)]);
        assert_eq!(near[0].1, Duration::from_millis(4));
        let paris = near[1].1.as_millis();
        assert!((22..=25).contains(&paris), "{paris}");
        assert!(Atlas::default().nearest(&at(BERLIN)).is_empty());
    }

    #[test]
    fn of_many_only_so_many_are_named_and_they_are_the_nearest() {
        let proxy = |n: u8| SocketAddr::from(([192, 0, 2, n], 80));
        let place = |n: u8| at((0.0, f64::from(n) / 2.0));
        let map = Known((1..=250).map(|n| (proxy(n).ip(), place(n))).collect());
        let near = Atlas::new(&map, (1..=250).rev().map(proxy)).nearest(&at((0.0, 0.0)));
        let order: Vec<_> = near.iter().map(|(proxy, _)| *proxy).collect();
        let wanted: Vec<_> = (1..).map(proxy).take(NEAR_MAX).collect();
        assert_eq!(order, wanted);
    }
}
