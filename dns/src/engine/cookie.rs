//! Server cookies as RFC 9018 §4 lays down, so that servers of different make behind one address
//! accept each other's: version 1, a timestamp, and SipHash-2-4 over both, the client's cookie and
//! the client's address.
//!
//! Nobody is required to have one. Whoever shows one that is good has proven the address it sends
//! from.

use std::net::IpAddr;

use common::clock::WallTime;

use super::inquiry::CookieAsked;
use super::siphash::siphash;

/// Version of the construction (RFC 9018 §4.1), and three bytes that are reserved.
const VERSION: [u8; 4] = [1, 0, 0, 0];

/// How long a cookie is good, in seconds, and how far ahead of this server's clock that of another
/// may be (RFC 9018 §4.3).
const GOOD_FOR: i64 = 3_600;
const AHEAD_MAX: i64 = 300;

/// After so many seconds a client is given a new one (RFC 9018 §4.3).
const RENEW_AFTER: i64 = 1_800;

/// What a cookie that came is worth.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Worth {
    /// The client has none of ours yet.
    New,
    /// Made with our secret, for this client, lately.
    Good,
    /// Not ours, of another client, or too old.
    Bad,
}

impl Worth {
    /// Every worth, in the order of the counters.
    pub const ALL: [Self; 3] = [Self::New, Self::Good, Self::Bad];

    /// The word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Good => "good",
            Self::Bad => "bad",
        }
    }
}

/// How long a rolling secret makes cookies, in seconds: a day. RFC 9018 §5 asks for a roll every 36
/// days at the latest.
const ROLL_EVERY: i64 = 86_400;

/// The secrets that cookies are made with and accepted by.
#[derive(Clone)]
pub enum Secrets {
    /// Fixed ones, for servers that share an address.
    Fixed {
        /// Makes cookies.
        present: [u8; 16],
        /// Still accepted, while clients have cookies made with it (RFC 9018 §5).
        previous: Option<[u8; 16]>,
    },
    /// A new one each day, derived from this; that of the day before is still accepted.
    Rolling([u8; 16]),
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// What `asked` is worth from `client` at `now`, and the cookie to reply with: the client's and
    /// the server's part.
    #[must_use]
    pub fn judge(&self, asked: &CookieAsked, client: IpAddr, now: WallTime) -> (Worth, [u8; 24]) {
        let age = asked
            .server
            .and_then(|shown| self.age(asked, &shown, client, now));
        let worth = match (asked.server, age) {
            (_, Some(_)) => Worth::Good,
            (Some(_), None) => Worth::Bad,
            (None, None) => Worth::New,
        };
        let server = match (asked.server, age) {
            (Some(shown), Some(age)) if age <= RENEW_AFTER => shown,
            _ => make(&self.present(now), &asked.client, timestamp(now), client),
        };
        let mut cookie = [0; 24];
        let parts = asked.client.iter().chain(&server);
        for (to, from) in cookie.iter_mut().zip(parts) {
            *to = *from;
        }
        (worth, cookie)
    }

    /// Age in seconds of the cookie `shown`, if it is good.
    fn age(
        &self,
        asked: &CookieAsked,
        shown: &[u8; 16],
        client: IpAddr,
        now: WallTime,
    ) -> Option<i64> {
        let [_, _, _, _, a, b, c, d, ..] = *shown;
        let then = u32::from_be_bytes([a, b, c, d]);
        // Serial arithmetic (RFC 9018 §4.3): the difference, whichever way the counter went round.
        let age = i64::from(timestamp(now).wrapping_sub(then).cast_signed());
        let fresh = (-AHEAD_MAX..=GOOD_FOR).contains(&age);
        let ours = |secret: &[u8; 16]| make(secret, &asked.client, then, client) == *shown;
        let good =
            fresh && (ours(&self.present(now)) || self.previous(now).is_some_and(|one| ours(&one)));
        good.then_some(age)
    }

    fn present(&self, now: WallTime) -> [u8; 16] {
        match self {
            Self::Fixed { present, .. } => *present,
            Self::Rolling(master) => of_day(master, now.unix().div_euclid(ROLL_EVERY)),
        }
    }

    fn previous(&self, now: WallTime) -> Option<[u8; 16]> {
        match self {
            Self::Fixed { previous, .. } => *previous,
            Self::Rolling(master) => Some(of_day(
                master,
                now.unix().div_euclid(ROLL_EVERY).wrapping_sub(1),
            )),
        }
    }
}

/// The secret of the day `day`.
fn of_day(master: &[u8; 16], day: i64) -> [u8; 16] {
    let half = |half: u8| {
        let mut message = [half; 9];
        for (to, from) in message.iter_mut().zip(day.to_be_bytes()) {
            *to = from;
        }
        u128::from(siphash(master, &message))
    };
    (half(0) << 64 | half(1)).to_be_bytes()
}

