//! The ends of a fill: whole, given up, or another attempt.

use std::sync::Arc;
use std::time::Duration;

use proxy::engine::pursuit::News;
use proxy::engine::reason::FailReason;
use proxy::engine::splice::Splice;
use proxy::engine::store::Weight;
use proxy::engine::words::Word;

use super::{ALONE_MOST, Headed, Wait};
use crate::world::{End, FillNo, Happening, NodeNo, Object, World};

impl World {
    pub(super) fn conclude(&mut self, fill: FillNo, reason: FailReason) {
        self.hang_up(fill);
        let (node, now) = (self.fills[fill].node, self.now);
        if let Some(peer) = self.fills[fill].blamed.take() {
            self.nodes[node].flow.peer_failed(now, peer, reason);
        }
        let hopeless = [
            FailReason::Abandoned,
            FailReason::Digest,
            FailReason::NoMemory,
        ];
        if hopeless.contains(&reason) {
            return self.fail(fill, reason);
        }
        self.tally.resumed += 1;
        self.news(fill, News::BodyBroke(reason));
    }

    pub(super) fn whole(&mut self, fill: FillNo) {
        let state = &mut self.fills[fill];
        if let (Some(splice), Some(head)) = (state.splice.take(), state.head.clone()) {
            let body = head.object.body;
            self.bodies[body].end = End::Whole(splice.digest());
            self.wake_followers(body);
            if self.fills[fill].errand.shared && head.shared.is_ok() {
                self.keep(fill, &head.object);
            }
        }
        self.over(fill);
    }

    pub(super) fn keep(&mut self, fill: FillNo, object: &Arc<Object>) {
        self.check_kept(fill, object.body);
        let (node, key, now) = (self.fills[fill].node, self.fills[fill].key, self.now);
        let stale = self.fills[fill].errand.stale.clone();
        let memory = self.bodies[object.body].bytes.len() as u64;
        let flow = &mut self.nodes[node].flow;
        if let Some(stale) = &stale {
            flow.superseded(stale, object);
        }
        let (life, gone) = flow.keep(now, Arc::clone(object), Weight { memory, disk: 0 });
        match (life, self.progress_of(object.body)) {
            (Some(life), Some(progress)) => self.announce(node, key, progress, life),
            _ => self.withdraw_claim(node, key),
        }
        for name in gone {
            let key = self.number_of(&name);
            self.tell(node, key, Word::Gone);
        }
    }

    pub(super) fn withdraw_claim(&mut self, node: NodeNo, key: usize) {
        let name = self.keys[key].clone();
        if self.nodes[node].flow.ledger().gone(&name) {
            self.tell(node, key, Word::Gone);
        }
    }

    pub(super) fn stale_here(&mut self, fill: FillNo) {
        let (node, key) = (self.fills[fill].node, self.fills[fill].key);
        let Some(object) = self.fills[fill].errand.stale.clone() else {
            return self.violate(format!("f{fill} has no stale copy"));
        };
        self.withdraw_claim(node, key);
        self.show(
            fill,
            Headed {
                object,
                shared: Ok(()),
                stale: true,
            },
        );
        self.over(fill);
    }

    pub(crate) fn fail(&mut self, fill: FillNo, reason: FailReason) {
        self.hang_up(fill);
        let (node, key, id) = (
            self.fills[fill].node,
            self.fills[fill].key,
            self.fills[fill].errand.id,
        );
        let shared = self.fills[fill].errand.shared;
        let broken = self.fills[fill].splice.take();
        if let (Some(_), Some(head)) = (broken, &self.fills[fill].head) {
            let body = head.object.body;
            self.bodies[body].end = End::Broken(reason);
            self.wake_followers(body);
        } else {
            let name = self.keys[key].clone();
            self.nodes[node].flow.ended(&name, id);
            self.fills[fill].failed = Some(reason);
        }
        if shared {
            self.withdraw_claim(node, key);
        }
        self.over(fill);
    }

    pub(super) fn over(&mut self, fill: FillNo) {
        self.hang_up(fill);
        let state = &mut self.fills[fill];
        state.over = true;
        state.wait = Wait::Nothing;
        if state.head.is_none() && state.failed.is_none() {
            state.failed = Some(FailReason::Abandoned);
        }
        if std::mem::take(&mut state.background) {
            state.seats -= 1;
        }
        let (node, key, id) = (state.node, state.key, state.errand.id);
        let name = self.keys[key].clone();
        self.nodes[node].flow.over(&name, id);
        self.say(|_| format!("f{fill} is over"));
        self.notify(fill);
    }

    // ---- seats

    pub(crate) fn stand_up(&mut self, fill: FillNo) {
        let state = &mut self.fills[fill];
        state.seats -= 1;
        if state.seats > 0 || state.over {
            return;
        }
        if state.head.is_some() {
            return self.end_if_unwanted(fill);
        }
        let span = if state.errand.shared {
            ALONE_MOST
        } else {
            Duration::ZERO
        };
        self.after(span, Happening::Lonely(fill));
    }

    /// A fill without a head was alone a while ago.
    pub(crate) fn lonely(&mut self, fill: FillNo) {
        let state = &self.fills[fill];
        if state.over || state.head.is_some() || state.seats > 0 {
            return;
        }
        self.fail(fill, FailReason::Abandoned);
    }

    pub(super) fn end_if_unwanted(&mut self, fill: FillNo) {
        let state = &self.fills[fill];
        let worth = state.splice.as_ref().is_none_or(Splice::is_worth_finishing);
        // While it looks for another source nobody looks whether readers are left.
        if !worth && state.seats == 0 && state.intake.is_some() {
            let (node, key, id) = (state.node, state.key, state.errand.id);
            let name = self.keys[key].clone();
            self.nodes[node].flow.ended(&name, id);
            self.conclude(fill, FailReason::Abandoned);
        }
    }

    /// Tells all who wait for a fill that there is news.
    pub(super) fn notify(&mut self, fill: FillNo) {
        for line in self.fills[fill].waiting.clone() {
            self.peer_looks(line);
        }
        if self.fills[fill].head.is_some() || self.fills[fill].failed.is_some() {
            for client in std::mem::take(&mut self.fills[fill].clients) {
                self.client_looks(client);
            }
        }
    }
}
