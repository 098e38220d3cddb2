//! How far a get goes: gets whose value is in the asker's own innermost cluster must not leave it,
//! and every distance has its own latency.
//!
//! The phase a get was asked in says where its value is: [`NEAR`], [`ANYWHERE`] or [`MISS`].

use std::collections::{BTreeMap, BTreeSet};

use common::clock::Moment;
use common::ids::Key;
use dht::engine::message::{Ask, Kind, Message};

use super::clusters::Places;
use super::{Checker, KIND_AT, Seen, index, read};
use crate::model::{End, Model, Op, What};
use crate::pictures::{Curve, Curves, Picture, Shape};
use crate::report::{Report, Spread, millis, percent};
use crate::world::World;

/// Gets of what is in the own innermost cluster.
pub(crate) const NEAR: &str = "own cluster";
/// Gets of what is somewhere.
pub(crate) const ANYWHERE: &str = "anywhere";
/// Gets of what is nowhere.
pub(crate) const MISS: &str = "nowhere";

/// Latency targets in milliseconds: median and 99th.
const NEAR_MS: (f64, f64) = (25.0, 100.0);
const ANYWHERE_MS: (f64, f64) = (300.0, 1_000.0);
const MISS_MS: f64 = 1_000.0;

/// Follows gets.
#[derive(Default, Debug)]
pub(crate) struct Reach {
    places: Places,
    near: bool,
    /// Who has put which key, and who has said that it stored it for its innermost cluster.
    publishers: BTreeMap<Key, usize>,
    copies: BTreeMap<Key, BTreeSet<usize>>,
    active: BTreeMap<(usize, Key), usize>,
    asked: usize,
    left: BTreeSet<usize>,
}

impl Reach {
    /// A put at the innermost level was answered with yes.
    fn stored(&mut self, host: usize, request: &[u8]) {
        let Some((_, Message::Request(request))) = read(request) else {
            return;
        };
        if let Ask::Put { key, .. } = request.ask
            && usize::from(request.level) == self.places.depth()
        {
            self.copies.entry(key).or_default().insert(host);
        }
    }

    /// Whether a copy is in the innermost cluster of `host` right now.
    fn is_near(&self, host: usize, key: Key) -> bool {
        // Whoever has asked nobody to store it holds it itself.
        let own = || self.publishers.get(&key).into_iter().copied().collect();
        let copies = self.copies.get(&key).cloned().unwrap_or_else(own);
        let near = |copy: &usize| *copy == host || self.places.together(host, *copy);
        copies.iter().any(near)
    }

    fn sent(&mut self, host: usize, to: usize, bytes: &[u8]) {
        let kind = bytes.get(KIND_AT).copied().and_then(Kind::from_code);
        if kind != Some(Kind::Get) {
            return;
        }
        let Some((_, Message::Request(request))) = read(bytes) else {
            return;
        };
        let Ask::Get { key, .. } = request.ask else {
            return;
        };
        if let Some(op) = self.active.get(&(host, key))
            && !self.places.together(host, to)
        {
            self.left.insert(*op);
        }
    }
}

impl Checker for Reach {
    fn saw(&mut self, _now: Moment, seen: &Seen<'_>, model: &mut Model) {
        self.places.saw(seen);
        match *seen {
            Seen::Phase { name } => self.near = name == NEAR,
            Seen::Asked { host, ticket } if self.near => {
                let op = index(ticket);
                let get = model.ops.get(op).filter(|op| op.what == What::Get);
                // Whoever holds the copy may have left for another cluster since.
                if let Some(get) = get.filter(|get| self.is_near(host, get.key)) {
                    self.asked += 1;
                    self.active.insert((host, get.key), op);
                }
            }
            Seen::Answered {
                host,
                ticket,
                answer,
            } if answer.is_final() => {
                if let Some(op) = model.ops.get(index(ticket)) {
                    self.active.remove(&(host, op.key));
                    if op.what == What::Put {
                        self.publishers.insert(op.key, host);
                    }
                }
            }
            Seen::Sent {
                host,
                bytes,
                cause: Some(cause),
                ..
            } if bytes.get(KIND_AT) == Some(&Kind::Stored.code()) => {
                self.stored(host, &cause.bytes);
            }
            Seen::Sent {
                host,
                to: Some(to),
                bytes,
                ..
            } if !self.active.is_empty() => self.sent(host, to, bytes),
            _ => {}
        }
    }

    fn tell(&mut self, world: &World, report: &mut Report) {
        let model = &world.model;
        let gets = |phase| model.of(What::Get, Some(phase));
        let waited =
            |op: &Op, until: Option<Moment>| until.map(|until| millis(until.since(op.asked)));
        let first = |phase| {
            let found = gets(phase).filter(|op| op.expected);
            Spread::of(found.filter_map(|op| waited(op, op.first)))
        };
        let (near, anywhere) = (first(NEAR), first(ANYWHERE));
        let misses = gets(MISS).filter(|op| op.end == Some(End::Nothing));
        let miss = Spread::of(misses.filter_map(|op| waited(op, op.done)));
        if near.len() > 0 {
            let name = |what| format!("copy in the {NEAR}: {what}");
            report
                .figure(name("first value, median"), near.percentile(50), "ms")
                .at_most(NEAR_MS.0);
            report
                .figure(name("first value, 99th"), near.percentile(99), "ms")
                .at_most(NEAR_MS.1);
            let left = percent(self.left.len(), self.asked);
            report
                .figure(name("gets that left it"), left, "%")
                .at_most(0.0);
            let gone = gets(NEAR).count().saturating_sub(self.asked);
            report.count("gets whose copy had left with its holder", gone as u64);
        }
        if anywhere.len() > 0 {
            let figure = report.figure(
                "copy anywhere: first value, median",
                anywhere.percentile(50),
                "ms",
            );
            figure
                .at_most(ANYWHERE_MS.0)
                .elsewhere("plain Kademlia 623");
            let figure = report.figure(
                "copy anywhere: first value, 99th",
                anywhere.percentile(99),
                "ms",
            );
            figure
                .at_most(ANYWHERE_MS.1)
                .elsewhere("plain Kademlia 1,716");
        }
        if miss.len() > 0 {
            report.figure("copy nowhere: decided, median", miss.percentile(50), "ms");
            report
                .figure("copy nowhere: decided, 99th", miss.percentile(99), "ms")
                .at_most(MISS_MS);
        }
        let curves = [
            curve("a copy in the own cluster", &near),
            curve("a copy anywhere", &anywhere),
            curve("no copy: decided", &miss),
        ];
        report.pictures.push(Picture {
            file: "latency",
            title: "Time to the first value, or to the word that there is none".to_owned(),
            note: report.scenario.clone(),
            shape: Shape::Curves(Curves {
                x: "milliseconds",
                curves: curves
                    .into_iter()
                    .filter(|c| !c.values.is_empty())
                    .collect(),
            }),
        });
    }
}

fn curve(name: &str, spread: &Spread) -> Curve {
    Curve {
        name: name.to_owned(),
        values: spread.values().to_vec(),
    }
}
