//! The proxies that the asker's place names: how they are weighed, when one more is worth naming, and
//! when an answer tries another.

use std::time::Duration;

use common::rng::Generator;

use super::{Drawn, ENOUGH, Source, by_weight, one_of};
use crate::engine::answer::View;
use crate::engine::live::{Family, RowNumber, Side, Site};
use crate::engine::near::places::{NEAR_MAX, Place};

/// By level of the nearest known: one answer in so many has an address of a proxy that counts as
/// farther. In the world nothing is lost by it; in the outer cluster it costs a client in sixteen a
/// longer way, until one of the inner is found.
const EXPLORE_ONE_IN: [usize; 2] = [1, 4];

/// Of the answers to those who are near nobody known, one in so many tries any proxy there is, the
/// others one of those that were measured.
const ANY_ONE_IN: usize = 2;

/// Added to both round trips when proxies of one level are compared: differences below it are noise.
const BLUR: Duration = Duration::from_millis(5);

/// The first address, and those beside others that are enough, are no more than so many times as far
/// as the nearest: browsers try the addresses in any order, and a third that never fails is no help to
/// whoever goes there first.
const CLOSE: u32 = 2;

/// A proxy of the asker's place that can be named.
#[derive(Clone, Copy)]
struct Candidate {
    number: RowNumber,
    site: Site,
    level: u8,
    weight: u32,
    /// Whether it is worth naming beside others that are enough.
    close: bool,
}

/// Those of the asker's place that can be named.
pub(super) struct Nearby([Option<Candidate>; NEAR_MAX]);

impl Nearby {
    /// Those that can be named.
    pub(super) fn of(view: &View<'_>, (family, side): (Family, &Side), place: &Place) -> Self {
        let mut candidates = [None; NEAR_MAX];
        let mut nearest = None;
        for (slot, near) in candidates.iter_mut().zip(place.near()) {
            let number = view.rows.number(family, near.proxy);
            let Some((number, row)) = number.and_then(|n| Some((n, side.row(n)?))) else {
                continue;
            };
            let rtt = near.rtt();
            // What has nothing to spare is no measure for the others.
            if row.member.weight > 0 {
                nearest.get_or_insert(rtt);
            }
            let nearest = nearest.unwrap_or(rtt);
            *slot = Some(Candidate {
                number,
                site: row.site,
                level: view.config.levels.of(rtt),
                weight: weight(row.member.weight, rtt, nearest),
                close: rtt + BLUR <= (nearest + BLUR) * CLOSE,
            });
        }
        Self(candidates)
    }

    /// Where the nearest known are not very near, some answers have an address of a proxy that may be
    /// nearer or not: whoever goes there measures it.
    pub(super) fn explore(&self, drawn: &mut Drawn, side: &Side, rng: &mut Generator) {
        let level = drawn.first.map_or(0, |(_, level)| level);
        let Some(one_in) = EXPLORE_ONE_IN.get(usize::from(level)) else {
            return;
        };
        if drawn.wanted <= ENOUGH || rng.below(*one_in) > 0 {
            return;
        }
        // Where none is near, the near ones may be none of those that anybody spoke of.
        let found = if level == 0 && rng.below(ANY_ONE_IN) == 0 {
            one_of(side, side.all(), drawn, None, rng)
        } else {
            self.farther(level, drawn, rng)
        };
        if let Some((number, site)) = found {
            drawn.count = drawn.count.min(drawn.wanted - 1);
            drawn.push(number, site, (Source::Hint, 0));
        }
    }

    /// Any of the asker's place that counts as farther than those of `level`.
    fn farther(&self, level: u8, drawn: &Drawn, rng: &mut Generator) -> Option<(RowNumber, Site)> {
        let others = || {
            let all = self.0.iter().flatten();
            all.filter(|other| {
                other.level < level.max(1) && other.weight > 0 && !drawn.has(other.number)
            })
        };
        let at = rng.below(others().count().max(1));
        others().nth(at).map(|found| (found.number, found.site))
    }

    /// One of `level`, by weight: of those that are hardly farther than the nearest, but where a
    /// second address or site is lacking.
    pub(super) fn one(
        &self,
        drawn: &Drawn,
        level: u8,
        avoided: Option<Site>,
        rng: &mut Generator,
    ) -> Option<(RowNumber, Site)> {
        let lacks_another = drawn.count > 0 && !drawn.is_enough();
        let fitting = || {
            self.0.iter().flatten().filter(|candidate| {
                candidate.level == level
                    && (candidate.close || lacks_another)
                    && avoided != Some(candidate.site)
                    && !drawn.has(candidate.number)
            })
        };
        let rows = || fitting().map(|c| (c.number, c.site, c.weight));
        by_weight(rows, rng)
    }
}

/// How often a proxy at `rtt` is drawn beside the nearest: by its spare capacity, and by the square of
/// how much nearer the nearest is.
#[must_use]
pub fn weight(spare: u8, rtt: Duration, nearest: Duration) -> u32 {
    const WHOLE: u128 = 10_000;
    let (least, rtt) = (
        (nearest + BLUR).as_micros(),
        (rtt.max(nearest) + BLUR).as_micros(),
    );
    let share = WHOLE * least * least / (rtt * rtt);
    u32::from(spare) * u32::try_from(share.max(1)).unwrap_or(1)
}
