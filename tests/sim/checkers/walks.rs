//! What finding something costs: requests and hops per operation, and whether the walk came to the
//! live node closest to its key.
//!
//! Read off the wire, not out of the engine: a request that names a key belongs to the operation
//! its sender has under way for that key. A node that the walk began with is one hop away; a node
//! first named in a reply is one hop farther than the node that named it. Retransmissions count as
//! requests, and so do those that reach a node through another. When one node has two operations of one sort under way for one key, neither could be
//! told from the other: the earlier one is followed no further and counts nowhere.

use std::collections::BTreeMap;

use common::clock::Moment;
use common::ids::{Key, TxId};
use dht::engine::message::{Ask, Contact, Message, Say};
use dht::engine::{Answer, IndexKind};

use super::{Checker, Seen, index, is_reply, read};
use crate::model::{End, Model, What};
use crate::pictures::{Curve, Curves, Picture, Shape};
use crate::report::{Report, Spread, percent};
use crate::world::World;

/// The phases in which the closest of all may be out of reach, or not yet known again to be in it.
const DIVIDED: [&str; 2] = ["divided", "healed"];

/// An operation under way.
#[derive(Debug)]
struct Walk {
    op: usize,
    hops: BTreeMap<usize, u32>,
    answered: Vec<usize>,
    first: Option<u32>,
    asked: BTreeMap<TxId, usize>,
}

/// Follows every operation's walk.
#[derive(Debug, Default)]
pub(crate) struct Walks {
    active: BTreeMap<Id, Walk>,
    by_host: Vec<u32>,
    addresses: Addresses,
}

/// Whose operation, of which sort, for which key.
type Id = (usize, Sort, Key);

/// Gets ask otherwise than operations that place something; a claim asks in both ways.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Sort {
    Get,
    Place,
}

/// Nodes by their address; filled from what is seen.
type Addresses = BTreeMap<std::net::SocketAddr, usize>;

impl Walks {
    /// Follows operations among the nodes of `world`.
    pub(crate) fn new(world: &World) -> Self {
        let addresses = (0..world.hosts.len()).map(|host| (world.net.addr(host), host));
        Self {
            active: BTreeMap::new(),
            by_host: vec![0; world.hosts.len()],
            addresses: addresses.collect(),
        }
    }

    fn sent(&mut self, host: usize, to: usize, bytes: &[u8], model: &mut Model) {
        let Some((tx, Message::Request(request))) = read(bytes) else {
            return;
        };
        // What is asked through an introducer is asked of the node behind it.
        let (ask, to) = match request.ask {
            Ask::Relay { to, ask } => match self.addresses.get(&to) {
                Some(far) => (*ask, *far),
                None => return,
            },
            ask => (ask, to),
        };
        let (sort, key) = match ask {
            Ask::Get { key, .. } => (Sort::Get, key),
            Ask::Find { target: key }
            | Ask::Offer { key, .. }
            | Ask::Put { key, .. }
            | Ask::Claim { key, .. }
            | Ask::Withdraw { key } => (Sort::Place, key),
            Ask::Ping { .. }
            | Ask::Relay { .. }
            | Ask::Hand { .. }
            | Ask::Probe { .. }
            | Ask::Sync { .. } => return,
        };
        let gets = sort == Sort::Get && self.active.contains_key(&(host, sort, key));
        let sort = if gets { Sort::Get } else { Sort::Place };
        if let Some(walk) = self.active.get_mut(&(host, sort, key)) {
            walk.hops.entry(to).or_insert(1);
            walk.asked.insert(tx, to);
            if let Some(op) = model.ops.get_mut(walk.op) {
                op.requests += 1;
            }
        }
    }

    fn replied(&mut self, from: usize, to: usize, bytes: &[u8]) {
        let Some((tx, Message::Reply(reply))) = read(bytes) else {
            return;
        };
        // Through an introducer comes what the node behind it said, or that it cannot be had.
        let (say, relayed) = match reply.say {
            Say::Relayed(say) => (*say, true),
            say => (say, false),
        };
        let last = Key::from_bytes([0xff; 20]);
        let of_host = (to, Sort::Get, Key::ZERO)..=(to, Sort::Place, last);
        let mut walks = self.active.range_mut(of_host).map(|(_, walk)| walk);
        let Some((walk, from)) = walks.find_map(|walk| {
            let asked = walk.asked.get(&tx).copied()?;
            (relayed || asked == from).then_some((walk, asked))
        }) else {
            return;
        };
        let here = walk.hops.get(&from).copied().unwrap_or(1);
        walk.answered.push(from);
        match &say {
            Say::Nodes { contacts } => name(walk, &self.addresses, contacts, here),
            Say::Values {
                values, contacts, ..
            } => {
                if !values.is_empty() {
                    walk.first.get_or_insert(here);
                }
                name(walk, &self.addresses, contacts, here);
            }
            _ => {}
        }
    }

    fn answered(&mut self, host: usize, op: usize, answer: &Answer, model: &mut Model) {
        if !answer.is_final() {
            return;
        }
        let Some(id) = id_of(host, op, model) else {
            return;
        };
        if self.active.get(&id).is_none_or(|walk| walk.op != op) {
            return;
        }
        let Some(walk) = self.active.remove(&id) else {
            return;
        };
        let (_, _, key) = id;
        self.by_host[host] -= 1;
        let closest = model.closest_again(&key);
        let reached = closest.is_some_and(|it| it == host || walk.answered.contains(&it));
        let farthest = walk
            .answered
            .iter()
            .filter_map(|it| walk.hops.get(it))
            .max();
        let hops = walk.first.or_else(|| farthest.copied()).unwrap_or(0);
        if let Some(op) = model.ops.get_mut(walk.op) {
            (op.hops, op.reached, op.followed) = (hops, reached, true);
        }
    }
}

