//! Whom a fetch under way draws its bytes from, and so who may draw from it.
//!
//! Proxies stream from fetches under way at other proxies, and change their source when it dies.
//! Were a fetch that itself draws from a peer to serve others, two that change at the same moment
//! could end up waiting for each other. So only who draws from the origin, or has all of it, serves;
//! who draws from a peer refers to that peer; who is looking lets others wait until it has chosen.
//!
//! No circle can close: of the steps that made it, look at the one granted last. Who granted it drew
//! from the origin at that time, yet its own step in the circle was granted before and it says from
//! before it asks that it draws from a peer.

use std::net::SocketAddr;

/// Where a fetch's bytes come from at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drawing {
    /// Nowhere: it asks the index, which takes a bounded time.
    Seeking,
    /// The origin, asked or answering.
    Origin,
    /// Another proxy, asked or answering.
    Peer(SocketAddr),
}

impl Drawing {
    /// The word on the state page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seeking => "index",
            Self::Origin => "origin",
            Self::Peer(_) => "peer",
        }
    }
}

/// What there is of an answer that a peer might have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    /// No head yet.
    Nothing,
    /// Its head, and what has come of its body.
    Part,
    /// All of it.
    Whole,
    /// Something that this peer may not have, or no answer at all.
    Unusable,
}

/// What a peer that comes to a fetch under way gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Joining {
    /// It waits until more is known.
    Wait,
    /// The answer.
    Serve,
    /// The name of another, who serves us as well.
    See(SocketAddr),
    /// Nothing.
    Nothing,
}

impl Drawing {
    /// What a peer gets of a fetch that draws from here and has this to offer.
    #[must_use]
    pub const fn joining(self, offer: Offer) -> Joining {
        match (offer, self) {
            (Offer::Unusable, _) => Joining::Nothing,
            (Offer::Whole, _) | (Offer::Part, Self::Origin) => Joining::Serve,
            (Offer::Part | Offer::Nothing, Self::Peer(other)) => Joining::See(other),
            (Offer::Part, Self::Seeking) | (Offer::Nothing, Self::Seeking | Self::Origin) => {
                Joining::Wait
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_draws_from_the_origin_or_has_all_of_it_serves() {
        let other = SocketAddr::from(([127, 0, 0, 1], 1));
        let all = [Drawing::Seeking, Drawing::Origin, Drawing::Peer(other)];
        let of = |offer| all.map(|drawing| drawing.joining(offer));
        use Joining::{Nothing, See, Serve, Wait};
        assert_eq!(of(Offer::Nothing), [Wait, Wait, See(other)]);
        assert_eq!(of(Offer::Part), [Wait, Serve, See(other)]);
        assert_eq!(of(Offer::Whole), [Serve, Serve, Serve]);
        assert_eq!(of(Offer::Unusable), [Nothing, Nothing, Nothing]);
    }
}
