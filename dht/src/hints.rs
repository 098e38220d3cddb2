//! Hints of nearness: "clients of this prefix are so far from me", as ordinary values of the index.
//!
//! A node that has measured the round trip to real clients of a prefix (IPv4 /24, IPv6 /56) puts a
//! hint under the prefix's key; `nodes(near)` looks there. A hint decays: it ends by its TTL, and
//! the older it is the farther it counts. Pure; no transport and no table of its own.

use std::net::SocketAddr;
use std::time::Duration;

use common::ids::Key;
use common::nearness::hint_life;
use common::netaddr::Prefix;

/// How long a hint of no distance holds unless its publisher says otherwise; others hold a part of it
/// ([`hint_life`]). Clients stay where they are; nodes and routes change within hours.
pub const TTL: Duration = Duration::from_secs(3_600);

/// Round trips beyond this say that the publisher is nowhere near: not worth a hint.
pub const RTT_MAX: Duration = Duration::from_secs(2);

/// One hint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hint {
    /// The index of the node that measured.
    pub addr: SocketAddr,
    /// Its round trip to clients of the prefix.
    pub rtt: Duration,
}

/// The key of the hints about `prefix`.
#[must_use]
pub fn key(prefix: Prefix) -> Key {
    Key::of(format!("near {}", prefix.network()).as_bytes())
}

impl Hint {
    /// The bytes of its value: address, space, round trip in microseconds.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        format!("{} {}", self.addr, self.rtt.as_micros()).into_bytes()
    }

    /// The hint in a value; `None` if the value is anything else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (addr, micros) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
        let digits = !micros.is_empty() && micros.bytes().all(|byte| byte.is_ascii_digit());
        let rtt = Duration::from_micros(micros.parse().ok().filter(|_| digits)?);
        let addr: SocketAddr = addr.parse().ok()?;
        let hint = Self { addr, rtt };
        // One spelling per hint, so that values compare by their bytes.
        let usable = rtt <= RTT_MAX && addr.port() != 0 && !addr.ip().is_unspecified();
        (usable && hint.encode() == bytes).then_some(hint)
    }

    /// How far it counts with `left` of its time to go: as measured when fresh, twice that at its
    /// end.
    #[must_use]
    pub fn distance(&self, left: Duration) -> Duration {
        let life = hint_life(self.rtt, TTL);
        let over = life.saturating_sub(left);
        self.rtt + self.rtt.mul_f64(over.as_secs_f64() / life.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hint(rtt_ms: u64) -> Hint {
        Hint {
            addr: "192.0.2.1:7400".parse().unwrap(),
            rtt: Duration::from_millis(rtt_ms),
        }
    }

    #[test]
    fn neighbours_share_a_key_and_strangers_do_not() {
        let key = |ip: &str| key(Prefix::of(ip.parse().unwrap()));
        assert_eq!(key("192.0.2.1"), key("192.0.2.200"));
        assert_ne!(key("192.0.2.1"), key("192.0.3.1"));
        assert_eq!(key("2001:db8:1:2200::1"), key("2001:db8:1:22ff::1"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.9"));
    }

    #[test]
    fn an_old_hint_counts_as_farther_than_a_fresh_one() {
        assert_eq!(hint(10).distance(TTL), Duration::from_millis(10));
        assert_eq!(hint(10).distance(Duration::ZERO), Duration::from_millis(20));
        assert!(hint(10).distance(TTL / 10) > hint(15).distance(TTL));
        // One of far away lasts less long, and is as fresh at its beginning.
        let life = hint_life(Duration::from_millis(90), TTL);
        assert_eq!(hint(90).distance(life), Duration::from_millis(90));
    }

    #[test]
    fn what_is_no_hint_is_none() {
        for bytes in [
            &b""[..],
            b"192.0.2.1:7400",
            b"192.0.2.1:7400 ",
            b"192.0.2.1:7400 +5",
            b"192.0.2.1:7400 05",
            b"192.0.2.1:0 5",
            b"0.0.0.0:7400 5",
            b"192.0.2.1:7400 2000001",
            b"192.0.2.1:7400 5 6",
            b"\xff 5",
        ] {
            assert_eq!(Hint::decode(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn reads_back_and_never_panics(
            ip: u32, port in 1..u16::MAX, micros in 0..2_000_000_u64,
            junk in proptest::collection::vec(any::<u8>(), 0..60)
        ) {
            prop_assume!(ip != 0);
            let addr = SocketAddr::from((std::net::Ipv4Addr::from(ip), port));
            let hint = Hint { addr, rtt: Duration::from_micros(micros) };
            prop_assert_eq!(Hint::decode(&hint.encode()), Some(hint));
            if let Some(read) = Hint::decode(&junk) {
                prop_assert_eq!(read.encode(), junk);
            }
        }
    }
}