fn id_of(host: usize, op: usize, model: &Model) -> Option<Id> {
    let op = model.ops.get(op)?;
    let sort = if op.what == What::Get {
        Sort::Get
    } else {
        Sort::Place
    };
    Some((host, sort, op.key))
}

fn name(walk: &mut Walk, addresses: &Addresses, contacts: &[Contact], here: u32) {
    for contact in contacts {
        if let Some(node) = addresses.get(&contact.addr) {
            walk.hops.entry(*node).or_insert(here + 1);
        }
    }
}

/// How often walks that went all the way came to the live node closest to their key.
fn closest(world: &World, report: &mut Report) {
    let model = &world.model;
    if world
        .hosts
        .iter()
        .any(|host| host.config.kind == IndexKind::Full)
    {
        // Its keys are not at the closest node.
        return;
    }
    // A get that found something may stop before the closest node, and should.
    let cut: Vec<_> = (1..)
        .zip(&model.phases)
        .filter(|(_, name)| DIVIDED.contains(name))
        .collect();
    let walked = model.ops.iter().filter(|op| {
        if cut.iter().any(|(phase, _)| *phase == op.phase) {
            return false;
        }
        let whole = op.followed && matches!(op.end, Some(End::Nothing | End::Stored(_)));
        whole && matches!(op.what, What::Get | What::Put)
    });
    let reached: Vec<_> = walked.map(|op| op.reached).collect();
    let found = reached.iter().filter(|reached| **reached).count();
    if !reached.is_empty() {
        let figure = report.figure(
            "closest live node reached",
            percent(found, reached.len()),
            "%",
        );
        figure.at_least(99.5).elsewhere("plain Kademlia 97.4");
    }
}

impl Checker for Walks {
    fn saw(&mut self, _now: Moment, seen: &Seen<'_>, model: &mut Model) {
        let busy = |host: usize| self.by_host.get(host).is_some_and(|busy| *busy > 0);
        match *seen {
            Seen::Asked { host, ticket } if host < self.by_host.len() => {
                let op = index(ticket);
                let Some(id) = id_of(host, op, model) else {
                    return;
                };
                let walk = Walk {
                    op,
                    hops: BTreeMap::new(),
                    answered: Vec::new(),
                    first: None,
                    asked: BTreeMap::new(),
                };
                if self.active.insert(id, walk).is_none() {
                    self.by_host[host] += 1;
                }
            }
            Seen::Sent {
                host,
                to: Some(to),
                bytes,
                ..
            } if busy(host) && !is_reply(bytes) => {
                self.sent(host, to, bytes, model);
            }
            Seen::Arrived { parcel } if busy(parcel.to) && is_reply(&parcel.bytes) => {
                self.replied(parcel.from, parcel.to, &parcel.bytes);
            }
            Seen::Answered {
                host,
                ticket,
                answer,
            } if busy(host) => {
                self.answered(host, index(ticket), answer, model);
            }
            Seen::Died { host } if busy(host) => {
                self.active.retain(|(at, _, _), _| *at != host);
                self.by_host[host] = 0;
            }
            _ => {}
        }
    }

    fn tell(&mut self, world: &World, report: &mut Report) {
        let model = &world.model;
        let n = model.alive().max(2);
        let digits = f64::from(n.next_power_of_two().trailing_zeros());
        let half = (f64::log2(crate::report::ratio(n)) / 2.0 + 1.0).round();
        let mut bars = Vec::new();
        for (what, name, most) in [(What::Get, "get", 10.0), (What::Put, "put", 12.0)] {
            let done = || model.of(what, None).filter(|op| op.followed);
            let ended = |op: &&crate::model::Op| !matches!(op.end, Some(End::Refused(_)));
            let requests = Spread::of(done().map(|op| f64::from(op.requests)));
            if requests.len() == 0 {
                continue;
            }
            let hops = Spread::of(done().filter(ended).map(|op| f64::from(op.hops)));
            bars.push(Curve {
                name: name.to_owned(),
                values: hops.values().to_vec(),
            });
            let figure = report.figure(format!("requests per {name}, mean"), requests.mean(), "");
            figure.at_most(most).elsewhere(match what {
                What::Get => "mainline 55, OpenDHT 26 at n = 100",
                _ => "mainline 82, OpenDHT 33 at n = 100",
            });
            report.figure(
                format!("requests per {name}, 99th"),
                requests.percentile(99),
                "",
            );
            report
                .figure(format!("hops per {name}, median"), hops.percentile(50), "")
                .at_most(half);
            report
                .figure(format!("hops per {name}, most"), hops.most(), "")
                .at_most(digits + 2.0);
        }
        if !bars.is_empty() {
            report.pictures.push(Picture {
                file: "hops",
                title: "Hops of an operation".to_owned(),
                note: report.scenario.clone(),
                shape: Shape::Bars(Curves {
                    x: "hops",
                    curves: bars,
                }),
            });
        }
        closest(world, report);
    }
}
