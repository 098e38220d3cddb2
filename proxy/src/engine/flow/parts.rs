//! What the steps of a fill and the state page ask of a flow's parts: heat, gates, blame, ledger.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use http::HeaderMap;

use super::{Flow, PATIENCE_HOT, PATIENCE_QUIET, Renewal};
use crate::engine::announce::{Ledger, pointer_life};
use crate::engine::beginnings::Beginnings;
use crate::engine::heat::HeatMap;
use crate::engine::http::control::RequestDirectives;
use crate::engine::http::fresh::{FreshPolicy, Heat};
use crate::engine::http::key::PrimaryKey;
use crate::engine::http::verdict;
use crate::engine::origin::{Gate, Gates};
use crate::engine::page::Saved;
use crate::engine::peers::Blame;
use crate::engine::purge::Fate;
use crate::engine::reason::FailReason;
use crate::engine::shelf::{Shelf, record};
use crate::engine::store::Store;
use crate::engine::store::object::Object;
use crate::engine::words::Words;

impl<B, F> Flow<B, F> {
    /// How hot the site of `key` is.
    #[must_use]
    pub fn heat(&self, now: Moment, key: &PrimaryKey) -> Heat {
        self.heat.of(now, key.host())
    }

    /// How long a miss of `key` may wait for the index at the moment.
    #[must_use]
    pub fn patience(&self, now: Moment, key: &PrimaryKey) -> Duration {
        match self.heat(now, key) {
            Heat::Quiet => PATIENCE_QUIET,
            Heat::Hot => PATIENCE_HOT,
        }
    }

    /// Whether the origin of `key` may be asked.
    ///
    /// # Errors
    /// Its gate is shut: for how long, and why.
    pub fn pass_gate(
        &mut self,
        now: Moment,
        key: &PrimaryKey,
    ) -> Result<Gate, (Duration, FailReason)> {
        self.gates.pass(now, key.origin())
    }

    /// The origin of `key` answered.
    pub fn origin_answered(&mut self, key: &PrimaryKey) {
        self.gates.succeed(key.origin());
    }

    /// The origin of `key` failed for `reason`.
    pub fn origin_failed(&mut self, now: Moment, key: &PrimaryKey, reason: FailReason) {
        self.whys.failed(now, key, reason);
        if reason.shuts_the_gate() {
            self.gates.fail(now, key.origin(), reason);
        }
    }

    /// Whether `object`, which should be validated, may stand in for an origin that failed.
    #[must_use]
    pub fn may_stand_in(&self, now: Moment, object: &Object<B>, request: &HeaderMap) -> bool {
        let standing = object.standing(now, self.heat(now, &object.key));
        let verdict = verdict::on_error(&standing, &RequestDirectives::of(request), &self.policy);
        verdict.is_ok() && self.orders.fate(object) != Fate::Gone
    }

    /// Whether `object` is what is kept in memory for its URL and variant, and not what something else has
    /// taken the place of since it was found.
    #[must_use]
    pub fn is_kept(&self, object: &Arc<Object<B>>) -> bool {
        self.store.keeps(object) && self.orders.fate(object) != Fate::Gone
    }

    /// The copy that a request for `key` selects, for the page of an error that is shown instead.
    pub fn saved(&mut self, now: Moment, key: &PrimaryKey, request: &HeaderMap) -> Option<Saved> {
        let heat = self.heat(now, key);
        let object = self.store.find(key, request, |_| true)?;
        let standing = object.standing(now, heat);
        let ban = verdict::on_error(&standing, &RequestDirectives::of(request), &self.policy);
        Some(Saved {
            age: standing.age,
            ban: ban.err(),
        })
    }

    /// The grudges against peers.
    pub const fn blame(&mut self) -> &mut Blame {
        &mut self.blame
    }

    /// A peer failed for `reason`.
    pub fn peer_failed(&mut self, now: Moment, peer: SocketAddr, reason: FailReason) {
        self.blame.failed(now, peer, reason);
    }

    /// The ledger of pointers.
    pub const fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// What is being told to the index.
    pub const fn words(&mut self) -> &mut Words {
        &mut self.words
    }

    /// What the pointer to `key` should say now.
    #[must_use]
    pub fn renewal(&self, now: Moment, key: &PrimaryKey) -> Renewal<B> {
        if key.is_portion() {
            return self.renewal_of_extent(key);
        }
        if let Some(object) = self.store.latest(key) {
            let remaining = object.remaining(now, self.heat.of(now, key.host()));
            if let Some(life) = pointer_life(remaining) {
                return Renewal::Copy(Arc::clone(object), life);
            }
        }
        let shelved = self.shelf.freshest(record::name_of(key), now);
        if let Some(life) = shelved.and_then(|(_, left)| pointer_life(left)) {
            return Renewal::Shelved(life);
        }
        if self.fills.contains_key(key) {
            Renewal::Fetching
        } else {
            Renewal::Withdraw
        }
    }

    /// The bodies that broke off and wait to be completed.
    pub const fn beginnings(&mut self) -> &mut Beginnings<B> {
        &mut self.beginnings
    }

    /// The operator's freshness settings.
    #[must_use]
    pub const fn policy(&self) -> &FreshPolicy {
        &self.policy
    }

    /// What is on disk.
    pub const fn shelf(&mut self) -> &mut Shelf {
        &mut self.shelf
    }

    /// The store, for the state page.
    #[must_use]
    pub const fn store(&self) -> &Store<B> {
        &self.store
    }

    /// The heat of all sites, for the state page.
    #[must_use]
    pub const fn heat_map(&self) -> &HeatMap {
        &self.heat
    }

    /// The gates that are shut, for the state page.
    #[must_use]
    pub const fn gates(&self) -> &Gates<FailReason> {
        &self.gates
    }

    /// The shared fills under way, for the state page.
    pub fn fills(&self) -> impl Iterator<Item = (&PrimaryKey, &F)> {
        self.fills
            .iter()
            .flat_map(|(key, fillings)| fillings.iter().map(move |filling| (key, &filling.fill)))
    }

    /// Fills of one client each, which nobody else may join.
    #[must_use]
    pub const fn filling_alone(&self) -> usize {
        self.running.saturating_sub(self.filling)
    }

    /// Shared fills under way.
    #[must_use]
    pub const fn filling(&self) -> usize {
        self.filling
    }
}
