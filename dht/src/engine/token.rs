//! Write tokens: proof that a requester receives at the address it sends from.
//!
//! A token is a keyed BLAKE3 of the address under a secret that only this node has and that is
//! replaced every minute. The previous secret still counts, so a token holds between one and two
//! minutes, and a captured write can be repeated no longer than that.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::clock::Moment;
use common::rng::Generator;

use super::message::{TOKEN_LEN, Token};

/// Time between two secrets.
pub const ROTATE_EVERY: Duration = Duration::from_secs(60);

/// How long a holder uses a token: under the least time it holds, with room for the way.
pub const USE_FOR: Duration = Duration::from_secs(55);

/// Issues and checks tokens.
#[derive(Debug)]
pub struct Tokens {
    rng: Generator,
    current: [u8; 32],
    previous: [u8; 32],
    rotated: Moment,
}

impl Tokens {
    /// New secrets from `rng`.
    #[must_use]
    pub fn new(mut rng: Generator, now: Moment) -> Self {
        let (current, previous) = (rng.bytes(), rng.bytes());
        Self {
            rng,
            current,
            previous,
            rotated: now,
        }
    }

    /// The token for `addr`.
    pub fn issue(&mut self, now: Moment, addr: SocketAddr) -> Token {
        self.rotate(now);
        token(&self.current, addr)
    }

    /// Whether `theirs` was issued to `addr` within the last one to two minutes.
    pub fn holds(&mut self, now: Moment, addr: SocketAddr, theirs: &Token) -> bool {
        self.renew(now, addr, Some(theirs)).1
    }

    /// The token for `addr`, and whether `theirs` still counts. Mostly theirs is the one it gets
    /// again, and then one digest does.
    pub fn renew(
        &mut self,
        now: Moment,
        addr: SocketAddr,
        theirs: Option<&Token>,
    ) -> (Token, bool) {
        self.rotate(now);
        let ours = token(&self.current, addr);
        let holds = theirs.is_some_and(|theirs| {
            same(&ours, theirs) || same(&token(&self.previous, addr), theirs)
        });
        (ours, holds)
    }

    fn rotate(&mut self, now: Moment) {
        let age = now.since(self.rotated);
        if age < ROTATE_EVERY {
            return;
        }
        // After a long silence the last secret is too old to count.
        self.previous = if age < 2 * ROTATE_EVERY {
            self.current
        } else {
            self.rng.bytes()
        };
        self.current = self.rng.bytes();
        self.rotated = now;
    }
}

/// No early exit: the time taken says nothing about how much of a guess was right.
fn same(ours: &Token, theirs: &Token) -> bool {
    let differing = |all, (a, b): (&u8, &u8)| all | (a ^ b);
    ours.0.iter().zip(&theirs.0).fold(0, differing) == 0
}

fn token(secret: &[u8; 32], addr: SocketAddr) -> Token {
    let [high, low] = addr.port().to_be_bytes();
    let hash = match addr.ip().to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            blake3::keyed_hash(secret, &[a, b, c, d, high, low])
        }
        IpAddr::V6(ip) => {
            let mut source = [0; 18];
            source[..16].copy_from_slice(&ip.octets());
            source[16..].copy_from_slice(&[high, low]);
            blake3::keyed_hash(secret, &source)
        }
    };
    let mut token = [0; TOKEN_LEN];
    token.copy_from_slice(&hash.as_bytes()[..TOKEN_LEN]);
    Token(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_for_its_address_and_between_one_and_two_minutes() {
        let mut tokens = Tokens::new(Generator::from_seed(1), Moment::ZERO);
        let at = |s| Moment::ZERO + Duration::from_secs(s);
        let addr = "192.0.2.1:7400".parse().unwrap();
        let other = "192.0.2.1:7401".parse().unwrap();
        let token = tokens.issue(at(30), addr);
        assert!(tokens.holds(at(30), addr, &token));
        assert!(!tokens.holds(at(30), other, &token));
        assert!(tokens.holds(at(90), addr, &token));
        assert!(!tokens.holds(at(151), addr, &token));
    }

    #[test]
    fn nothing_holds_after_a_long_silence() {
        let mut tokens = Tokens::new(Generator::from_seed(1), Moment::ZERO);
        let addr = "192.0.2.1:7400".parse().unwrap();
        let token = tokens.issue(Moment::ZERO, addr);
        assert!(!tokens.holds(Moment::from_millis(130_000), addr, &token));
    }
}