/// The seconds of RFC 9018 §4.3: 32 bits, which go round.
fn timestamp(now: WallTime) -> u32 {
    let [.., a, b, c, d] = now.unix().to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// RFC 9018 §4.4. The hash's bytes stand in the order in which SipHash gives them, low ones first.
fn make(secret: &[u8; 16], asked: &[u8; 8], then: u32, client: IpAddr) -> [u8; 16] {
    let mut hashed = [0; 32];
    let (v4, v6);
    let address: &[u8] = match client {
        IpAddr::V4(ip) => {
            v4 = ip.octets();
            &v4
        }
        IpAddr::V6(ip) => {
            v6 = ip.octets();
            &v6
        }
    };
    let head = asked.iter().chain(&VERSION);
    let then = then.to_be_bytes();
    let parts = head.chain(&then).chain(address);
    let mut length = 0;
    for (to, from) in hashed.iter_mut().zip(parts) {
        *to = *from;
        length += 1;
    }
    let hash = siphash(secret, hashed.get(..length).unwrap_or_default()).to_le_bytes();
    let mut cookie = [0; 16];
    for (to, from) in cookie
        .iter_mut()
        .zip(VERSION.iter().chain(&then).chain(&hash))
    {
        *to = *from;
    }
    cookie
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        std::array::from_fn(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap())
    }

    fn secrets(present: &str, previous: Option<&str>) -> Secrets {
        Secrets::Fixed {
            present: bytes(present),
            previous: previous.map(bytes),
        }
    }

    const ONE: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

    #[test]
    fn rfc9018_appendix_a_cookies_are_the_same_bytes() {
        // A.1: learning a new cookie; A.2: renewing one; A.4: after a roll of the secret.
        let rows = [
            (
                "2464c4abcf10c957",
                ONE,
                "198.51.100.100",
                1_559_731_985,
                "010000005cf79f111f8130c3eee29480",
            ),
            (
                "2464c4abcf10c957",
                ONE,
                "198.51.100.100",
                1_559_734_385,
                "010000005cf7a871d4a564a1442aca77",
            ),
            (
                "22681ab97d52c298",
                "445536bcd2513298075a5d379663c962",
                "2001:db8:220:1:59de:d0f4:8769:82b8",
                1_559_741_961,
                "010000005cf7c609a6bb79d16625507a",
            ),
        ];
        for (client, secret, ip, now, expected) in rows {
            let asked = CookieAsked {
                client: bytes(client),
                server: None,
            };
            let now = WallTime::from_unix(now);
            let (worth, cookie) = secrets(secret, None).judge(&asked, ip.parse().unwrap(), now);
            assert_eq!(worth, Worth::New);
            assert_eq!(cookie[8..], bytes::<16>(expected), "{client}");
        }
    }

    #[test]
    fn rfc9018_4_3_a_cookie_is_good_for_an_hour_for_its_client_alone() {
        let ip: IpAddr = "198.51.100.100".parse().unwrap();
        let made = 1_559_731_985;
        let asked = CookieAsked {
            client: bytes("2464c4abcf10c957"),
            server: Some(bytes("010000005cf79f111f8130c3eee29480")),
        };
        let judge =
            |ip, after| secrets(ONE, None).judge(&asked, ip, WallTime::from_unix(made + after));
        for (after, worth, renewed) in [
            (0, Worth::Good, false),
            (1_800, Worth::Good, false),
            (1_801, Worth::Good, true),
            (3_600, Worth::Good, true),
            (3_601, Worth::Bad, true),
            (-300, Worth::Good, false),
            (-301, Worth::Bad, true),
        ] {
            let (got, cookie) = judge(ip, after);
            assert_eq!(got, worth, "after {after} s");
            assert_eq!(
                cookie[8..] != asked.server.unwrap(),
                renewed,
                "after {after} s"
            );
        }
        assert_eq!(judge("198.51.100.101".parse().unwrap(), 0).0, Worth::Bad);
        let mut other = asked;
        other.client[0] ^= 1;
        let now = WallTime::from_unix(made);
        assert_eq!(secrets(ONE, None).judge(&other, ip, now).0, Worth::Bad);
    }

    #[test]
    fn a_rolling_secret_changes_daily_and_no_client_notices() {
        let (ip, rolling): (IpAddr, _) = ("192.0.2.1".parse().unwrap(), Secrets::Rolling([7; 16]));
        let midnight = 20_000 * ROLL_EVERY;
        let ask = |server, at| {
            let asked = CookieAsked {
                client: [1; 8],
                server,
            };
            rolling.judge(&asked, ip, WallTime::from_unix(at))
        };
        let cookie = |at| ask(None, at).1[8..].try_into().ok();
        assert_eq!(ask(cookie(midnight - 60), midnight + 60).0, Worth::Good);
        let of = |at| rolling.present(WallTime::from_unix(at));
        assert_ne!(of(midnight - 1), of(midnight));
        assert_eq!(of(midnight), of(midnight + ROLL_EVERY - 1));
    }

    #[test]
    fn rfc9018_5_the_previous_secret_is_still_accepted() {
        let ip: IpAddr = "2001:db8:220:1:59de:d0f4:8769:82b8".parse().unwrap();
        let asked = CookieAsked {
            client: bytes("22681ab97d52c298"),
            server: Some(bytes("010000005cf7c57926556bd0934c72f8")),
        };
        let (old, new) = (
            "dd3bdf9344b678b185a6f5cb60fca715",
            "445536bcd2513298075a5d379663c962",
        );
        let now = WallTime::from_unix(1_559_741_961);
        assert_eq!(
            secrets(new, Some(old)).judge(&asked, ip, now).0,
            Worth::Good
        );
        assert_eq!(secrets(new, None).judge(&asked, ip, now).0, Worth::Bad);
    }
}
