//! What was decided about a URL last: why it was not kept, and how its fetch failed last.
//!
//! For the operator who asks; no request is answered by it. Bounded: the URLs decided about longest ago
//! are forgotten. Copies, gates and fills are their own modules' business; [`Flow::explain`] puts all
//! of it together.
//!
//! [`Flow::explain`]: super::flow::Flow::explain

use std::num::NonZeroUsize;
use std::time::Duration;

use common::clock::Moment;
use lru::LruCache;

use super::http::fresh::LifetimeSource;
use super::http::key::PrimaryKey;
use super::http::store::NoStoreReason;
use super::reason::FailReason;

/// URLs remembered: some 200 bytes each. Only what is not kept or fails is entered.
pub const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// What was decided last.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Last {
    /// Its last answer was not kept, for this.
    pub not_kept: Option<(Moment, NoStoreReason)>,
    /// Its last fetch that failed, at the origin or at a peer.
    pub failed: Option<(Moment, FailReason)>,
}

/// See the module.
#[derive(Debug)]
pub struct Whys(LruCache<PrimaryKey, Last>);

impl Default for Whys {
    fn default() -> Self {
        Self(LruCache::new(REMEMBERED_MAX))
    }
}

impl Whys {
    /// The answer to `key` is not kept.
    pub fn not_kept(&mut self, now: Moment, key: &PrimaryKey, reason: NoStoreReason) {
        self.entry(key).not_kept = Some((now, reason));
    }

    /// A fetch of `key` failed.
    pub fn failed(&mut self, now: Moment, key: &PrimaryKey, reason: FailReason) {
        self.entry(key).failed = Some((now, reason));
    }

    /// The answer to `key` is kept: what stood against it does no longer.
    pub fn kept(&mut self, key: &PrimaryKey) {
        if let Some(last) = self.0.peek_mut(key) {
            last.not_kept = None;
        }
    }

    /// What is known of `key`.
    #[must_use]
    pub fn of(&self, key: &PrimaryKey) -> Last {
        self.0.peek(key).copied().unwrap_or_default()
    }

    fn entry(&mut self, key: &PrimaryKey) -> &mut Last {
        self.0.get_or_insert_mut_ref(key, Last::default)
    }
}

/// A copy, as it is explained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Copy {
    /// Its status.
    pub status: u16,
    /// Its age.
    pub age: Duration,
    /// How long it is fresh in all.
    pub lifetime: Duration,
    /// What says so.
    pub source: LifetimeSource,
    /// For how long it still is; zero if it is stale.
    pub fresh_for: Duration,
}

/// What a node can say of a URL without fetching it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explained {
    /// Copies in memory, the latest last.
    pub copies: Vec<Copy>,
    /// What is on disk is fresh for so long.
    pub on_disk: Option<Duration>,
    /// Fetches under way.
    pub fetching: usize,
    /// A pointer of ours is in the index.
    pub announced: bool,
    /// Its site is asked for much.
    pub hot: bool,
    /// Nobody queues for it, for this reason.
    pub unshareable: Option<NoStoreReason>,
    /// Its origin is failing: asked again after so long.
    pub origin: Option<(Duration, FailReason)>,
    /// What was decided last.
    pub last: Last,
}

/// The answer in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhyVerdict {
    /// A fresh copy is here.
    Fresh,
    /// A copy is here that has to be validated before it is used.
    Stale,
    /// It is being fetched.
    Fetching,
    /// Its last answer may not be kept.
    NotKept,
    /// Its origin fails and nothing is here.
    OriginFails,
    /// Nothing is known: it was not asked for here, or long ago.
    Unknown,
}

impl WhyVerdict {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Fresh,
        Self::Stale,
        Self::Fetching,
        Self::NotKept,
        Self::OriginFails,
        Self::Unknown,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Fetching => "fetching",
            Self::NotKept => "not_kept",
            Self::OriginFails => "origin_fails",
            Self::Unknown => "unknown",
        }
    }
}

