//! Fetches from origins at once: a bound for the node, a fair part of it for each site, and a short
//! queue for those who come when it is used up.
//!
//! A site may have as many as are still free: one greedy site gets half of all, two a third each, and
//! there is always room for a newcomer. A slot that comes free goes to the waiting site with the
//! fewest. The queue is divided in the same way. Whoever does not get a slot within the time allowed
//! is refused, so that misses never wait long and hits never wait at all.

use std::collections::{BTreeMap, VecDeque};

/// Bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotConfig {
    /// Fetches at once.
    pub slots: usize,
    /// Fetches waiting at once.
    pub waiting: usize,
}

/// Names a place in the queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(u64);

/// What someone who wants to fetch is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Go ahead, and say when it is over.
    Now,
    /// Wait for your ticket to be called.
    Wait(Ticket),
    /// No.
    Refused(NoTurn),
}

/// Why there is no slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoTurn {
    /// The site has its part of them.
    Site,
    /// All are in use.
    Node,
}

#[derive(Clone, Copy, Default, Debug)]
struct Use {
    running: usize,
    waiting: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Slots {
    config: SlotConfig,
    running: usize,
    /// Sites with any running or waiting: no more than the two bounds together.
    sites: BTreeMap<Box<str>, Use>,
    queue: VecDeque<(Ticket, Box<str>)>,
    next: u64,
}

impl Slots {
    /// All free.
    #[must_use]
    pub const fn new(config: SlotConfig) -> Self {
        Self {
            config,
            running: 0,
            sites: BTreeMap::new(),
            queue: VecDeque::new(),
            next: 0,
        }
    }

    /// Other bounds from now on; those who run go on.
    pub const fn reset(&mut self, config: SlotConfig) {
        self.config = config;
    }

    /// Somebody wants to fetch from `site`.
    pub fn ask(&mut self, site: &str) -> Turn {
        let used = self.sites.get(site).copied().unwrap_or_default();
        if self.has_room_for(used.running) && used.waiting == 0 {
            self.started(site);
            return Turn::Now;
        }
        let room = self.config.waiting.saturating_sub(self.queue.len());
        if used.waiting >= room {
            return Turn::Refused(self.refusal());
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.queue.push_back((ticket, site.into()));
        self.sites.entry(site.into()).or_default().waiting += 1;
        Turn::Wait(ticket)
    }

    /// Whether a site with so many running may have one more.
    const fn has_room_for(&self, running: usize) -> bool {
        running < self.config.slots.saturating_sub(self.running)
    }

    /// Why there is nothing for whoever asks now.
    #[must_use]
    pub const fn refusal(&self) -> NoTurn {
        if self.running < self.config.slots {
            NoTurn::Site
        } else {
            NoTurn::Node
        }
    }

    fn started(&mut self, site: &str) {
        self.running += 1;
        if let Some(used) = self.sites.get_mut(site) {
            used.running += 1;
        } else {
            let used = Use {
                running: 1,
                waiting: 0,
            };
            self.sites.insert(site.into(), used);
        }
    }

    /// A fetch from `site` is over. Gives the ticket that is called instead, if any is.
    pub fn done(&mut self, site: &str) -> Option<Ticket> {
        self.running = self.running.saturating_sub(1);
        if let Some(used) = self.sites.get_mut(site) {
            used.running = used.running.saturating_sub(1);
        }
        self.forget_if_idle(site);
        self.call()
    }

    /// The oldest ticket of the waiting site with the fewest running that may have one more.
    fn call(&mut self) -> Option<Ticket> {
        let running = |site: &str| self.sites.get(site).map_or(0, |used| used.running);
        let waiting = self.queue.iter().enumerate();
        let fitting = waiting.filter(|(_, (_, site))| self.has_room_for(running(site)));
        let (at, _) = fitting.min_by_key(|(at, (_, site))| (running(site), *at))?;
        let (ticket, site) = self.queue.remove(at)?;
        if let Some(used) = self.sites.get_mut(&site) {
            used.waiting = used.waiting.saturating_sub(1);
        }
        self.started(&site);
        Some(ticket)
    }

    /// Whoever holds `ticket` does not wait any longer. Whether it still did: if not, it has been
    /// called and holds a slot.
    pub fn left(&mut self, ticket: Ticket) -> bool {
        let Some(at) = self.queue.iter().position(|(held, _)| *held == ticket) else {
            return false;
        };
        if let Some((_, site)) = self.queue.remove(at) {
            if let Some(used) = self.sites.get_mut(&site) {
                used.waiting = used.waiting.saturating_sub(1);
            }
            self.forget_if_idle(&site);
        }
        true
    }

    fn forget_if_idle(&mut self, site: &str) {
        let idle = |used: &Use| used.running == 0 && used.waiting == 0;
        if self.sites.get(site).is_some_and(idle) {
            self.sites.remove(site);
        }
    }

    /// Fetches under way.
    #[must_use]
    pub const fn running(&self) -> usize {
        self.running
    }

    /// Fetches waiting.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Sites with the most under way, most first: for the state page.
    #[must_use]
    pub fn busiest(&self, most: usize) -> Vec<(&str, usize, usize)> {
        let all = self.sites.iter();
        let mut all: Vec<_> = all
            .map(|(site, used)| (&**site, used.running, used.waiting))
            .collect();
        all.sort_by_key(|(_, running, waiting)| std::cmp::Reverse((*running, *waiting)));
        all.truncate(most);
        all
    }
}

#[cfg(test)]
mod tests;
