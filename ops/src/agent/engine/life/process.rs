//! One process of a daemon, in words: which it is, what it is told, what it says of itself, how long it has.

use std::time::Duration;

/// Which of the processes that one daemon may have at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Berth(u8);

impl Berth {
    /// Processes of one daemon at most: one that serves, its heir, and those that finish what they began.
    pub const MAX: u8 = 4;

    /// The first.
    pub(super) const FIRST: Self = Self(0);

    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..Self::MAX).map(Self)
    }

    /// Number `n`, from 0.
    #[must_use]
    pub const fn new(n: u8) -> Option<Self> {
        if n < Self::MAX { Some(Self(n)) } else { None }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// For a process that was asked to end.
    pub grace: Duration,
    /// For an heir to be ready.
    pub ready: Duration,
    /// For a process that was relieved, to finish what it began.
    pub drain: Duration,
}

/// What a process is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    /// Give up what only one process can have, and go on.
    GiveUp,
    /// Another one serves: finish what was begun, and end.
    Relieved,
    /// End.
    Terminate,
    /// End at once.
    Kill,
}

/// What to do with a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Start it, beside the one that serves if there is one.
    Start(Berth, Option<Berth>),
    /// Tell it.
    Tell(Berth, Sign),
    /// Nobody is to come after it: its sockets are kept no longer.
    Release,
}

/// What a process says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notice {
    /// It has all but what only one process can have.
    Prepared,
    /// It serves.
    Ready,
    /// It lives.
    Alive,
    /// It has its sockets kept.
    Keeps,
}
