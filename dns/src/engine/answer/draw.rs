//! Which proxies of those alive: near the asker if it is known where that is, else near this server.
//!
//! Two lists are gone through, each from its nearest level to the farthest: the proxies that the
//! asker's place names, then all by their distance from this server. A level is drawn from at random,
//! by weight. The first level that gives two addresses of two sites ends the search: farther ones
//! would only slow somebody down. A level that comes after others that lacked but a second site
//! gives one address of another site and no more. `nearby` weighs those of the asker's place.
//!
//! Allocates nothing.

mod nearby;

use std::net::IpAddr;

use common::rng::Generator;

use self::nearby::Nearby;
pub use self::nearby::weight;
use super::View;
use super::addresses::Addresses;
use crate::engine::config::ADDRESSES_MAX;
use crate::engine::inquiry::{Asker, Subnet};
use crate::engine::live::{Band, Family, LEVELS, RowNumber, Side, Site};
use crate::engine::near::Network;
use crate::engine::near::places::Place;
use crate::engine::reason::Reason;

/// Addresses and sites that are enough: a client whose first address does not answer has another
/// that did not fail with it.
const ENOUGH: usize = 2;

/// Attempts to draw a row that fits from a large band, before the neighbours of the last are looked
/// through; and from a small one, before it is looked through as a whole.
const ATTEMPTS: usize = 12;
const ATTEMPTS_SMALL: usize = 4;

/// Bands up to this many rows are small: by adding up the weights of those that fit one is drawn
/// exactly.
const SMALL: usize = 24;

/// Where the asker is, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub struct Whereabouts<'a> {
    /// The network that stands for the asker; `None` if the resolver gave too few bits of it.
    pub network: Option<Network>,
    /// What is known of it.
    pub place: Option<&'a Place>,
    /// How many bits of the asker's network the choice depends on; `None` if it would be the same for
    /// everybody.
    pub scope: Option<u8>,
}

impl<'a> Whereabouts<'a> {
    /// Where `asker` is. A resolver that names a network asks for that; one that declines to, or has
    /// never heard of it, for itself (RFC 7871 §7.1.2).
    #[must_use]
    pub fn of(view: &View<'a>, asker: &Asker) -> Self {
        let network = Self::network(asker.from, asker.subnet);
        let subnet = asker.subnet.filter(|subnet| subnet.source > 0);
        let bits = subnet.map(|subnet| Network::bits(subnet.address));
        let places = view.places;
        Self {
            network,
            place: network.and_then(|network| places.place(network)),
            // RFC 7871 §7.2.1: with nobody told apart from anybody, one answer is for all.
            scope: bits.filter(|_| !places.is_empty()),
        }
    }
}

impl Whereabouts<'_> {
    /// The network that stands for whoever asks from `from` in the name of `subnet`.
    #[must_use]
    pub fn network(from: IpAddr, subnet: Option<Subnet>) -> Option<Network> {
        match subnet.filter(|subnet| subnet.source > 0) {
            // A network wider than those that are told apart is nowhere in particular.
            Some(Subnet { address, source }) if source < Network::bits(address) => None,
            Some(Subnet { address, .. }) => Some(Network::of(address)),
            None => Some(Network::of(from)),
        }
    }
}

/// How it is known that a proxy is near.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// Proxies measured the round trip to clients of the asker's network.
    Hint,
    /// By the map: nobody has measured anything of the asker's network.
    Map,
    /// It is not: these are this server's own surroundings.
    Own,
}

impl Source {
    /// How what `place` says is known.
    #[must_use]
    pub const fn of(place: &Place) -> Self {
        if place.is_guessed() {
            Self::Map
        } else {
            Self::Hint
        }
    }

    /// The word for explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Map => "map",
            Self::Own => "own",
        }
    }
}

/// What was drawn.
#[derive(Clone, Copy, Debug)]
pub struct Drawn {
    rows: [RowNumber; ADDRESSES_MAX],
    count: usize,
    wanted: usize,
    first_site: Option<Site>,
    two_sites: bool,
    /// How it is known that the first is near, and of which level it is.
    pub first: Option<(Source, u8)>,
    /// Whether each is of the asker's own cluster.
    pub all_innermost: bool,
}

impl Drawn {
    const fn none(wanted: usize) -> Self {
        Self {
            rows: [0; ADDRESSES_MAX],
            count: 0,
            wanted,
            first_site: None,
            two_sites: false,
            first: None,
            all_innermost: true,
        }
    }

    /// The rows, in the order of the answer.
    #[must_use]
    pub fn rows(&self) -> &[RowNumber] {
        self.rows.get(..self.count).unwrap_or_default()
    }

    /// Their addresses.
    #[must_use]
    pub fn addresses(&self, side: &Side) -> Addresses {
        let mut addresses = Addresses::none();
        for row in self.rows().iter().filter_map(|number| side.row(*number)) {
            addresses.push(row.member.address);
        }
        addresses
    }

