//! Bytes and datagrams per node and second while nobody wishes anything. Payloads of UDP are
//! counted; headers of IP and UDP add 28 bytes to each datagram.

use std::collections::BTreeMap;

use common::clock::Moment;
use dht::engine::message::Kind;

use super::{Checker, KIND_AT, Seen};
use crate::model::Model;
use crate::report::{Report, Spread, ratio};
use crate::world::World;

/// Counts what is sent during a phase.
#[derive(Debug)]
pub(crate) struct Traffic {
    phase: &'static str,
    most: f64,
    counting: Option<Moment>,
    seconds: f64,
    sent: Vec<usize>,
    received: Vec<usize>,
    datagrams: usize,
    kinds: BTreeMap<u8, (usize, usize)>,
}

impl Traffic {
    /// During the phases of that name; a node is to send no more than `most` bytes a second.
    pub(crate) fn new(phase: &'static str, most: f64, nodes: usize) -> Self {
        Self {
            phase,
            most,
            counting: None,
            seconds: 0.0,
            sent: vec![0; nodes],
            received: vec![0; nodes],
            datagrams: 0,
            kinds: BTreeMap::new(),
        }
    }
}

impl Checker for Traffic {
    fn saw(&mut self, now: Moment, seen: &Seen<'_>, _model: &mut Model) {
        match *seen {
            Seen::Phase { name } => {
                if let Some(since) = self.counting.take() {
                    self.seconds += now.since(since).as_secs_f64();
                }
                self.counting = (name == self.phase).then_some(now);
            }
            Seen::Sent { host, bytes, .. } if self.counting.is_some() => {
                self.datagrams += 1;
                if let Some(sent) = self.sent.get_mut(host) {
                    *sent += bytes.len();
                }
                let kind = bytes.get(KIND_AT).copied().unwrap_or(0);
                let (count, size) = self.kinds.entry(kind).or_default();
                (*count, *size) = (*count + 1, *size + bytes.len());
            }
            Seen::Arrived { parcel } if self.counting.is_some() => {
                if let Some(received) = self.received.get_mut(parcel.to) {
                    *received += parcel.bytes.len();
                }
            }
            _ => {}
        }
    }

    fn tell(&mut self, world: &World, report: &mut Report) {
        if let Some(since) = self.counting.take() {
            self.seconds += world.now.since(since).as_secs_f64();
        }
        if self.seconds <= 0.0 {
            return;
        }
        let phase = self.phase;
        let rates = |bytes: &[usize]| {
            let up = (0..bytes.len()).filter(|host| world.model.is_up(*host));
            Spread::of(up.map(|host| ratio(bytes[host]) / self.seconds))
        };
        let (received, rates) = (rates(&self.received), rates(&self.sent));
        let nodes = ratio(rates.len().max(1));
        let figure = report.figure(format!("sent per node, {phase}, mean"), rates.mean(), "B/s");
        figure.at_most(self.most);
        report.figure(
            format!("sent per node, {phase}, 99th"),
            rates.percentile(99),
            "B/s",
        );
        report
            .figure(
                format!("received per node, {phase}, mean"),
                received.mean(),
                "B/s",
            )
            .at_most(self.most);
        let datagrams = ratio(self.datagrams) / self.seconds / nodes;
        report.figure(format!("datagrams sent per node, {phase}"), datagrams, "/s");
        for (code, (count, size)) in &self.kinds {
            let kind = Kind::from_code(*code).map_or("unknown", Kind::as_str);
            let rate = ratio(*size) / self.seconds / nodes;
            if rate >= 1.0 && *count > 0 {
                report.figure(format!("  of that, {kind}"), rate, "B/s");
            }
        }
    }
}
