//! Every timer of the engine: what it is for, who arms it. There are no other deadlines.
//!
//! The façade asks each room for its next deadline after every call and reports the earliest; a
//! timer that fired is thereby armed anew or cleared in the same call.

/// Why the engine wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// A request is due for retransmission or has failed. Armed by `rpc` for each attempt.
    Rpc,
    /// A command's deadline. Armed when the command starts.
    Deadline,
    /// A contact has been silent: ping it. Armed while there are contacts.
    Ping,
    /// Seeds and remembered peers are tried. Armed always; seldom once there are contacts.
    Join,
    /// A walk keeps the routing table fresh. Armed while there are contacts.
    Refresh,
    /// The node tests its own work through others. Armed while there are contacts.
    SelfTest,
    /// The services of this node changed and its contacts are told. Armed by a (de)registration.
    Announce,
    /// Own values whose storing node died are put again. Armed by a death.
    Heal,
    /// An own value is looked for where it should be. Armed by what puts it in doubt.
    Check,
    /// Values held are handed on. Armed by a change among the nearest nodes.
    Hand,
    /// A membership is looked at. Armed by the first contact, by each look, and by a neighbour's move.
    Look,
    /// The value that ends first. Armed by the store.
    Expire,
    /// Who is a member is compared with somebody. Armed while there are members.
    Sync,
    /// A suspect has had its time to object. Armed by the suspicion.
    Suspicion,
}

impl Timer {
    /// The word for logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rpc => "rpc",
            Self::Deadline => "deadline",
            Self::Ping => "ping",
            Self::Join => "join",
            Self::Refresh => "refresh",
            Self::SelfTest => "self_test",
            Self::Announce => "announce",
            Self::Heal => "heal",
            Self::Check => "check",
            Self::Hand => "hand",
            Self::Look => "look",
            Self::Expire => "expire",
            Self::Sync => "sync",
            Self::Suspicion => "suspicion",
        }
    }
}
