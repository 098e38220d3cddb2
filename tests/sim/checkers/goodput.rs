//! What a node that is asked for more than it can do still does: gets answered in time at each
//! load, and whether anybody takes it for dead.

use std::collections::BTreeMap;

use common::clock::Moment;
use common::ids::Key;
use dht::engine::Event;
use dht::engine::message::{Ask, Kind, Message};

use super::{Checker, KIND_AT, Seen, read};
use crate::model::{End, Model, What};
use crate::report::{Report, Spread, millis, percent, ratio};
use crate::world::World;

/// Goodput beyond saturation, in percent of its peak.
const TARGET: f64 = 90.0;

/// Datagrams a second at one node beyond what it can take, that count as such saturation.
const SATURATED: f64 = 4.0;

/// Counts in the phases it was given.
#[derive(Debug)]
pub(crate) struct Goodput {
    key: Key,
    phases: &'static [&'static str],
    /// Gets a second that one node can take.
    capacity: f64,
    current: Option<usize>,
    since: Moment,
    seconds: Vec<f64>,
    asked: Vec<BTreeMap<usize, usize>>,
    failed: usize,
    alive: BTreeMap<std::net::SocketAddr, usize>,
}

impl Goodput {
    /// Of gets of `key` in `phases`, among nodes that can take `capacity` datagrams a second.
    pub(crate) fn new(
        key: Key,
        phases: &'static [&'static str],
        capacity: f64,
        world: &World,
    ) -> Self {
        let addresses = (0..world.hosts.len()).map(|host| (world.net.addr(host), host));
        Self {
            key,
            phases,
            capacity,
            current: None,
            since: world.now,
            seconds: vec![0.0; phases.len()],
            asked: vec![BTreeMap::new(); phases.len()],
            failed: 0,
            alive: addresses.collect(),
        }
    }

    fn sent(&mut self, phase: usize, to: usize, bytes: &[u8]) {
        let kind = bytes.get(KIND_AT).copied().and_then(Kind::from_code);
        if kind != Some(Kind::Get) {
            return;
        }
        let Some((_, Message::Request(request))) = read(bytes) else {
            return;
        };
        let ours = matches!(request.ask, Ask::Get { key, .. } if key == self.key);
        if let (true, Some(asked)) = (ours, self.asked.get_mut(phase)) {
            *asked.entry(to).or_default() += 1;
        }
    }
}

impl Checker for Goodput {
    fn saw(&mut self, now: Moment, seen: &Seen<'_>, model: &mut Model) {
        match *seen {
            Seen::Phase { name } => {
                if let Some(seconds) = self.current.and_then(|at| self.seconds.get_mut(at)) {
                    *seconds += now.since(self.since).as_secs_f64();
                }
                self.since = now;
                self.current = self.phases.iter().position(|phase| *phase == name);
            }
            Seen::Sent {
                to: Some(to),
                bytes,
                ..
            } => {
                if let Some(phase) = self.current {
                    self.sent(phase, to, bytes);
                }
            }
            Seen::Event {
                event: Event::ContactFailed(_, addr),
                ..
            } if self.current.is_some() => {
                let up = self.alive.get(addr).is_some_and(|host| model.is_up(*host));
                self.failed += usize::from(up);
            }
            _ => {}
        }
    }

    fn tell(&mut self, world: &World, report: &mut Report) {
        let (mut peak, mut beyond) = (0.0_f64, None::<f64>);
        let mut kept = 100.0_f64;
        for (at, phase) in self.phases.iter().enumerate() {
            let seconds = self.seconds.get(at).copied().unwrap_or(0.0);
            if seconds <= 0.0 {
                continue;
            }
            let gets: Vec<_> = world.model.of(What::Get, Some(phase)).collect();
            let found = gets.iter().filter(|op| op.end == Some(End::Found));
            let first = found
                .clone()
                .filter_map(|op| Some(op.first?.since(op.asked)));
            let latency = Spread::of(first.map(millis));
            let goodput = ratio(found.count()) / seconds;
            let busiest = self.asked.get(at).and_then(|asked| asked.values().max());
            let load = ratio(busiest.copied().unwrap_or(0)) / seconds / self.capacity;
            report.figure(
                format!("{phase}: asked of the busiest, of what it can take"),
                load,
                "",
            );
            report.figure(format!("{phase}: gets answered"), goodput, "/s");
            let answered = percent(latency.len(), gets.len());
            report.figure(format!("{phase}: of those asked"), answered, "%");
            report.figure(
                format!("{phase}: first value, 99th"),
                latency.percentile(99),
                "ms",
            );
            peak = peak.max(goodput);
            if load >= SATURATED {
                kept = kept.min(goodput * 100.0 / peak.max(1e-9));
                beyond.get_or_insert(goodput);
            }
        }
        if beyond.is_some() {
            report.figure("goodput beyond 4 x, of the best at lesser loads", kept, "%");
        }
        // A load that was never reached was never withstood. Loads beyond it count for the peak.
        let share = beyond.map_or(0.0, |goodput| goodput * 100.0 / peak.max(1e-9));
        report
            .figure("goodput at 4 x saturation, of its peak", share, "%")
            .at_least(TARGET)
            .elsewhere("mainline 89 % answered, 99th 2.4 s");
        report
            .figure("live contacts taken for dead", ratio(self.failed), "")
            .at_most(0.0);
    }
}
