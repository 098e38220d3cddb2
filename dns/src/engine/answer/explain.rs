//! Why an answer names whom it names: one draw for an asker, and what became of every proxy that
//! might have been drawn.
//!
//! Drawn with the same stages as answers; the next answer is another draw.

use std::net::IpAddr;
use std::time::Duration;

use common::rng::Generator;

use super::View;
use super::draw::{Drawn, Source, Whereabouts, draw};
use crate::engine::inquiry::Asker;
use crate::engine::live::{Family, LEVELS, RowNumber, Site};
use crate::engine::reason::Reason;

/// Proxies of this server's own surroundings that are shown.
const SHOWN_MAX: usize = 32;

/// What became of a proxy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// It is named.
    Chosen,
    /// Others of its level were drawn.
    NotDrawn,
    /// Nearer ones were enough.
    Farther,
    /// It has no capacity to spare.
    Full,
    /// It is not verified to be alive.
    NotAlive,
    /// Its address is of the other family.
    OtherFamily,
}

impl Verdict {
    /// The word for people and tools.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::NotDrawn => "not_drawn",
            Self::Farther => "farther",
            Self::Full => "full",
            Self::NotAlive => "not_alive",
            Self::OtherFamily => "other_family",
        }
    }
}

/// A proxy that might have been drawn.
#[derive(Clone, Debug)]
pub struct Line {
    /// It.
    pub proxy: IpAddr,
    /// How it is known to be near.
    pub source: Source,
    /// How far it is from the asker's network, if that is known.
    pub rtt: Option<Duration>,
    /// How near it counts.
    pub level: u8,
    /// Its site.
    pub site: String,
    /// Its weight by spare capacity; 0 unless it is alive.
    pub weight: u8,
    /// What became of it.
    pub verdict: Verdict,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// First address of the network that stands for the asker; `None` if the resolver gave too few
    /// bits of it.
    pub network: Option<IpAddr>,
    /// How its place is known.
    pub source: Source,
    /// Why the answer looks as it does.
    pub reason: Reason,
    /// Seconds it may be kept.
    pub ttl: u32,
    /// Bits of the asker's network that it depends on, for resolvers that name one.
    pub scope: Option<u8>,
    /// Who might have been drawn, those of the asker's place first.
    pub lines: Vec<Line>,
}

/// Explains the choice of proxies of `family` for `asker`.
#[must_use]
pub fn explain(view: &View<'_>, rng: &mut Generator, family: Family, asker: &Asker) -> Explanation {
    let whereabouts = Whereabouts::of(view, asker);
    let side = view.live.side(family);
    let wanted = view.config.count.min(asker.room);
    let drawn = draw(view, (family, side), whereabouts.place, wanted, rng);
    let mut lines = placed(view, family, &whereabouts, &drawn);
    let known: Vec<_> = lines.iter().map(|line| line.proxy).collect();
    let least = least_level(view, family, &drawn);
    let others = (0..).zip(side.rows());
    let others = others.filter(|(_, row)| !known.contains(&row.member.address));
    let line = |(number, row): (RowNumber, &crate::engine::live::Row)| Line {
        proxy: row.member.address,
        source: Source::Own,
        rtt: None,
        level: row.member.level,
        site: Site::text(row.member.address),
        weight: row.member.weight,
        verdict: verdict(&drawn, number, row.member.weight, row.member.level, least),
    };
    lines.extend(others.map(line).take(SHOWN_MAX));
    Explanation {
        network: whereabouts
            .network
            .map(crate::engine::near::Network::address),
        source: whereabouts.place.map_or(Source::Own, Source::of),
        reason: drawn.reason(),
        ttl: if drawn.all_innermost {
            view.config.near_ttl
        } else {
            view.config.ttl
        },
        scope: whereabouts.scope,
        lines,
    }
}

/// The proxies of the asker's place.
fn placed(
    view: &View<'_>,
    family: Family,
    whereabouts: &Whereabouts<'_>,
    drawn: &Drawn,
) -> Vec<Line> {
    let Some(place) = whereabouts.place else {
        return Vec::new();
    };
    let least = place
        .near()
        .iter()
        .filter(|near| {
            let number = view.rows.number(family, near.proxy);
            number.is_some_and(|number| drawn.rows().contains(&number))
        })
        .map(|near| view.config.levels.of(near.rtt()))
        .min();
    let line = |near: &crate::engine::near::places::Near| {
        let proxy = view.places.proxy(near.proxy)?.ip();
        let number = view.rows.number(family, near.proxy);
        let row = number.and_then(|number| view.live.side(family).row(number));
        let level = view.config.levels.of(near.rtt());
        let of_family = proxy.is_ipv4() == (family == Family::V4);
        let weight = row.map_or(0, |row| row.member.weight);
        let verdict = match number {
            Some(number) => verdict(drawn, number, weight, level, least.unwrap_or(LEVELS)),
            None if of_family => Verdict::NotAlive,
            None => Verdict::OtherFamily,
        };
        Some(Line {
            proxy,
            source: Source::of(place),
            rtt: Some(near.rtt()),
            level,
            site: Site::text(proxy),
            weight,
            verdict,
        })
    };
    place.near().iter().filter_map(line).collect()
}

