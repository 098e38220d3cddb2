//! The network between the nodes: how long datagrams take, and everything that befalls them.
//!
//! # Where nodes sit
//!
//! Node `i` sits at site `i mod S` of a matrix with `S` sites. The first node of a site is the
//! measured host itself. Every further one adds a last mile of its own to each of its round trips:
//! 0.2 to 20 ms, as many between 0.2 and 2 as between 2 and 20 (log-uniform: few are far out, and
//! those are ten times as far). Two nodes of one site are 0.1 to 1 ms apart before their last
//! miles. Half of a round trip is taken each way.
//!
//! # Not modelled
//!
//! Bandwidth and queues in routers: a pointer's datagram is small, and what a full link does is
//! delay and loss, which can be asked for. Path changes: one time slice of a matrix holds for a
//! run. Fragmentation: no datagram exceeds 1,200 bytes, and a checker says so.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use common::rng::Generator;

use crate::matrix::Matrix;

/// One in a million, the unit of all shares here: whole numbers, so that every machine agrees.
pub(crate) type Ppm = u32;

/// All of it.
pub(crate) const WHOLE: Ppm = 1_000_000;

/// Last mile of a further node of a site, least and most, in microseconds of round trip.
const LAST_MILE: (u32, u32) = (200, 20_000);

/// Apart within a site, least and most, in microseconds of round trip.
const WITHIN_SITE: (u32, u32) = (100, 1_000);

/// Hosts per third address byte; addresses of one site share a /24, as those of one network do.
const HOSTS_PER_BLOCK: usize = 250;

/// Everything that can be wrong with the network and the machines in it. `Sins::default()` is a
/// network without fault.
#[derive(Clone, Debug)]
pub(crate) struct Sins {
    /// Extra delay of each datagram: up to this share of its latency.
    pub(crate) jitter: Ppm,
    /// Datagrams that vanish.
    pub(crate) loss: Ppm,
    /// Datagrams that arrive twice, the second time as if it had been sent a little later.
    pub(crate) duplicate: Ppm,
    /// Datagrams held back so that later ones overtake them.
    pub(crate) reorder: Ppm,
    /// How long such datagrams, and second copies, are held back at most.
    pub(crate) held_back: Duration,
    /// Datagrams that arrive with one bit flipped.
    pub(crate) corrupt: Ppm,
    /// Ordered pairs of nodes of which the first never reaches the second.
    pub(crate) one_way: Ppm,
    /// Pairs of nodes that never reach each other, though others reach both.
    pub(crate) severed: Ppm,
    /// Times when the sites were divided.
    pub(crate) partitions: Vec<Partition>,
    /// Node clocks run too fast or too slow by up to this.
    pub(crate) drift: Ppm,
    /// Nodes whose clock stands still for a minute, some time in the first ten minutes.
    pub(crate) stopped: Ppm,
    /// Nodes that get no processor now and then: their timers and datagrams wait.
    pub(crate) starved: Ppm,
    /// How often that happens to such a node.
    pub(crate) starved_every: Duration,
    /// For how long each time.
    pub(crate) starved_for: Duration,
    /// Time a node works on a datagram before it answers; zero is no time at all.
    pub(crate) service: Duration,
    /// Datagrams that wait for a starved or busy node; more are lost, as in a socket's buffer.
    pub(crate) inbox: usize,
}

impl Default for Sins {
    fn default() -> Self {
        Self {
            jitter: 0,
            loss: 0,
            duplicate: 0,
            reorder: 0,
            held_back: Duration::from_millis(200),
            corrupt: 0,
            one_way: 0,
            severed: 0,
            partitions: Vec::new(),
            drift: 0,
            stopped: 0,
            starved: 0,
            starved_every: Duration::from_secs(60),
            starved_for: Duration::from_secs(2),
            service: Duration::ZERO,
            // 212,992 bytes of receive buffer, the usual default, at about 830 bytes of kernel
            // memory for a datagram of ours.
            inbox: 256,
        }
    }
}

/// For a while some sites reach only each other, and so do the rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Partition {
    /// From when.
    pub(crate) from: Moment,
    /// Until when.
    pub(crate) until: Moment,
    /// Sites on the smaller side.
    pub(crate) share: Ppm,
}

/// Why a datagram did not arrive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Loss {
    /// By chance.
    Chance,
    /// These two never reach each other in this direction.
    Severed,
    /// Sender and receiver are on two sides of a partition.
    Partition,
    /// Nobody has that address.
    Nowhere,
    /// Nobody is up at that address.
    Dead,
    /// The receiver is starved or busy and its buffer is full.
    Inbox,
}