impl Explained {
    /// The answer in one word.
    #[must_use]
    pub fn verdict(&self) -> WhyVerdict {
        let fresh = |copy: &Copy| !copy.fresh_for.is_zero();
        let on_disk = self.on_disk.filter(|left| !left.is_zero());
        if self.copies.iter().any(fresh) || on_disk.is_some() {
            WhyVerdict::Fresh
        } else if !self.copies.is_empty() || self.on_disk.is_some() {
            WhyVerdict::Stale
        } else if self.fetching > 0 {
            WhyVerdict::Fetching
        } else if self.origin.is_some() {
            WhyVerdict::OriginFails
        } else if self.not_kept().is_some() {
            WhyVerdict::NotKept
        } else if self.last.failed.is_some() {
            WhyVerdict::OriginFails
        } else {
            WhyVerdict::Unknown
        }
    }

    /// Why its answers are not kept, if they are not.
    #[must_use]
    pub fn not_kept(&self) -> Option<NoStoreReason> {
        self.unshareable
            .or_else(|| self.last.not_kept.map(|(_, reason)| reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::http::key::Scheme;

    fn key(n: usize) -> PrimaryKey {
        PrimaryKey::new(Scheme::Http, "a.example", 80, &format!("/{n}"))
    }

    fn nothing() -> Explained {
        Explained {
            copies: Vec::new(),
            on_disk: None,
            fetching: 0,
            announced: false,
            hot: false,
            unshareable: None,
            origin: None,
            last: Last::default(),
        }
    }

    #[test]
    fn what_was_decided_longest_ago_is_forgotten() {
        let mut whys = Whys::default();
        for n in 0..=REMEMBERED_MAX.get() {
            whys.not_kept(Moment::ZERO, &key(n), NoStoreReason::Private);
        }
        assert_eq!(whys.of(&key(0)), Last::default());
        assert!(whys.of(&key(1)).not_kept.is_some());
    }

    #[test]
    fn a_copy_that_is_kept_takes_back_why_none_was() {
        let mut whys = Whys::default();
        whys.failed(Moment::ZERO, &key(1), FailReason::Broken);
        whys.not_kept(Moment::ZERO, &key(1), NoStoreReason::Private);
        whys.kept(&key(1));
        let last = whys.of(&key(1));
        assert_eq!(
            (last.not_kept, last.failed),
            (None, Some((Moment::ZERO, FailReason::Broken)))
        );
    }

    #[test]
    fn the_verdict_says_what_the_next_client_will_get() {
        let copy = |fresh_for| Copy {
            status: 200,
            age: Duration::ZERO,
            lifetime: Duration::from_secs(60),
            source: LifetimeSource::MaxAge,
            fresh_for: Duration::from_secs(fresh_for),
        };
        let failing = Some((Duration::from_secs(5), FailReason::ConnectRefused));
        for (explained, verdict) in [
            (nothing(), WhyVerdict::Unknown),
            (
                Explained {
                    copies: vec![copy(0), copy(3)],
                    ..nothing()
                },
                WhyVerdict::Fresh,
            ),
            (
                Explained {
                    copies: vec![copy(0)],
                    origin: failing,
                    ..nothing()
                },
                WhyVerdict::Stale,
            ),
            (
                Explained {
                    on_disk: Some(Duration::from_secs(1)),
                    ..nothing()
                },
                WhyVerdict::Fresh,
            ),
            (
                Explained {
                    unshareable: Some(NoStoreReason::Private),
                    ..nothing()
                },
                WhyVerdict::NotKept,
            ),
            (
                Explained {
                    origin: failing,
                    ..nothing()
                },
                WhyVerdict::OriginFails,
            ),
            (
                Explained {
                    fetching: 1,
                    ..nothing()
                },
                WhyVerdict::Fetching,
            ),
        ] {
            assert_eq!(explained.verdict(), verdict, "{explained:?}");
        }
    }
}
