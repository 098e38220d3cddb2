//! How often answers name each proxy: an estimate from one reply in sixteen, so that counting costs
//! nothing beside answering.
//!
//! The replies looked at are drawn at random, so that no pattern of questions hides from them; over
//! thousands of answers the estimate is within a few percent.

use std::collections::BTreeMap;
use std::net::IpAddr;

use common::rng::Generator;

/// One reply in so many is looked at, and counts as so many.
pub const ONE_IN: u64 = 16;

/// Addresses counted; others are not. More than are ever checked at once.
const ADDRESSES_MAX: usize = 20_000;

/// Bytes of a header, and of a record or question behind its name.
const HEADER: usize = 12;
const QUESTION: usize = 4;
const RECORD: usize = 10;

/// Types of the records that name.
const A: u16 = 1;
const AAAA: u16 = 28;

/// See the module.
#[derive(Clone, Debug)]
pub struct Named {
    rng: Generator,
    counts: BTreeMap<IpAddr, u64>,
}

impl Named {
    /// Nobody was named.
    #[must_use]
    pub const fn new(rng: Generator) -> Self {
        Self {
            rng,
            counts: BTreeMap::new(),
        }
    }

    /// How many replies to pass over before the next one that [`count`](Self::count) is to see.
    pub fn pass_over(&mut self) -> usize {
        let most = usize::try_from(2 * ONE_IN - 1).unwrap_or(usize::MAX);
        self.rng.below(most)
    }

    /// Counts the addresses in the answer section of `reply`. What cannot be read counts nobody.
    pub fn count(&mut self, reply: &[u8]) {
        for address in addresses(reply) {
            if self.counts.contains_key(&address) || self.counts.len() < ADDRESSES_MAX {
                *self.counts.entry(address).or_default() += ONE_IN;
            }
        }
    }

    /// About how many answers named `address`.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> u64 {
        self.counts.get(&address).copied().unwrap_or(0)
    }
}

/// The addresses in the answer section of `reply`.
fn addresses(reply: &[u8]) -> Vec<IpAddr> {
    let mut found = Vec::new();
    // A reply that is not whole ends the walk; what was found until there counts.
    walk(reply, &mut found);
    found
}

fn walk(reply: &[u8], found: &mut Vec<IpAddr>) -> Option<()> {
    let questions = number(reply, 4)?;
    let answers = number(reply, 6)?;
    let mut at = HEADER;
    for _ in 0..questions {
        at = behind_name(reply, at)? + QUESTION;
    }
    for _ in 0..answers {
        at = behind_name(reply, at)?;
        let (rtype, length) = (number(reply, at)?, number(reply, at + 8)?);
        at += RECORD;
        let data = reply.get(at..at + usize::from(length))?;
        at += data.len();
        match rtype {
            A => found.push(IpAddr::from(<[u8; 4]>::try_from(data).ok()?)),
            AAAA => found.push(IpAddr::from(<[u8; 16]>::try_from(data).ok()?)),
            _ => {}
        }
    }
    Some(())
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes(two.try_into().ok()?))
}

/// Where the name at `at` ends (RFC 1035 §4.1.4). Each step goes forward, so it ends.
#[must_use]
pub fn behind_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            192.. => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, MessageType, OpCode, Query};
    use hickory_proto::rr::{Name, RData, Record, RecordType};

    use super::*;

    fn reply() -> Vec<u8> {
        let name = Name::from_ascii("www.example.com.nyud.test.").unwrap();
        let mut reply = Message::new(1, MessageType::Response, OpCode::Query);
        reply.add_query(Query::query(name.clone(), RecordType::A));
        for data in [
            RData::A("192.0.2.1".parse().unwrap()),
            RData::AAAA("2001:db8::1".parse().unwrap()),
        ] {
            reply.add_answer(Record::from_rdata(name.clone(), 30, data));
        }
        reply.to_vec().unwrap()
    }

    #[test]
    fn addresses_of_the_answer_are_counted_for_the_replies_passed_over() {
        let mut named = Named::new(Generator::from_seed(1));
        named.count(&reply());
        assert_eq!(named.of("192.0.2.1".parse().unwrap()), ONE_IN);
        assert_eq!(named.of("2001:db8::1".parse().unwrap()), ONE_IN);
        assert_eq!(named.of("192.0.2.2".parse().unwrap()), 0);
    }

    #[test]
    fn a_reply_cut_off_anywhere_counts_what_is_whole() {
        let reply = reply();
        for length in 0..reply.len() {
            assert!(addresses(&reply[..length]).len() < 2, "{length}");
        }
        assert!(addresses(&[0xff; 600]).is_empty());
    }

    #[test]
    fn one_reply_in_sixteen_is_looked_at_on_the_average() {
        let mut named = Named::new(Generator::from_seed(1));
        let replies: usize = (0..10_000).map(|_| named.pass_over() + 1).sum();
        assert!((155_000..165_000).contains(&replies), "{replies}");
    }
}