impl Loss {
    /// Every one.
    pub(crate) const ALL: [Self; 6] = [
        Self::Chance,
        Self::Severed,
        Self::Partition,
        Self::Nowhere,
        Self::Dead,
        Self::Inbox,
    ];

    /// The word for reports.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Chance => "chance",
            Self::Severed => "severed",
            Self::Partition => "partition",
            Self::Nowhere => "nowhere",
            Self::Dead => "dead",
            Self::Inbox => "inbox",
        }
    }
}

/// What becomes of a datagram that is not lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passage {
    /// It arrives after this.
    pub(crate) after: Duration,
    /// It arrives again after this.
    pub(crate) again: Option<Duration>,
    /// This bit of it is flipped, modulo its length.
    pub(crate) flipped: Option<usize>,
}

/// The network.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) sins: Sins,
    matrix: Matrix,
    salt: u64,
    port: u16,
}

impl Net {
    /// A network over `matrix`; `rng` decides who is severed from whom, and all addresses.
    pub(crate) fn new(matrix: Matrix, sins: Sins, rng: &mut Generator) -> Self {
        let salt = rng.u64();
        // Node ids follow from addresses, so another port is another set of ids.
        let port = u16::try_from(2_000 + rng.below(60_000)).unwrap_or(7_400);
        Self {
            sins,
            matrix,
            salt,
            port,
        }
    }

    /// The address of a node.
    pub(crate) fn addr(&self, node: usize) -> SocketAddr {
        let (site, host) = (node % self.matrix.sites(), node / self.matrix.sites());
        let byte = |value: usize| u8::try_from(value % 256).unwrap_or(0);
        let block = 10 + host / HOSTS_PER_BLOCK;
        let last = host % HOSTS_PER_BLOCK + 1;
        SocketAddr::from((
            [byte(block), byte(site / 256), byte(site), byte(last)],
            self.port,
        ))
    }

    /// The node that `addr` belongs to, if any node could have it.
    pub(crate) fn node_at(&self, addr: SocketAddr) -> Option<usize> {
        let SocketAddr::V4(addr) = addr else {
            return None;
        };
        let [block, high, low, last] = addr.ip().octets().map(usize::from);
        let host = block.checked_sub(10)? * HOSTS_PER_BLOCK + last.checked_sub(1)?;
        let site = high * 256 + low;
        let known = site < self.matrix.sites() && addr.port() == self.port;
        known.then(|| host * self.matrix.sites() + site)
    }

    /// From one node to another and back without any jitter.
    pub(crate) fn round_trip(&self, a: usize, b: usize) -> Duration {
        let sites = self.matrix.sites();
        let (here, there) = (a % sites, b % sites);
        let between = if a == b {
            0
        } else if here == there {
            let (least, most) = WITHIN_SITE;
            least + self.chance(5, a.min(b), a.max(b)) % (most - least)
        } else {
            self.matrix.round_trip(here, there)
        };
        let micros = between + self.last_mile(a) + self.last_mile(b);
        Duration::from_micros(u64::from(micros))
    }

    /// What becomes of a datagram sent now.
    pub(crate) fn passage(
        &self,
        rng: &mut Generator,
        now: Moment,
        from: usize,
        to: usize,
    ) -> Result<Passage, Loss> {
        if self.divided(now, from, to) {
            return Err(Loss::Partition);
        }
        if self.severed(from, to) {
            return Err(Loss::Severed);
        }
        if happens(rng, self.sins.loss) {
            return Err(Loss::Chance);
        }
        let direct = self.round_trip(from, to) / 2;
        let jitter = direct * self.sins.jitter / WHOLE;
        let held_back = self.sins.held_back;
        let mut after = direct + rng.jitter(jitter);
        if happens(rng, self.sins.reorder) {
            after += rng.jitter(held_back);
        }
        let again = happens(rng, self.sins.duplicate).then(|| after + rng.jitter(held_back));
        let flipped = happens(rng, self.sins.corrupt).then(|| rng.below(1 << 14));
        Ok(Passage {
            after,
            again,
            flipped,
        })
    }

    /// Whether a partition is on that has these two on different sides.
    pub(crate) fn divided(&self, now: Moment, a: usize, b: usize) -> bool {
        let on = |partition: &&Partition| partition.from <= now && now < partition.until;
        let parted = |p: &Partition| self.side(p.share, a) != self.side(p.share, b);
        self.sins.partitions.iter().filter(on).any(parted)
    }

    /// Whether a node is on the smaller side of a partition that takes off `share` of the sites.
    pub(crate) fn side(&self, share: Ppm, node: usize) -> bool {
        self.chance(1, node % self.matrix.sites(), 0) < share
    }

    fn severed(&self, from: usize, to: usize) -> bool {
        let Sins {
            severed, one_way, ..
        } = self.sins;
        (severed > 0 && self.chance(2, from.min(to), from.max(to)) < severed)
            || (one_way > 0 && self.chance(3, from, to) < one_way)
    }

