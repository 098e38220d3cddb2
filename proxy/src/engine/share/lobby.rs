//! Who waits in the lobby while more come than can be served, and whose turn it is.
//!
//! In quiet times nobody waits here: whoever comes is let in at once, a few at a time. When the queue
//! of those who came has not been empty for an interval, more come than the processor serves (the
//! criterion of CoDel, RFC 8289 §3.1: not how long a queue is, but whether it ever drains). From then
//! on each visitor is looked at, which is cheap, before it is let in, which is not. Sites take turns;
//! within one, who wants a page that is kept goes before who wants a fetch. Nobody waits longer than
//! [`WITHIN`]: who would is told to come back, in time to do so, and no work is spent on those who
//! have long left. So there is always enough waiting to keep the node busy, and never more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;

/// A queue that has not been empty for this long does not absorb a burst: more come than are served.
pub const INTERVAL: Duration = Duration::from_millis(100);

/// How long it must have been empty again before visitors are let in without a look.
pub const CALM: Duration = Duration::from_secs(1);

/// How long one may wait: short beside anybody's patience, long beside a burst and a fetch.
pub const WITHIN: Duration = Duration::from_millis(100);

/// Visitors waiting at once, each with an open connection and the head of its request.
pub const WAITING_MAX: usize = 2_048;

/// See the module. `V` is a visitor.
#[derive(Debug)]
pub struct Lobby<V> {
    sites: BTreeMap<Arc<str>, Lanes<V>>,
    /// Sites with any waiting; the first has its turn.
    turns: VecDeque<Arc<str>>,
    waiting: usize,
    /// Since when somebody was left at the end of every turn.
    standing: Option<Moment>,
    /// When somebody was left last.
    stood: Moment,
    pressed: bool,
}

/// Those who wait for pages of one site, since when.
#[derive(Debug)]
struct Lanes<V> {
    /// For pages that are kept.
    kept: VecDeque<(Moment, V)>,
    /// For pages that have to be fetched.
    fetched: VecDeque<(Moment, V)>,
}

impl<V> Lanes<V> {
    fn len(&self) -> usize {
        self.kept.len() + self.fetched.len()
    }
}

impl<V> Default for Lobby<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Lobby<V> {
    /// Nobody waits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            sites: BTreeMap::new(),
            turns: VecDeque::new(),
            waiting: 0,
            standing: None,
            stood: Moment::ZERO,
            pressed: false,
        }
    }

    /// Whether more come than are served, so that each is to be looked at first.
    #[must_use]
    pub const fn is_pressed(&self) -> bool {
        self.pressed
    }

    /// Those who wait here.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// A turn is over; `outside` says whether some were left who have not even been looked at.
    pub fn looked(&mut self, now: Moment, outside: bool) {
        if outside || self.waiting > 0 {
            self.stood = now;
            self.standing.get_or_insert(now);
        } else {
            self.standing = None;
        }
        self.pressed = if self.pressed {
            now.since(self.stood) < CALM
        } else {
            let stands = self.standing.map(|since| now.since(since));
            stands >= Some(INTERVAL)
        };
    }

    /// A visitor of `site` waits; `kept` says whether the page is here. Gives the one who has to
    /// leave for it when there are too many: the last of the site with most.
    pub fn came(&mut self, now: Moment, site: &str, kept: bool, visitor: V) -> Option<V> {
        let over = self.waiting >= WAITING_MAX;
        let left = over.then(|| self.crowd_out()).flatten();
        self.waiting += 1;
        if !self.sites.contains_key(site) {
            let site: Arc<str> = site.into();
            self.turns.push_back(Arc::clone(&site));
            let lanes = Lanes {
                kept: VecDeque::new(),
                fetched: VecDeque::new(),
            };
            self.sites.insert(site, lanes);
        }
        if let Some(lanes) = self.sites.get_mut(site) {
            let lane = if kept {
                &mut lanes.kept
            } else {
                &mut lanes.fetched
            };
            lane.push_back((now, visitor));
        }
        left
    }

    fn crowd_out(&mut self) -> Option<V> {
        let (site, lanes) = self.sites.iter_mut().max_by_key(|(_, lanes)| lanes.len())?;
        let site = Arc::clone(site);
        let last = lanes.fetched.pop_back().or_else(|| lanes.kept.pop_back());
        self.waiting -= usize::from(last.is_some());
        self.forget_if_empty(&site);
        last.map(|(_, visitor)| visitor)
    }

    /// Whoever is to be let in next. Sites take turns.
    pub fn call(&mut self) -> Option<V> {
        let site = self.turns.pop_front()?;
        let lanes = self.sites.get_mut(&site)?;
        let first = lanes.kept.pop_front().or_else(|| lanes.fetched.pop_front());
        self.waiting -= usize::from(first.is_some());
        if lanes.len() == 0 {
            self.sites.remove(&site);
        } else {
            self.turns.push_back(site);
        }
        first.map(|(_, visitor)| visitor)
    }

    /// Those who have waited too long: they are to be told to come back.
    pub fn late(&mut self, now: Moment) -> Vec<V> {
        let mut late = Vec::new();
        for lanes in self.sites.values_mut() {
            for lane in [&mut lanes.kept, &mut lanes.fetched] {
                while let Some((_, visitor)) =
                    lane.pop_front_if(|(since, _)| now.since(*since) >= WITHIN)
                {
                    late.push(visitor);
                }
            }
        }
        if !late.is_empty() {
            self.waiting -= late.len();
            self.sites.retain(|_, lanes| lanes.len() > 0);
            let sites = &self.sites;
            self.turns.retain(|site| sites.contains_key(site));
        }
        late
    }

    fn forget_if_empty(&mut self, site: &Arc<str>) {
        if self.sites.get(site).is_some_and(|lanes| lanes.len() == 0) {
            self.sites.remove(site);
            self.turns.retain(|turn| turn != site);
        }
    }
}

#[cfg(test)]
mod tests;
