//! Orders as they are written down, so that a restart brings nothing back: in `store.dir/v1/orders`, one
//! entry after another.
//!
//! | bytes | field (little-endian) |
//! |---|---|
//! | 4 | length of what follows |
//! | 1 | kind: 1 an order, 2 orders up to here are forgotten |
//! | 16 + 8 + 8 | boot id, milliseconds since boot, calendar in seconds |
//! | 16 + n | id and text of the order; nothing of a kind 2 |
//! | 16 | BLAKE3, cut, over all before |
//!
//! An entry that is damaged or cut off may be any order: then whatever is older than this moment counts as
//! stale.

use std::time::Duration;

use common::clock::{Moment, WallTime};

use super::order::{Order, OrderId, TEXT_MAX};
use crate::engine::shelf::elapsed::Stamp;

/// What the file is called.
pub const NAME: &str = "orders";

/// Longest file that is read: twice as many orders as are remembered, each of the longest.
pub const FILE_MAX: u64 = 2 * super::ORDERS_MAX as u64 * (TEXT_MAX as u64 + 256);

const ORDER: u8 = 1;
const FORGOTTEN: u8 = 2;
const STAMP_LEN: usize = 32;
const CHECK_LEN: usize = 16;

/// By how much an order is taken to be younger than it says, since stamps are whole milliseconds; and
/// whole seconds, if another boot wrote it.
const SLACK: (Duration, Duration) = (Duration::from_millis(3), Duration::from_secs(2));

/// What was written down, as a later process understands it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Recalled {
    /// The orders and when they were given, oldest first.
    pub orders: Vec<(Moment, Order)>,
    /// When the last of those that are forgotten was given, at the latest.
    pub forgotten: Option<Moment>,
    /// The entries of these, to be written again.
    pub entries: Vec<Vec<u8>>,
    /// Whether something was damaged.
    pub damaged: bool,
}

fn check(bytes: &[u8]) -> [u8; CHECK_LEN] {
    let mut check = [0; CHECK_LEN];
    blake3::Hasher::new()
        .update(bytes)
        .finalize_xof()
        .fill(&mut check);
    check
}

fn entry(kind: u8, stamp: &[u8], rest: &[u8]) -> Vec<u8> {
    let length = 1 + stamp.len() + rest.len() + CHECK_LEN;
    let mut bytes = u32::try_from(length)
        .unwrap_or(u32::MAX)
        .to_le_bytes()
        .to_vec();
    bytes.push(kind);
    bytes.extend_from_slice(stamp);
    bytes.extend_from_slice(rest);
    let check = check(&bytes);
    bytes.extend(check);
    bytes
}

/// The entry of an order that was given at `stamp`.
#[must_use]
pub fn encode(order: &Order, stamp: &Stamp) -> Vec<u8> {
    let since = u64::try_from(stamp.since_boot.as_millis()).unwrap_or(u64::MAX);
    let mut at = stamp.boot.to_vec();
    at.extend(since.to_le_bytes());
    at.extend(stamp.wall.unix().to_le_bytes());
    let text = order.to_string();
    entry(ORDER, &at, &[&order.id.0, text.as_bytes()].concat())
}

/// The entry that stands for the order of `entry`, and all before, once they are forgotten.
#[must_use]
pub fn forgotten(entry: &[u8]) -> Vec<u8> {
    let stamp = entry.get(5..5 + STAMP_LEN).unwrap_or_default();
    self::entry(FORGOTTEN, stamp, &[])
}

/// What `bytes`, which another process wrote, say at `now`.
#[must_use]
pub fn read(bytes: &[u8], (now, stamp): (Moment, &Stamp)) -> Recalled {
    let mut recalled = Recalled::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((whole, next)) = split(rest) else {
            recalled.damaged = true;
            recalled.forgotten = Some(now);
            break;
        };
        match parse(whole, (now, stamp)) {
            Some((given, Some(order))) => {
                recalled.orders.push((given, order));
                recalled.entries.push(whole.to_vec());
            }
            Some((given, None)) => recalled.forgotten = Some(given),
            // As it was written, and yet it makes no sense: another version's.
            None => recalled.forgotten = Some(now),
        }
        rest = next;
    }
    recalled
}

