//! What a fill tried before it gave up, for the page that says so.

use std::time::Duration;

use super::pursuit::News;
use super::reason::FailReason;

/// Steps that are remembered; of a longer search only the number of the others is.
pub const STEPS_MAX: usize = 8;

/// One thing that was tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The index named so many proxies.
    IndexFound(usize),
    /// The index knew nobody.
    IndexEmpty,
    /// The index did not answer in time, or not at all.
    IndexSilent,
    /// Another proxy gave nothing.
    Peer(FailReason),
    /// The origin gave nothing, or was not asked for this.
    Origin(FailReason),
    /// The origin was left alone: it failed a moment ago. It is asked again after this time.
    Spared(FailReason, Duration),
}

impl Step {
    /// What the index said, if `news` is that.
    #[must_use]
    pub const fn of_index(news: &News) -> Option<Self> {
        match news {
            News::Located(peers) if peers.is_empty() => Some(Self::IndexEmpty),
            News::Located(peers) => Some(Self::IndexFound(peers.len())),
            News::Granted => Some(Self::IndexEmpty),
            News::NoIndex => Some(Self::IndexSilent),
            News::Reached(_)
            | News::PeerFailed { .. }
            | News::OriginFailed(_)
            | News::Unconfirmed
            | News::BodyBroke(_) => None,
        }
    }

    /// Who was asked.
    #[must_use]
    pub const fn source(self) -> &'static str {
        match self {
            Self::IndexFound(_) | Self::IndexEmpty | Self::IndexSilent => "index",
            Self::Peer(_) => "peer",
            Self::Origin(_) | Self::Spared(..) => "origin",
        }
    }

    /// What came of it; for a failure its reason's word.
    #[must_use]
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::IndexFound(_) => "found",
            Self::IndexEmpty => "empty",
            Self::IndexSilent => "silent",
            Self::Peer(reason) | Self::Origin(reason) | Self::Spared(reason, _) => reason.as_str(),
        }
    }

    /// Both, for people.
    #[must_use]
    pub fn sentence(self) -> String {
        match self {
            Self::IndexFound(1) => "the index named one proxy that may have it".into(),
            Self::IndexFound(n) => format!("the index named {n} proxies that may have it"),
            Self::IndexEmpty => "the index knew no proxy that has it".into(),
            Self::IndexSilent => "the index did not answer in time".into(),
            Self::Peer(reason) => format!("another proxy gave nothing ({})", reason.as_str()),
            Self::Origin(reason) => format!("the site gave nothing ({})", reason.as_str()),
            Self::Spared(reason, left) => format!(
                "the site failed a moment ago ({}) and is asked again in {} s",
                reason.as_str(),
                left.as_secs().max(1)
            ),
        }
    }
}

/// The steps, in order.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Trail {
    steps: Vec<Step>,
    more: usize,
}

impl Trail {
    /// Another step.
    pub fn push(&mut self, step: Step) {
        if self.steps.len() < STEPS_MAX {
            self.steps.push(step);
        } else {
            self.more += 1;
        }
    }

    /// Those remembered.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How many more there were.
    #[must_use]
    pub const fn more(&self) -> usize {
        self.more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_search_is_counted_beyond_its_bound() {
        let mut trail = Trail::default();
        for _ in 0..STEPS_MAX + 3 {
            trail.push(Step::Peer(FailReason::PeerRefused));
        }
        assert_eq!((trail.steps().len(), trail.more()), (STEPS_MAX, 3));
    }

    #[test]
    fn an_index_that_names_nobody_is_empty() {
        let peer = std::net::SocketAddr::from(([192, 0, 2, 1], 1));
        for (news, step) in [
            (News::Located(vec![]), Some(Step::IndexEmpty)),
            (News::Located(vec![peer]), Some(Step::IndexFound(1))),
            (News::NoIndex, Some(Step::IndexSilent)),
            (News::Unconfirmed, None),
        ] {
            assert_eq!(Step::of_index(&news), step, "{news:?}");
        }
    }
}