    /// Why these, in a word.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self.first {
            Some((Source::Hint, 2)) => Reason::Hinted2,
            Some((Source::Hint, 1)) => Reason::Hinted1,
            Some((Source::Hint, _)) => Reason::Hinted0,
            Some((Source::Map, 2)) => Reason::Mapped2,
            Some((Source::Map, 1)) => Reason::Mapped1,
            Some((Source::Map, _)) => Reason::Mapped0,
            Some((Source::Own, 2)) => Reason::Own2,
            Some((Source::Own, 1)) => Reason::Own1,
            Some((Source::Own, _)) | None => Reason::Live,
        }
    }

    fn is_enough(&self) -> bool {
        let enough = ENOUGH.min(self.wanted);
        self.count >= enough && (self.two_sites || enough < ENOUGH)
    }

    fn has(&self, number: RowNumber) -> bool {
        self.rows().contains(&number)
    }

    fn push(&mut self, number: RowNumber, site: Site, from: (Source, u8)) {
        if let Some(slot) = self.rows.get_mut(self.count) {
            *slot = number;
            self.count += 1;
            self.first.get_or_insert(from);
            let first = *self.first_site.get_or_insert(site);
            self.two_sites |= first != site;
            let innermost = matches!(from, (Source::Hint, level) if level + 1 == LEVELS);
            self.all_innermost &= innermost;
        }
    }

    /// Takes from one level what `next` gives, which is told the site to keep away from. The levels
    /// before it were nearer: if they gave addresses enough, and of one site only, this one adds one
    /// of another site and no more.
    fn fill(
        &mut self,
        from: (Source, u8),
        mut next: impl FnMut(&Self, Option<Site>) -> Option<(RowNumber, Site)>,
    ) {
        let only_elsewhere = self.count >= ENOUGH;
        let most = if only_elsewhere { 1 } else { self.wanted };
        for _ in 0..most {
            if self.count >= self.wanted {
                return;
            }
            // A second site comes before a second address.
            let avoided = self.first_site.filter(|_| !self.two_sites);
            let found = next(self, avoided);
            let found = match found {
                None if !only_elsewhere && avoided.is_some() => next(self, None),
                found => found,
            };
            let Some((number, site)) = found else { return };
            self.push(number, site, from);
        }
    }

    fn shuffle(&mut self, rng: &mut Generator) {
        for last in (1..self.count).rev() {
            self.rows.swap(last, rng.below(last + 1));
        }
    }
}

/// Draws up to `wanted` of `side` for whoever is at `place`.
pub fn draw(
    view: &View<'_>,
    (family, side): (Family, &Side),
    place: Option<&Place>,
    wanted: usize,
    rng: &mut Generator,
) -> Drawn {
    let mut drawn = Drawn::none(wanted.min(ADDRESSES_MAX));
    if let Some(place) = place {
        let near = Nearby::of(view, (family, side), place);
        for level in (0..LEVELS).rev() {
            drawn.fill((Source::of(place), level), |drawn, avoided| {
                near.one(drawn, level, avoided, rng)
            });
            if drawn.is_enough() {
                near.explore(&mut drawn, side, rng);
                break;
            }
        }
    }
    for level in (0..LEVELS).rev() {
        if drawn.is_enough() {
            break;
        }
        let band = side.band(level);
        drawn.fill((Source::Own, level), |drawn, avoided| {
            one_of(side, band, drawn, avoided, rng)
        });
    }
    drawn.shuffle(rng);
    drawn
}

/// One of `band` by weight, not drawn yet and not of the site `avoided`.
fn one_of(
    side: &Side,
    band: Band,
    drawn: &Drawn,
    avoided: Option<Site>,
    rng: &mut Generator,
) -> Option<(RowNumber, Site)> {
    let fits = |number: RowNumber| {
        let row = side.row(number)?;
        let good = row.member.weight > 0 && avoided != Some(row.site) && !drawn.has(number);
        good.then_some((number, row.site, u32::from(row.member.weight)))
    };
    let numbers = |from: usize, to: usize| {
        let number = |at| RowNumber::try_from(at).ok();
        (from..to.min(band.to)).filter_map(number)
    };
    let first = side.row(RowNumber::try_from(band.from).ok()?)?;
    if !band.several_sites && avoided == Some(first.site) {
        return None;
    }
    let all = usize::try_from(side.weight(band)).ok()?;
    if all == 0 {
        return None;
    }
    let small = band.to - band.from <= SMALL;
    let mut last = band.from;
    for _ in 0..if small { ATTEMPTS_SMALL } else { ATTEMPTS } {
        let below = u32::try_from(rng.below(all)).ok()?;
        let number = side.at_weight(band, below)?;
        if let Some((number, site, _)) = fits(number) {
            return Some((number, site));
        }
        last = usize::from(number);
    }
    // Nearly all weight is on what does not fit.
    if small {
        return by_weight(|| numbers(band.from, band.to).filter_map(fits), rng);
    }
    let mut rest = numbers(last, last + SMALL).chain(numbers(band.from, band.from + SMALL));
    rest.find_map(fits).map(|(number, site, _)| (number, site))
}

/// One of a few, by weight.
fn by_weight<I: Iterator<Item = (RowNumber, Site, u32)>>(
    few: impl Fn() -> I,
    rng: &mut Generator,
) -> Option<(RowNumber, Site)> {
    let all: u64 = few().map(|(_, _, weight)| u64::from(weight)).sum();
    if all == 0 {
        return None;
    }
    let mut below = rng.below(usize::try_from(all).ok()?) as u64;
    for (number, site, weight) in few() {
        match below.checked_sub(u64::from(weight)) {
            Some(rest) => below = rest,
            None => return Some((number, site)),
        }
    }
    None
}

#[cfg(test)]
pub(super) mod tests;