/// The first entry, if it is as it was written, and what follows.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    let (whole, rest) = bytes.split_at_checked(length.checked_add(4)?)?;
    let (checked, end) = whole.split_at_checked(whole.len().checked_sub(CHECK_LEN)?)?;
    (check(checked) == end).then_some((whole, rest))
}

/// When it was given, and the order, if it is one.
fn parse(whole: &[u8], (now, stamp): (Moment, &Stamp)) -> Option<(Moment, Option<Order>)> {
    let body = whole.get(4..whole.len().checked_sub(CHECK_LEN)?)?;
    let (kind, body) = body.split_first()?;
    let (boot, body) = body.split_first_chunk()?;
    let (since, body) = body.split_first_chunk()?;
    let (wall, rest) = body.split_first_chunk()?;
    let given = Stamp {
        boot: *boot,
        since_boot: Duration::from_millis(u64::from_le_bytes(*since)),
        wall: WallTime::from_unix(i64::from_le_bytes(*wall)),
    };
    let slack = if given.boot == stamp.boot {
        SLACK.0
    } else {
        SLACK.1
    };
    let given = now - given.elapsed(stamp).saturating_sub(slack);
    match *kind {
        ORDER => {
            let (id, text) = rest.split_first_chunk()?;
            let text = std::str::from_utf8(text).ok()?;
            let order = Order::parse(OrderId(*id), text).ok()?;
            Some((given, Some(order)))
        }
        FORGOTTEN => Some((given, None)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(boot: u8, seconds: u64) -> Stamp {
        Stamp {
            boot: [boot; 16],
            since_boot: Duration::from_secs(seconds),
            wall: WallTime::from_unix(1_000_000 + i64::try_from(seconds).unwrap()),
        }
    }

    fn order(n: u8, text: &str) -> Order {
        Order::parse(OrderId([n; 16]), text).unwrap()
    }

    fn now() -> Moment {
        Moment::ZERO + Duration::from_secs(1_000)
    }

    fn written() -> Vec<Vec<u8>> {
        vec![
            encode(&order(1, "hard url http://a.example/x"), &stamp(7, 100)),
            encode(&order(2, "soft tag * news"), &stamp(7, 160)),
        ]
    }

    #[test]
    fn orders_come_back_with_the_time_since_they_were_given() {
        let entries = written();
        let recalled = read(&entries.concat(), (now(), &stamp(7, 200)));
        let ago = |seconds| now() - Duration::from_secs(seconds) + SLACK.0;
        assert_eq!(recalled.entries, entries);
        assert_eq!(
            recalled.orders,
            [
                (ago(100), order(1, "hard url http://a.example/x")),
                (ago(40), order(2, "soft tag * news")),
            ]
        );
        assert_eq!((recalled.forgotten, recalled.damaged), (None, false));
        // After another boot the calendar tells, in whole seconds.
        let recalled = read(&entries.concat(), (now(), &stamp(8, 200)));
        assert_eq!(recalled.orders[1].0, now() - Duration::from_secs(38));
    }

    #[test]
    fn what_is_damaged_or_cut_off_may_be_any_order() {
        let (entries, at) = (written(), (now(), &stamp(7, 200)));
        let whole = entries.concat();
        for end in 0..whole.len() {
            let recalled = read(&whole[..end], at);
            let left = usize::from(end >= entries[0].len());
            let cut = end != 0 && end != entries[0].len();
            assert_eq!((recalled.orders.len(), recalled.damaged), (left, cut));
        }
        for byte in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[byte] ^= 0x41;
            let recalled = read(&damaged, at);
            assert!(recalled.orders.len() < 2, "byte {byte}");
            assert_eq!((recalled.damaged, recalled.forgotten), (true, Some(now())));
        }
    }

    #[test]
    fn orders_that_are_forgotten_leave_their_time() {
        let bytes = forgotten(&written()[0]);
        let recalled = read(&bytes, (now(), &stamp(7, 200)));
        let given = now() - Duration::from_secs(100) + SLACK.0;
        assert_eq!(recalled.forgotten, Some(given));
        assert!(recalled.orders.is_empty() && !recalled.damaged);
    }
}