    /// Log-uniform between the bounds: a decade is drawn, then a place in it.
    fn last_mile(&self, node: usize) -> u32 {
        if node < self.matrix.sites() {
            return 0;
        }
        let (least, most) = LAST_MILE;
        let decade = self.chance(4, node, 0) % 2;
        let low = least * 10_u32.pow(decade);
        // Within a decade, the square of a uniform share leans to the near end as a logarithm does.
        let share = u64::from(self.chance(4, node, 1));
        let leaned = u32::try_from(share * share / u64::from(WHOLE)).unwrap_or(WHOLE);
        let span = u64::from(low * 9) * u64::from(leaned) / u64::from(WHOLE);
        (low + u32::try_from(span).unwrap_or(0)).min(most)
    }

    /// A number below [`WHOLE`] that is always the same for these, and for this run only.
    fn chance(&self, what: u64, a: usize, b: usize) -> u32 {
        let mut mixed = self.salt ^ what.rotate_left(56);
        for word in [a as u64, b as u64] {
            mixed = mix(mixed ^ word);
        }
        u32::try_from(mixed % u64::from(WHOLE)).unwrap_or(0)
    }
}

/// Whether something of that likelihood happens. Draws nothing when it cannot.
pub(crate) fn happens(rng: &mut Generator, share: Ppm) -> bool {
    share > 0 && rng.below(WHOLE as usize) < share as usize
}

/// Steele, Lea and Flood's `SplitMix64` finaliser: every bit of the input moves every bit out.
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(sins: Sins) -> Net {
        let matrix = Matrix::open("planetlab").unwrap();
        Net::new(matrix, sins, &mut Generator::from_seed(1))
    }

    #[test]
    fn every_node_has_an_address_of_its_own_that_leads_back_to_it() {
        let net = net(Sins::default());
        for node in [0, 1, 489, 490, 9_999, 200_000] {
            assert_eq!(net.node_at(net.addr(node)), Some(node));
        }
        assert_eq!(net.node_at("192.0.2.1:1".parse().unwrap()), None);
    }

    #[test]
    fn first_nodes_are_the_measured_hosts_and_others_are_a_last_mile_away() {
        let net = net(Sins::default());
        assert_eq!(net.round_trip(0, 3), Duration::from_micros(121_420));
        let mut miles: Vec<_> = (490..10_000).map(|node| net.last_mile(node)).collect();
        miles.sort_unstable();
        assert!(miles[0] >= 200 && miles[miles.len() - 1] <= 20_000);
        let middle = miles[miles.len() / 2];
        assert!((1_500..2_600).contains(&middle), "{middle}");
        assert!(net.round_trip(490, 0) >= Duration::from_micros(300));
    }

    #[test]
    fn sins_happen_as_often_as_asked() {
        let sins = Sins {
            loss: 100_000,
            severed: 90_000,
            duplicate: 200_000,
            corrupt: 10_000,
            ..Sins::default()
        };
        let net = net(sins);
        let mut rng = Generator::from_seed(2);
        let all: Vec<_> = (0..100_000)
            .map(|n| net.passage(&mut rng, Moment::ZERO, n % 317, 317 + n % 1_009))
            .collect();
        let share = |count: usize| count * 1_000 / all.len();
        let lost = |why| {
            all.iter()
                .filter(|p| p.as_ref().err() == Some(&why))
                .count()
        };
        let passed: Vec<_> = all.iter().flatten().collect();
        assert!((80..100).contains(&share(lost(Loss::Severed))));
        assert!((85..97).contains(&share(lost(Loss::Chance))));
        let twice = passed.iter().filter(|p| p.again.is_some()).count();
        assert!((155..172).contains(&share(twice)));
        assert!(passed.iter().any(|p| p.flipped.is_some()));
    }

    #[test]
    fn a_partition_divides_sites_and_ends() {
        let partition = Partition {
            from: Moment::from_millis(10),
            until: Moment::from_millis(20),
            share: WHOLE / 2,
        };
        let net = net(Sins {
            partitions: vec![partition],
            ..Sins::default()
        });
        let here = (0..490).filter(|n| net.side(WHOLE / 2, *n)).count();
        assert!((180..310).contains(&here), "{here}");
        let other = (1..490).find(|n| net.side(WHOLE / 2, *n) != net.side(WHOLE / 2, 0));
        let other = other.unwrap();
        let at = Moment::from_millis;
        assert!(!net.divided(at(9), 0, other) && !net.divided(at(20), 0, other));
        assert!(net.divided(at(10), 0, other) && !net.divided(at(10), 0, 490));
    }
}
