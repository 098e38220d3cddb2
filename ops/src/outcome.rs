//! How the command ends: an exit code, and for a failure what happened and what to do.

use std::fmt;
use std::process::ExitCode;

/// Exit codes, the same for every subcommand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Exit {
    /// Done. 0.
    Ok,
    /// It was tried and did not work. 1.
    Failed,
    /// The command line makes no sense. 2, as clap's own.
    Usage,
    /// It works, but not all of it. 3.
    Degraded,
    /// Nobody there to ask. 4.
    Unreachable,
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Degraded => 3,
            Self::Unreachable => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A failure as the operator reads it: `what happened: what to do`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The code to end with.
    pub exit: Exit,
    /// What happened, without a final full stop.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

/// What a subcommand comes to.
pub type Outcome = Result<Exit, Failure>;

impl Failure {
    /// Something was tried and did not work.
    pub fn failed(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            what: what.into(),
            advice: advice.into(),
        }
    }

    /// The command line makes no sense.
    pub fn usage(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            what: what.into(),
            advice: advice.into(),
        }
    }

    /// Nobody there to ask.
    pub fn unreachable(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            exit: Exit::Unreachable,
            what: what.into(),
            advice: advice.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.advice)
    }
}

impl std::error::Error for Failure {}
