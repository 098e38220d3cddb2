//! Which of the proxies known this server checks, and so may name: its share.
//!
//! Pure ranking. Seats are few because checks cost (docs/adr/0032-working-set.md); who holds one is
//! decided by why he is wanted, then by a hash of this server and the proxy, so that several servers
//! take different ones without a word between them. Nobody takes another server's word for a proxy.

use std::cmp::Reverse;
use std::net::SocketAddr;

use common::ids::Key;

/// Why a proxy is checked, the best reason first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Why {
    /// The configuration names it.
    Fixed,
    /// It is near clients that ask.
    Wanted,
    /// It is near this server.
    Cluster,
    /// It falls to this server by the hash.
    Share,
}

impl Why {
    /// Every reason, in the order of the gauges.
    pub const ALL: [Self; 4] = [Self::Fixed, Self::Wanted, Self::Cluster, Self::Share];

    /// The word for metrics and the state page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Wanted => "wanted",
            Self::Cluster => "cluster",
            Self::Share => "share",
        }
    }
}

/// A place in the order of proxies by the hash; lower comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Draw(u64);

impl Draw {
    /// The place of `proxy` at the server called `server` (rendezvous hashing, Thaler and Ravishankar
    /// 1998): it depends on nothing else, so that others coming and going move nobody.
    #[must_use]
    pub fn of(server: &str, proxy: SocketAddr) -> Self {
        let key = Key::of(format!("{server}\n{proxy}").as_bytes());
        let [head, ..] = key.as_bytes().as_chunks().0 else {
            return Self(0);
        };
        Self(u64::from_be_bytes(*head))
    }
}

/// What a proxy has to say for itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bid {
    /// Who.
    pub proxy: SocketAddr,
    /// Its best reason.
    pub why: Why,
    /// Its place by the hash.
    pub draw: Draw,
    /// Whether it has a seat.
    pub seated: bool,
    /// Whether it has long been dead: then everybody else goes first.
    pub resting: bool,
}

impl Bid {
    /// Who is nearest or most wanted changes with every look; a seat decides between equals there. By
    /// the hash the order itself is steady.
    fn rank(&self) -> impl Ord + use<> {
        let newcomer = self.why != Why::Share && !self.seated;
        (self.resting, self.why, newcomer, self.draw)
    }
}

/// Who is to rise and who is to sit down.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Moves {
    /// They give up their seats.
    pub rise: Vec<SocketAddr>,
    /// They get one, with the reason.
    pub sit: Vec<(SocketAddr, Why)>,
}

/// Deals `seats` among `bids`. Free seats are taken at once; of taken ones at most `swaps` change
/// hands, the worst for the best, so that names do not leave answers in crowds.
#[must_use]
pub fn deal(mut bids: Vec<Bid>, seats: usize, swaps: usize) -> Moves {
    bids.sort_unstable_by_key(Bid::rank);
    let seated = bids.iter().filter(|bid| bid.seated).count();
    let at = bids.len().min(seats);
    let (first, rest) = bids.split_at(at);
    let mut worst: Vec<_> = rest.iter().filter(|bid| bid.seated).collect();
    worst.sort_unstable_by_key(|bid| Reverse(bid.rank()));
    // More seated than there are seats happens once, when the setting says less.
    let surplus = seated.saturating_sub(seats);
    let rise: Vec<_> = worst.into_iter().take(surplus + swaps).collect();
    let free = seats.saturating_sub(seated - rise.len().min(seated));
    let sit = first.iter().filter(|bid| !bid.seated).take(free);
    Moves {
        sit: sit.map(|bid| (bid.proxy, bid.why)).collect(),
        rise: rise.into_iter().map(|bid| bid.proxy).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn proxy(n: u16) -> SocketAddr {
        format!("10.0.{}.{}:80", n >> 8, n & 255).parse().unwrap()
    }

    fn bid(n: u16, why: Why, seated: bool) -> Bid {
        Bid {
            proxy: proxy(n),
            why,
            draw: Draw::of("ns1", proxy(n)),
            seated,
            resting: false,
        }
    }

    fn sitting(moves: &Moves) -> BTreeSet<SocketAddr> {
        moves.sit.iter().map(|(proxy, _)| *proxy).collect()
    }

    #[test]
    fn seats_go_to_the_better_reason_first() {
        let whys = [Why::Share, Why::Cluster, Why::Wanted, Why::Fixed];
        let bids: Vec<_> = whys
            .iter()
            .zip(0..)
            .map(|(why, n)| bid(n, *why, false))
            .collect();
        let moves = deal(bids, 3, 1);
        assert_eq!(
            moves.sit,
            [
                (proxy(3), Why::Fixed),
                (proxy(2), Why::Wanted),
                (proxy(1), Why::Cluster)
            ]
        );
        assert_eq!(moves.rise, []);
    }

    #[test]
    fn several_servers_share_what_nobody_asks_for() {
        let of = |server: &str| {
            let bids = (0..10_000).map(|n| Bid {
                draw: Draw::of(server, proxy(n)),
                ..bid(n, Why::Share, false)
            });
            sitting(&deal(bids.collect(), 1_000, 1))
        };
        let servers = [of("ns1"), of("ns2"), of("ns3"), of("ns4")];
        let all: BTreeSet<_> = servers.iter().flatten().collect();
        // Four who draw 10 % each without talking cover 1 - 0.9^4 = 34.4 %.
        assert!((3_300..3_600).contains(&all.len()), "{}", all.len());
    }

    #[test]
    fn a_seat_is_kept_against_equals_and_lost_to_better_ones_a_few_at_a_time() {
        let wanted = |n, seated| bid(n, Why::Wanted, seated);
        let mut bids: Vec<_> = (0..100).map(|n| wanted(n, true)).collect();
        bids.extend((100..200).map(|n| wanted(n, false)));
        assert_eq!(deal(bids.clone(), 100, 5), Moves::default());

        bids.extend((200..220).map(|n| bid(n, Why::Fixed, false)));
        let moves = deal(bids, 100, 5);
        assert_eq!((moves.rise.len(), moves.sit.len()), (5, 5));
        assert!(moves.sit.iter().all(|(_, why)| *why == Why::Fixed));
    }

    #[test]
    fn the_long_dead_make_room_whatever_their_reason() {
        let dead = Bid {
            resting: true,
            ..bid(0, Why::Wanted, true)
        };
        let moves = deal(vec![dead, bid(1, Why::Share, false)], 1, 1);
        assert_eq!(moves.rise, [proxy(0)]);
        assert_eq!(moves.sit, [(proxy(1), Why::Share)]);
        // With room for both nobody has to go.
        let moves = deal(vec![dead, bid(1, Why::Share, false)], 2, 1);
        assert_eq!(moves.rise, []);
    }

    #[test]
    fn fewer_seats_than_are_taken_empties_the_worst() {
        let bids: Vec<_> = (0..10).map(|n| bid(n, Why::Share, true)).collect();
        let moves = deal(bids, 4, 0);
        assert_eq!((moves.rise.len(), moves.sit.len()), (6, 0));
    }
}
