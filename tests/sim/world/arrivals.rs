//! What happens to a datagram that has come to its node: it waits for a starved one, lines up at a
//! busy one, and is handed to the engine.

use crate::checkers::Seen;
use crate::host::Parcel;
use crate::net::{Loss, Sins};

use super::{Happening, World};

impl World {
    pub(super) fn arrive(&mut self, parcel: Box<Parcel>) {
        let now = self.now;
        let host = parcel.to;
        if self.hosts[host].starved_until > now {
            return self.wait(parcel);
        }
        self.hosts[host].waiting = 0;
        if self.net.sins.service.is_zero() {
            self.handle(&parcel);
        } else {
            self.line_up(parcel);
        }
    }

    /// A busy node comes to each datagram in turn.
    fn line_up(&mut self, parcel: Box<Parcel>) {
        let Sins { service, inbox, .. } = self.net.sins;
        let place = &mut self.hosts[parcel.to];
        let begin = place.busy_until.max(self.now);
        let most = u32::try_from(inbox).unwrap_or(u32::MAX);
        if begin.since(self.now) > service.saturating_mul(most) {
            self.counts.lost[Loss::Inbox as usize] += 1;
            return;
        }
        place.busy_until = begin + service;
        self.queue.push(place.busy_until, Happening::Served(parcel));
    }

    pub(super) fn handle(&mut self, parcel: &Parcel) {
        let (now, host) = (self.now, parcel.to);
        self.print.add(b'.', now, host, &parcel.bytes);
        self.tell(&Seen::Arrived { parcel });
        if self.tapped.len() < self.tap {
            self.tapped.push(parcel.clone());
        }
        let Some(mut node) = self.hosts[host].node.take() else {
            self.counts.lost[Loss::Dead as usize] += 1;
            return;
        };
        self.counts.delivered += 1;
        let from = self.net.addr(parcel.from);
        node.handle_datagram(self.hosts[host].clock.shows(now), from, &parcel.bytes);
        self.drain(host, node, Some(parcel));
    }

    fn wait(&mut self, parcel: Box<Parcel>) {
        let most = self.net.sins.inbox;
        let place = &mut self.hosts[parcel.to];
        if place.waiting >= most {
            self.counts.lost[Loss::Inbox as usize] += 1;
            return;
        }
        place.waiting += 1;
        self.queue
            .push(place.starved_until, Happening::Datagram(parcel));
    }
}
