//! Outsiders hear nothing, and nobody is used to shout at others: no datagram ever goes to a node
//! outside the network, and a reply to an address that has not proven itself is never larger than
//! the request.

use common::clock::Moment;
use dht::engine::message::Message;

use super::{Checker, Seen, is_reply, read};
use crate::host::Parcel;
use crate::model::Model;
use crate::report::{Report, ratio};
use crate::world::World;

/// Checks who is told what.
#[derive(Debug)]
pub(crate) struct Silence {
    member: Vec<bool>,
    intruded: u64,
    to_outsiders: u64,
    amplified: u64,
    first: Option<String>,
}

impl Silence {
    /// Among the nodes of `world`.
    pub(crate) fn new(world: &World) -> Self {
        Self {
            member: world.hosts.iter().map(|host| host.member).collect(),
            intruded: 0,
            to_outsiders: 0,
            amplified: 0,
            first: None,
        }
    }

    fn is_member(&self, host: usize) -> bool {
        self.member.get(host).copied().unwrap_or(false)
    }
}

/// Whether a request carries a token. Whether it is the right one only its issuer knows.
fn bears_token(request: &Parcel) -> bool {
    match read(&request.bytes) {
        Some((_, Message::Request(request))) => request.token.is_some(),
        _ => false,
    }
}

impl Checker for Silence {
    fn saw(&mut self, now: Moment, seen: &Seen<'_>, _model: &mut Model) {
        match *seen {
            Seen::Arrived { parcel }
                if self.is_member(parcel.to) && !self.is_member(parcel.from) =>
            {
                self.intruded += 1;
            }
            Seen::Sent {
                host,
                to: Some(to),
                bytes,
                cause,
            } if self.is_member(host) => {
                let outside = !self.is_member(to);
                let louder = cause.filter(|cause| {
                    cause.from == to && is_reply(bytes) && bytes.len() > cause.bytes.len()
                });
                let amplified = louder.is_some_and(|cause| !bears_token(cause));
                self.to_outsiders += u64::from(outside);
                self.amplified += u64::from(amplified);
                if outside || amplified {
                    let size = bytes.len();
                    let told = format!("silence: node {host} sent {size} bytes to {to} at {now:?}");
                    self.first.get_or_insert(told);
                }
            }
            _ => {}
        }
    }

    fn tell(&mut self, _world: &World, report: &mut Report) {
        if self.intruded > 0 {
            let told = usize::try_from(self.to_outsiders).unwrap_or(usize::MAX);
            report
                .figure("datagrams to outsiders", ratio(told), "")
                .at_most(0.0);
            report.count("datagrams from outsiders", self.intruded);
        }
        if let Some(first) = self.first.take() {
            let (outside, amplified) = (self.to_outsiders, self.amplified);
            report.violation(format!(
                "{first}; to outsiders {outside}, amplified {amplified}"
            ));
        }
    }
}
