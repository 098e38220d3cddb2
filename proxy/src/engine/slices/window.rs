//! Which slices of a range are looked for now: those that its reader has come to, and a few ahead.
//!
//! One at first: whoever seeks about in a video reads little at each place. One more with each slice that is
//! read, up to what the operator allows. So what a reader can make a node fetch is bounded by what it reads.

use std::ops::Range;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// Slices not yet looked for.
    left: Range<u64>,
    /// Looked for, and not yet read to their ends.
    open: u64,
    /// As many may be.
    allowed: u64,
    /// As many may ever be.
    most: u64,
}

impl Window {
    /// Over `slices`, looking for at most `ahead` more than the one being read.
    #[must_use]
    pub const fn new(slices: Range<u64>, ahead: u64) -> Self {
        Self {
            left: slices,
            open: 0,
            allowed: 1,
            most: ahead.saturating_add(1),
        }
    }

    /// The next slice to look for, if one is to be. When memory is `short` no more than one is at a time.
    pub const fn begin(&mut self, short: bool) -> Option<u64> {
        let allowed = if short { 1 } else { self.allowed };
        if self.open >= allowed || self.left.start >= self.left.end {
            return None;
        }
        let next = self.left.start;
        self.left.start += 1;
        self.open += 1;
        Some(next)
    }

    /// The first bytes of the next one have come to be read.
    pub const fn reading(&mut self) {
        if self.allowed < self.most {
            self.allowed += 1;
        }
    }

    /// One was read to its end.
    pub const fn read(&mut self) {
        self.open = self.open.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(window: &mut Window, short: bool) -> Vec<u64> {
        std::iter::from_fn(|| window.begin(short)).collect()
    }

    #[test]
    fn looks_ahead_by_what_was_read_and_no_further_than_allowed() {
        let mut window = Window::new(5..100, 3);
        assert_eq!(all(&mut window, false), [5], "a seek costs one");
        window.reading();
        assert_eq!(all(&mut window, false), [6]);
        window.read();
        window.reading();
        assert_eq!(all(&mut window, false), [7, 8]);
        for n in 9..50 {
            window.read();
            window.reading();
            let begun = all(&mut window, false);
            assert!(
                begun.len() <= 2 && begun.iter().all(|slice| *slice <= n + 1),
                "{begun:?}"
            );
        }
        assert_eq!(
            all(&mut window, false),
            Vec::<u64>::new(),
            "it does not read"
        );
    }

    #[test]
    fn one_at_a_time_while_memory_is_short_and_none_beyond_the_end() {
        let mut window = Window::new(0..2, 8);
        for expected in [vec![0], vec![1], vec![]] {
            window.reading();
            assert_eq!(all(&mut window, true), expected);
            window.read();
        }
    }
}
