//! The model index: who says that he has what, with delays and losses; and a proxy's words to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use common::clock::Moment;
use proxy::engine::announce::LEASE;
use proxy::engine::flow::{PATIENCE_HOT, Renewal};
use proxy::engine::peers;
use proxy::engine::pointer::{Pointer, Progress};
use proxy::engine::pursuit::{News, TAKE_OVER_WITHIN};
use proxy::engine::words::{Say, Word};

use crate::fill::Wait;
use crate::world::{End, FillNo, Happening, NodeNo, World};

pub(crate) type OpNo = usize;

/// For one put or withdrawal.
const PUT_DEADLINE: Duration = Duration::from_secs(3);

/// What a proxy says to the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    Claim,
    /// Who has all of it, or goes on with what this source left behind?
    TakeOver(SocketAddr),
    Tell(Word),
}

/// A call under way.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    node: NodeNo,
    life: u32,
    key: usize,
    call: Call,
    /// Who waits for the answer.
    fill: Option<(FillNo, u32)>,
    over: bool,
}

/// What the index answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    Granted,
    Found(Vec<Pointer>),
    Done,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Index {
    down: bool,
    /// Whether anything was ever lost.
    pub(crate) lost: bool,
    /// By key and proxy: what it said, until when.
    pub(crate) values: BTreeMap<(usize, SocketAddr), (Progress, Moment)>,
    /// By key and dead source: who goes on, until when.
    successors: BTreeMap<(usize, SocketAddr), (SocketAddr, Moment)>,
}

impl Index {
    pub(crate) fn turn(&mut self, down: bool) {
        self.down = down;
        self.lost = true;
        self.values.clear();
        self.successors.clear();
    }

    /// Who has all of `key`, or goes on with what `source` left behind: if nobody, `own` from now on.
    fn succeed(
        &mut self,
        now: Moment,
        (key, source): (usize, SocketAddr),
        own: SocketAddr,
    ) -> Vec<Pointer> {
        let mut found = self.of_others(now, key, own);
        found.retain(|pointer| pointer.progress != Progress::Fetching);
        let (peer, until) = *self.successors.entry((key, source)).or_insert((own, now));
        if peer != own && until > now {
            let progress = Progress::Fetching;
            found.push(Pointer { peer, progress });
        } else {
            self.successors.insert((key, source), (own, now + LEASE));
        }
        found
    }

    /// What others than `own` said of `key`.
    fn of_others(&self, now: Moment, key: usize, own: SocketAddr) -> Vec<Pointer> {
        let here = self
            .values
            .iter()
            .filter(|((of, peer), (_, until))| *of == key && *peer != own && *until > now);
        here.map(|((_, peer), (progress, _))| Pointer {
            peer: *peer,
            progress: *progress,
        })
        .collect()
    }
}

impl World {
    // ---- a fill asks

    pub(crate) fn ask_index(&mut self, fill: FillNo, call: Call) {
        let (node, key, step) = (
            self.fills[fill].node,
            self.fills[fill].key,
            self.fills[fill].step,
        );
        let name = self.keys[key].clone();
        if call == Call::Claim && !self.nodes[node].flow.words().claim(&name) {
            return self.news(fill, News::NoIndex);
        }
        self.fills[fill].wait = Wait::Index;
        let patience = match call {
            Call::Claim => self.nodes[node].flow.patience(self.now, &name),
            Call::TakeOver(_) | Call::Tell(_) => TAKE_OVER_WITHIN,
        };
        self.after(patience, Happening::IndexLate(fill, step));
        self.call(node, key, call, Some((fill, step)));
    }

    pub(crate) fn index_late(&mut self, fill: FillNo, step: u32) {
        if self.fills[fill].step == step && self.fills[fill].wait == Wait::Index {
            // While bytes are here it is a take-over that is late, which is nothing to keep alive.
            if self.fills[fill].head.is_none() {
                self.told(self.fills[fill].node, self.fills[fill].key, LEASE);
            }
            self.news(fill, News::NoIndex);
        }
    }

    pub(crate) fn told(&mut self, node: NodeNo, key: usize, life: Duration) {
        let (now, name) = (self.now, self.keys[key].clone());
        self.nodes[node].flow.ledger().told(now, name, life);
    }

    // ---- words on their way

    fn call(&mut self, node: NodeNo, key: usize, call: Call, fill: Option<(FillNo, u32)>) -> OpNo {
        let (life, op) = (self.nodes[node].life, self.ops.len());
        self.ops.push(Op {
            node,
            life,
            key,
            call,
            fill,
            over: false,
        });
        let deadline = match call {
            Call::Claim => PATIENCE_HOT,
            Call::TakeOver(_) => TAKE_OVER_WITHIN,
            Call::Tell(_) => PUT_DEADLINE,
        };
        self.after(deadline, Happening::OpOver(op, false));
        self.on_its_way(op);
        op
    }

    fn on_its_way(&mut self, op: OpNo) {
        let most = self.plan.sins.index_delay;
        let delay = self.millis(1, most.max(1));
        if self.is_lost() {
            return self.say(|world| format!("lost: {:?}", world.ops[op]));
        }
        self.after(delay, Happening::IndexGets(op));
    }

    fn is_lost(&mut self) -> bool {
        let loss = self.plan.sins.index_loss;
        let lost = self.index.down || self.chance(loss);
        self.index.lost |= lost;
        lost
    }

