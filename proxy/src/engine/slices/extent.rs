//! Extents: sixteen slices that have one pointer in the index together.
//!
//! A pointer for each slice of a file of 10 GiB would be 10,240 puts for each holder; one for the file would
//! not say who has which. With extents they are 640, each with a bit for each slice.

use std::net::SocketAddr;
use std::ops::Range;

use super::super::pointer::{Pointer, Progress};

/// Slices of an extent: as many as the bits that tell who has which.
pub const EXTENT: u64 = 16;

/// Pointers looked at for one slice: as many as a claim or get gives.
const POINTERS_MAX: usize = 16;

/// The extent that slice `n` is in.
#[must_use]
pub const fn of(n: u64) -> u64 {
    n / EXTENT
}

/// The slices of extent `e`.
#[must_use]
pub const fn slices(e: u64) -> Range<u64> {
    let start = e.saturating_mul(EXTENT);
    start..start.saturating_add(EXTENT)
}

/// The bit of slice `n` in its extent's pointer.
#[must_use]
pub const fn bit(n: u64) -> u16 {
    1 << (n % EXTENT)
}

/// Whether a pointer should be put again now that `after` are here and others were told `before`: for the
/// first, for the last, and whenever they have doubled. A few words for an extent say nearly as much as
/// sixteen.
#[must_use]
pub const fn is_news(before: u16, after: u16) -> bool {
    let (before, after) = (before.count_ones(), after.count_ones());
    after > before && (before == 0 || after >= before * 2 || after as u64 == EXTENT)
}

/// Whom to ask for slice `n`, in this order: those that have it, beginning with another one for each
/// slice, so that many are asked at once; the `giver` of the manifest, which was reading it moments ago,
/// before any pointer says so; then those that are fetching and may have it by now.
#[must_use]
pub fn holders(n: u64, pointers: &[Pointer], giver: Option<SocketAddr>) -> Vec<SocketAddr> {
    let has = |pointer: &&Pointer| match pointer.progress {
        Progress::Parts { held } => held & bit(n) != 0,
        Progress::Complete { .. } => true,
        Progress::Fetching => false,
    };
    let known = &pointers[..pointers.len().min(POINTERS_MAX)];
    let mut first: Vec<_> = known
        .iter()
        .filter(has)
        .map(|pointer| pointer.peer)
        .collect();
    if !first.is_empty() {
        let turn = usize::try_from(n % first.len() as u64).unwrap_or(0);
        first.rotate_left(turn);
    }
    // What a pointer says of the others may be old: whoever fetched some of it goes on.
    let rest = known.iter().filter(|pointer| !has(pointer));
    let rest = giver.into_iter().chain(rest.map(|pointer| pointer.peer));
    for peer in rest {
        if !first.contains(&peer) {
            first.push(peer);
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(last: u8, progress: Progress) -> Pointer {
        Pointer {
            peer: SocketAddr::from(([127, 0, 0, last], 1)),
            progress,
        }
    }

    #[test]
    fn holders_take_turns_and_those_who_may_have_it_come_last() {
        let parts = |held| Progress::Parts { held };
        let pointers = [
            pointer(1, Progress::Fetching),
            pointer(2, parts(0b0110)),
            pointer(3, parts(0b0001)),
            pointer(4, parts(0b0111)),
        ];
        let asked = |n| {
            let holders = holders(n, &pointers, None);
            holders
                .iter()
                .map(|addr| addr.ip().to_string().pop().unwrap())
                .collect::<String>()
        };
        assert_eq!(asked(0), "3412");
        assert_eq!((asked(1), asked(2)), ("4213".into(), "2413".into()));
        assert_eq!(asked(3), "1234", "nobody says so");
        assert_eq!(holders(16, &[], None), []);
    }

    #[test]
    fn the_giver_is_asked_before_those_who_may_have_it_and_once() {
        let giver = pointer(9, Progress::Fetching).peer;
        let last =
            |holders: Vec<SocketAddr>| holders.iter().map(|addr| addr.ip()).collect::<Vec<_>>();
        let [one, two] = [
            pointer(1, Progress::Fetching),
            pointer(2, Progress::Parts { held: 1 }),
        ];
        let expected = [two.peer, giver, one.peer].map(|addr| addr.ip());
        assert_eq!(last(holders(0, &[one, two], Some(giver))), expected);
        assert_eq!(
            holders(0, &[one, two], Some(two.peer)),
            [two.peer, one.peer]
        );
        assert_eq!(holders(5, &[], Some(giver)), [giver]);
    }

    #[test]
    fn a_pointer_is_told_a_few_times_while_an_extent_fills() {
        let (mut told, mut words) = (0, 0);
        for n in 0..16 {
            let held = (1u32 << (n + 1)) - 1;
            let held = u16::try_from(held).unwrap();
            if is_news(told, held) {
                (told, words) = (held, words + 1);
            }
        }
        assert_eq!((told, words), (u16::MAX, 5));
        assert!(!is_news(3, 3) && is_news(0, 1 << 15));
        assert_eq!((of(15), of(16), slices(1)), (0, 1, 16..32));
    }
}
