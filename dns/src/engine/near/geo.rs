//! Distances on the globe, and the round trips they let expect.
//!
//! For networks that no client was measured from, where the operator has a map of addresses. An
//! estimate: cables are neither straight nor the whole way, and maps are wrong about one address in
//! ten. What was measured always goes before it.

use std::net::SocketAddr;
use std::time::Duration;

/// Mean radius of the Earth in kilometres (IUGG).
const EARTH: f64 = 6_371.0;

/// Kilometres of great circle that add a millisecond of round trip: light in fibre makes 100 there
/// and back, and routes are half as long again (Internet2 and RIPE Atlas see factors of 1.3 to 2).
const KM_PER_MS: f64 = 66.0;

/// What a round trip takes however near: the last mile, twice.
const LEAST: Duration = Duration::from_millis(5);

/// A point on the globe, in degrees.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    /// North is positive.
    pub latitude: f64,
    /// East is positive.
    pub longitude: f64,
}

/// The great-circle distance between two points in kilometres (haversine).
#[must_use]
pub fn distance(a: Point, b: Point) -> f64 {
    let (la, lb) = (a.latitude.to_radians(), b.latitude.to_radians());
    let half = |from: f64, to: f64| ((to - from) / 2.0).sin().powi(2);
    let east = half(a.longitude.to_radians(), b.longitude.to_radians());
    let haversine = (la.cos() * lb.cos()).mul_add(east, half(la, lb));
    2.0 * EARTH * haversine.clamp(0.0, 1.0).sqrt().asin()
}

/// The round trip to expect over `kilometres`.
#[must_use]
pub fn round_trip(kilometres: f64) -> Duration {
    let millis = (kilometres / KM_PER_MS).clamp(0.0, 10_000.0);
    LEAST + Duration::from_secs_f64(millis / 1_000.0)
}

/// The `count` of `proxies` nearest to `client`, the nearest first, with the round trip to expect.
#[must_use]
pub fn nearest(
    client: Point,
    proxies: impl IntoIterator<Item = (SocketAddr, Point)>,
    count: usize,
) -> Vec<(SocketAddr, Duration)> {
    let far = |(proxy, at): (SocketAddr, Point)| (round_trip(distance(client, at)), proxy);
    let mut all: Vec<_> = proxies.into_iter().map(far).collect();
    all.sort_unstable();
    all.truncate(count);
    all.into_iter().map(|(rtt, proxy)| (proxy, rtt)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERLIN: Point = Point {
        latitude: 52.52,
        longitude: 13.405,
    };
    const PARIS: Point = Point {
        latitude: 48.857,
        longitude: 2.352,
    };
    const SYDNEY: Point = Point {
        latitude: -33.869,
        longitude: 151.209,
    };

    #[test]
    fn distances_are_those_of_the_globe() {
        for (a, b, kilometres) in [
            (BERLIN, PARIS, 878.0),
            (BERLIN, SYDNEY, 16_090.0),
            (BERLIN, BERLIN, 0.0),
        ] {
            let found = distance(a, b);
            assert!(
                (found - kilometres).abs() < 20.0,
                "{found} for {kilometres}"
            );
            assert!((distance(b, a) - found).abs() < 1e-6);
        }
        // Across the date line, and to the other side of the Earth.
        let point = |latitude, longitude| Point {
            latitude,
            longitude,
        };
        assert!(distance(point(0.0, 179.9), point(0.0, -179.9)) < 30.0);
        assert!((distance(point(0.0, 0.0), point(0.0, 180.0)) - 20_015.0).abs() < 5.0);
    }

    #[test]
    fn the_nearest_come_first_and_no_more_than_wanted() {
        let addr = |n: u8| SocketAddr::from(([192, 0, 2, n], 80));
        let proxies = [(addr(1), SYDNEY), (addr(2), BERLIN), (addr(3), PARIS)];
        let found = nearest(BERLIN, proxies, 2);
        assert_eq!(found[0], (addr(2), LEAST));
        assert_eq!(found[1].0, addr(3));
        assert!(found[1].1 > Duration::from_millis(15) && found[1].1 < Duration::from_millis(25));
        assert_eq!(found.len(), 2);
    }
}