    /// A call reaches the index.
    pub(crate) fn index_gets(&mut self, number: OpNo) {
        let op = self.ops[number].clone();
        if self.index.down {
            return;
        }
        let own = self.nodes[op.node].addr;
        let mine = (op.key, own);
        let others = self.index.of_others(self.now, op.key, own);
        let said = match op.call {
            Call::Claim if others.is_empty() => {
                self.index
                    .values
                    .insert(mine, (Progress::Fetching, self.now + LEASE));
                Said::Granted
            }
            Call::Claim => Said::Found(others),
            Call::TakeOver(source) => {
                Said::Found(self.index.succeed(self.now, (op.key, source), own))
            }
            Call::Tell(Word::Here(progress, life)) => {
                self.index.values.insert(mine, (progress, self.now + life));
                Said::Done
            }
            Call::Tell(Word::Gone) => {
                self.index.values.remove(&mine);
                Said::Done
            }
        };
        self.say(|_| {
            format!(
                "index gets {:?} of n{} for /{}: {said:?}",
                op.call, op.node, op.key
            )
        });
        if !self.is_lost() {
            let most = self.plan.sins.index_delay;
            let delay = self.millis(1, most.max(1));
            self.after(delay, Happening::IndexSays(number, said));
        }
    }

    /// The index's answer is here.
    pub(crate) fn index_says(&mut self, number: OpNo, said: &Said) {
        if self.ops[number].over || !self.lives(number) {
            return;
        }
        let op = self.ops[number].clone();
        self.op_over(number, true);
        let Some((fill, step)) = op.fill else { return };
        if self.fills[fill].step != step || self.fills[fill].wait != Wait::Index {
            return;
        }
        let news = match said {
            Said::Found(pointers) => self.located(&op, pointers.clone()),
            Said::Granted | Said::Done => News::Granted,
        };
        if !matches!(news, News::Located(_)) {
            self.told(op.node, op.key, LEASE);
        }
        self.news(fill, news);
    }

    fn located(&mut self, op: &Op, mut pointers: Vec<Pointer>) -> News {
        let own = self.nodes[op.node].addr;
        // In no order that can be relied upon.
        let turn = self.rng.below(pointers.len().max(1));
        pointers.rotate_left(turn);
        let (now, flow) = (self.now, &mut self.nodes[op.node].flow);
        News::Located(peers::rank(now, Some(own), &pointers, flow.blame()))
    }

    fn lives(&self, op: OpNo) -> bool {
        let (op, node) = (&self.ops[op], &self.nodes[self.ops[op].node]);
        node.up && node.life == op.life
    }

    /// A call was answered, or has been given up.
    pub(crate) fn op_over(&mut self, number: OpNo, arrived: bool) {
        if std::mem::replace(&mut self.ops[number].over, true) || !self.lives(number) {
            return;
        }
        // Of the words about the key itself one at a time is under way; a take-over is none of them.
        if matches!(self.ops[number].call, Call::TakeOver(_)) {
            return;
        }
        let (node, key, now) = (self.ops[number].node, self.ops[number].key, self.now);
        let name = self.keys[key].clone();
        let next = self.nodes[node].flow.words().said(now, &name, arrived);
        if let Some(word) = next {
            self.call(node, key, Call::Tell(word), None);
        }
    }

    // ---- what a proxy tells

    pub(crate) fn announce(
        &mut self,
        node: NodeNo,
        key: usize,
        progress: Progress,
        life: Duration,
    ) {
        self.told(node, key, life);
        self.tell(node, key, Word::Here(progress, life));
    }

    pub(crate) fn tell(&mut self, node: NodeNo, key: usize, word: Word) {
        let (now, name) = (self.now, self.keys[key].clone());
        match self.nodes[node].flow.words().say(now, &name, word) {
            Say::Now => {
                self.call(node, key, Call::Tell(word), None);
            }
            Say::After | Say::Dropped => {}
        }
    }

    /// A proxy renews what is due.
    pub(crate) fn tick(&mut self, node: NodeNo) {
        if !self.nodes[node].up {
            return;
        }
        let now = self.now;
        while let Some(name) = self.nodes[node].flow.ledger().due(now) {
            let key = self.number_of(&name);
            match self.nodes[node].flow.renewal(now, &name) {
                Renewal::Copy(object, life) => match self.progress_of(object.body) {
                    Some(progress) => self.announce(node, key, progress, life),
                    None => self.tell(node, key, Word::Gone),
                },
                Renewal::Fetching => self.announce(node, key, Progress::Fetching, LEASE),
                Renewal::Withdraw | Renewal::Shelved(_) | Renewal::Parts(..) => {
                    self.tell(node, key, Word::Gone);
                }
            }
        }
        while let Some(name) = self.nodes[node].flow.words().due(now) {
            let key = self.number_of(&name);
            self.call(node, key, Call::Tell(Word::Gone), None);
        }
    }

    pub(crate) fn number_of(&self, name: &proxy::engine::http::key::PrimaryKey) -> usize {
        self.keys.iter().position(|key| key == name).unwrap_or(0)
    }

    pub(crate) fn progress_of(&self, body: usize) -> Option<Progress> {
        let body = &self.bodies[body];
        match body.end {
            End::Growing => Some(Progress::Fetching),
            End::Whole(digest) => Some(Progress::Complete {
                length: body.bytes.len() as u64,
                digest,
            }),
            End::Broken(_) => None,
        }
    }
}