/// The farthest of this server's own levels that was drawn from.
fn least_level(view: &View<'_>, family: Family, drawn: &Drawn) -> u8 {
    if matches!(drawn.first, Some((Source::Hint | Source::Map, _))) {
        return LEVELS;
    }
    let side = view.live.side(family);
    let rows = drawn.rows().iter().filter_map(|number| side.row(*number));
    rows.map(|row| row.member.level).min().unwrap_or(LEVELS)
}

fn verdict(drawn: &Drawn, number: RowNumber, weight: u8, level: u8, least: u8) -> Verdict {
    if drawn.rows().contains(&number) {
        Verdict::Chosen
    } else if weight == 0 {
        Verdict::Full
    } else if level < least {
        Verdict::Farther
    } else {
        Verdict::NotDrawn
    }
}

#[cfg(test)]
mod tests {
    use common::clock::Moment;

    use super::*;
    use crate::engine::answer::draw::tests::{CLIENT, asker, ip, member, proxy, snapshot};
    use crate::engine::snapshot::Snapshot;

    fn of(
        snapshot: &Snapshot,
        family: Family,
        from: &str,
        subnet: Option<(&str, u8)>,
    ) -> Explanation {
        let view = View::new(snapshot, Moment::ZERO);
        explain(
            &view,
            &mut Generator::from_seed(3),
            family,
            &asker(from, subnet),
        )
    }

    fn verdicts(explanation: &Explanation) -> Vec<(IpAddr, Verdict)> {
        let lines = explanation.lines.iter();
        lines.map(|line| (line.proxy, line.verdict)).collect()
    }

    #[test]
    fn every_proxy_of_the_place_has_a_verdict_and_the_nearest_come_first() {
        let live = [
            member(proxy(1, 1), 0, 10),
            member(proxy(2, 1), 0, 10),
            member(proxy(3, 1), 0, 10),
            member(proxy(4, 1), 0, 0),
            member(proxy(5, 1), 2, 10),
        ];
        let near = [
            (proxy(4, 1), 1),
            (proxy(1, 1), 4),
            (proxy(9, 9), 5),
            (ip("2001:db8::1"), 6),
            (proxy(2, 1), 7),
            (proxy(3, 1), 35),
        ];
        let snapshot = snapshot(&live, &near);
        let why = of(&snapshot, Family::V4, CLIENT, None);
        assert_eq!(
            verdicts(&why),
            [
                (proxy(4, 1), Verdict::Full),
                (proxy(1, 1), Verdict::Chosen),
                (proxy(9, 9), Verdict::NotAlive),
                (ip("2001:db8::1"), Verdict::OtherFamily),
                (proxy(2, 1), Verdict::Chosen),
                (proxy(3, 1), Verdict::Farther),
                // Known to be alive, and near this server, but not near the client.
                (proxy(5, 1), Verdict::Farther),
            ]
        );
        assert_eq!((why.source, why.reason), (Source::Hint, Reason::Hinted2));
        assert_eq!((why.ttl, why.scope), (60, None));
        assert_eq!(why.network, Some(ip("81.2.3.0")));
        let rtts: Vec<_> = why.lines.iter().map(|line| line.rtt).collect();
        assert_eq!(rtts[1], Some(Duration::from_millis(4)));
        assert_eq!((rtts[6], why.lines[6].source), (None, Source::Own));
    }

    #[test]
    fn where_the_asker_is_unknown_the_servers_own_levels_explain_it() {
        let live = [
            member(proxy(1, 1), 2, 10),
            member(proxy(2, 1), 2, 10),
            member(proxy(3, 1), 1, 10),
            member(proxy(4, 1), 2, 0),
        ];
        let snapshot = snapshot(&live, &[]);
        let why = of(&snapshot, Family::V4, "9.9.9.9", Some(("81.0.0.0", 8)));
        assert_eq!((why.source, why.reason), (Source::Own, Reason::Own2));
        assert_eq!((why.network, why.ttl), (None, 30));
        let mut verdicts = verdicts(&why);
        verdicts.sort_unstable();
        assert_eq!(
            verdicts,
            [
                (proxy(1, 1), Verdict::Chosen),
                (proxy(2, 1), Verdict::Chosen),
                (proxy(3, 1), Verdict::Farther),
                (proxy(4, 1), Verdict::Full),
            ]
        );
    }

    #[test]
    fn of_many_only_so_many_are_shown() {
        let live: Vec<_> = (0..=255).map(|n| member(proxy(n, 1), 0, 10)).collect();
        let why = of(&snapshot(&live, &[]), Family::V4, CLIENT, None);
        assert_eq!(why.lines.len(), SHOWN_MAX);
        assert_eq!(why.reason, Reason::Live);
    }

    #[test]
    fn each_verdict_has_a_word_of_its_own() {
        use Verdict::{Chosen, Farther, Full, NotAlive, NotDrawn, OtherFamily};
        let all = [Chosen, NotDrawn, Farther, Full, NotAlive, OtherFamily];
        let words: std::collections::BTreeSet<_> = all.map(Verdict::as_str).into();
        assert_eq!(words.len(), all.len());
    }
}
