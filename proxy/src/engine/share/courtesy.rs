//! How many may be told no, for those who are served.
//!
//! To refuse politely is cheap beside serving, and still the most there is to do when many times more
//! come than can be served. So whoever is let in pays for taking one more, and for refusing so many;
//! whom nobody pays for is left in the kernel's queue, which is short and turns away by itself. Those
//! who can be let in at once may always be taken. Pure accounting: who that is, the
//! [`lobby`](crate::engine::share::lobby) says.

/// Refused for a hundred who are let in, at most: with fewer, more are served when very many come, and
/// the kernel turns away visitors of all sites alike much sooner.
pub const REFUSED_PER_HUNDRED: i64 = 700;

/// How many may be taken ahead, and refused without anybody let in: a crowd that comes at once is told.
pub const BURST: i64 = 512;

/// What taking one costs; credit is counted in hundredths of it.
const TAKEN: i64 = 100;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Courtesy {
    credit: i64,
}

impl Default for Courtesy {
    fn default() -> Self {
        Self::new()
    }
}

impl Courtesy {
    /// As after a quiet time.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            credit: BURST * TAKEN,
        }
    }

    /// How many may be taken, when `room` of them would be let in at once.
    #[must_use]
    pub fn takes(&self, room: usize) -> usize {
        let paid = usize::try_from(self.credit / TAKEN).unwrap_or(0);
        paid.max(room)
    }

    /// One was taken.
    pub fn took(&mut self) {
        // Of those who left by themselves, no more than so many are held against those who come.
        self.credit = (self.credit - TAKEN).max(-BURST * TAKEN);
    }

    /// One was let in.
    pub fn let_in(&mut self) {
        self.credit = (self.credit + TAKEN + REFUSED_PER_HUNDRED).min(BURST * TAKEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_can_be_let_in_at_once_may_always_be_taken() {
        let mut courtesy = Courtesy::new();
        for _ in 0..BURST * 10 {
            courtesy.took();
        }
        assert_eq!((courtesy.takes(0), courtesy.takes(16)), (0, 16));
        // Soon others may be again, although nearly all of those left by themselves.
        for _ in 0..BURST {
            courtesy.let_in();
        }
        assert!(courtesy.takes(0) > 0);
    }

    #[test]
    fn no_more_are_refused_than_are_paid_for_however_many_come() {
        let (turns, lets_in) = (1_000, 16);
        let mut courtesy = Courtesy::new();
        let (mut waiting, mut refused, mut served) = (0, 0, 0);
        for _ in 0..turns {
            let taken = courtesy.takes(lets_in - waiting.min(lets_in));
            (0..taken).for_each(|_| courtesy.took());
            waiting += taken;
            let now = waiting.min(lets_in);
            (0..now).for_each(|_| courtesy.let_in());
            (served, waiting) = (served + now, waiting - now);
            // Nobody has the patience for more than ten turns.
            let late = waiting.saturating_sub(lets_in * 10);
            (refused, waiting) = (refused + late, waiting - late);
        }
        assert_eq!(served, turns * lets_in, "no turn is lost");
        let most = served * usize::try_from(REFUSED_PER_HUNDRED).unwrap() / 100;
        assert!(refused <= most + usize::try_from(BURST).unwrap());
        assert!(refused >= most - lets_in * 20, "{refused} of {most}");
    }

    #[test]
    fn a_quiet_time_pays_for_a_burst_and_no_more() {
        let mut courtesy = Courtesy::new();
        for _ in 0..BURST * 10 {
            courtesy.let_in();
        }
        assert_eq!(courtesy, Courtesy::new());
        assert_eq!(courtesy.takes(0), usize::try_from(BURST).unwrap());
    }
}
