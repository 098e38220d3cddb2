//! What the checker shows of itself. Changes nothing.

use std::net::SocketAddr;

use super::{CheckStats, Checker, Index, Kind, LiveSet, Proxy};
use crate::engine::pool::Known;

impl Checker {
    /// Whether somebody is alive; if not, why nobody is.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn readiness(&self) -> Result<(), String> {
        if self.published.anyone() {
            return Ok(());
        }
        let known = self.pool.len();
        if known == 0 {
            return Err(match self.index {
                Index::Unused => "no proxy is known: set check.fixed or index.socket".to_owned(),
                Index::Gone => "no proxy is known and the index does not answer".to_owned(),
                Index::Answering { .. } => "the index knows of no proxy".to_owned(),
            });
        }
        let fault = self.pool.iter().find_map(|proxy| proxy.last_fault);
        let seen = fault.map_or_else(
            || "first checks are under way".to_owned(),
            |fault| format!("one of them: {fault}"),
        );
        Err(format!("none of {known} known proxies is verified; {seen}"))
    }

    /// All checked proxies, for the state page.
    pub fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        self.pool.iter()
    }

    /// The set published last.
    #[must_use]
    pub fn published(&self) -> &LiveSet {
        &self.published
    }

    /// How many proxies are live.
    #[must_use]
    pub fn live(&self) -> usize {
        self.pool.live()
    }

    /// Whether the local index answered last time; `None` if none is configured.
    #[must_use]
    pub const fn index_answers(&self) -> Option<bool> {
        match self.index {
            Index::Unused => None,
            Index::Answering { .. } => Some(true),
            Index::Gone => Some(false),
        }
    }

    /// Checks of a kind under way.
    #[must_use]
    pub fn under_way(&self, kind: Kind) -> usize {
        match kind {
            Kind::Ping => self.pings.under_way(),
            Kind::Http => self.fetches.under_way(),
        }
    }

    /// The counters.
    #[must_use]
    pub const fn stats(&self) -> &CheckStats {
        &self.stats
    }

    /// How many proxies are known, checked or not.
    #[must_use]
    pub fn known(&self) -> usize {
        self.pool.len()
    }

    /// Proxies that are known and not checked, in address order.
    pub fn unchecked(&self) -> impl Iterator<Item = (&SocketAddr, &Known)> {
        let unseated = |(http, _): &(&SocketAddr, &Known)| self.pool.proxy(**http).is_none();
        self.pool.known().filter(unseated)
    }
}
