//! Beginnings of bodies that broke off, kept to be completed by the next fetch (RFC 9111 §3.3, §3.4).
//!
//! A fetch that dies is resumed while its readers wait; what could not be completed then would be
//! fetched from its first byte by the next one, which for a large object on a bad link may never end.
//! So a beginning that a strong validator identifies waits here a while. It answers nobody: the
//! next fetch asks the origin for the rest, with If-Range, and only if that joins on is there a head
//! to show. What belongs to what is [`splice`](super::splice)'s business.
//!
//! Bounded in number, bytes and time, apart from the store: a beginning never displaces what is whole.

use std::sync::Arc;
use std::time::Duration;

use common::clock::Moment;
use common::expiring::ExpiringMap;
use http::{HeaderMap, StatusCode};

use super::http::conditional;
use super::http::key::PrimaryKey;
use super::reason::FailReason;
use super::splice::Splice;
use super::store::object::Object;
use super::store::{Budget, Weight};

/// Most beginnings; the one that broke off first makes room.
pub const BEGINNINGS_MAX: usize = 256;

/// How long a beginning is kept: long enough for people and programs that try again, and no second
/// cache.
pub const KEPT_FOR: Duration = Duration::from_secs(600);

/// The share of the store's budget that beginnings may have on top of it: one part in this many.
pub const SHARE: u64 = 16;

/// What beginnings may cost beside a store of this budget.
#[must_use]
pub const fn budget(store: Budget) -> Budget {
    Budget {
        memory: store.memory / SHARE,
        disk: store.disk / SHARE,
    }
}

/// A body that broke off.
#[derive(Debug)]
pub struct Beginning<B> {
    /// Its head, and a handle to the bytes that are here.
    pub object: Arc<Object<B>>,
    /// How far it came, and the hash of that.
    pub splice: Box<Splice>,
}

impl<B> Clone for Beginning<B> {
    fn clone(&self) -> Self {
        Self {
            object: Arc::clone(&self.object),
            splice: self.splice.clone(),
        }
    }
}

/// Why a beginning is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LetGo {
    /// The response may not be stored.
    NotShared,
    /// It is not a plain 200.
    Status,
    /// No byte of it is here, or not every byte up to where it broke.
    Gaps,
    /// No strong validator would tie the rest to it.
    NoValidator,
    /// Its bytes may be wrong.
    Suspect,
    /// It is larger than all beginnings together may be.
    TooLarge,
}

impl LetGo {
    /// The word for logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotShared => "not_shared",
            Self::Status => "status",
            Self::Gaps => "gaps",
            Self::NoValidator => "no_validator",
            Self::Suspect => "suspect",
            Self::TooLarge => "too_large",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Beginnings<B> {
    kept: ExpiringMap<PrimaryKey, (Beginning<B>, Weight)>,
    used: Weight,
    budget: Budget,
}

impl<B> Beginnings<B> {
    /// None yet; they may have their share of `store`, the store's budget.
    #[must_use]
    pub fn new(store: Budget) -> Self {
        Self {
            kept: ExpiringMap::new(BEGINNINGS_MAX),
            used: Weight::default(),
            budget: budget(store),
        }
    }

    /// A shared fetch broke off for `reason`. `weight` is what its bytes cost, if all are held.
    ///
    /// # Errors
    /// Why it is not kept.
    pub fn keep(
        &mut self,
        now: Moment,
        beginning: Beginning<B>,
        weight: Option<Weight>,
        reason: FailReason,
    ) -> Result<(), LetGo> {
        let key = beginning.object.key.clone();
        self.remove(&key);
        let weight = judge(&beginning, weight, reason)?;
        if weight.memory > self.budget.memory || weight.disk > self.budget.disk {
            return Err(LetGo::TooLarge);
        }
        while self
            .kept
            .expire(now)
            .is_some_and(|(_, (_, old))| self.give_back(old))
        {}
        let over = |used: Weight| {
            used.memory + weight.memory > self.budget.memory
                || used.disk + weight.disk > self.budget.disk
        };
        let mut used = self.used;
        while self.kept.len() >= BEGINNINGS_MAX || over(used) {
            let Some((_, (_, old))) = self.kept.expire(Moment::NEVER) else {
                break;
            };
            used = minus(used, old);
        }
        self.used = Weight {
            memory: used.memory + weight.memory,
            disk: used.disk + weight.disk,
        };
        // There is room: nobody is turned out by this.
        let _ = self.kept.insert(key, (beginning, weight), now + KEPT_FOR);
        Ok(())
    }

    /// The beginning of `key` that a request with these fields may go on with.
    #[must_use]
    pub fn of(&self, now: Moment, key: &PrimaryKey, request: &HeaderMap) -> Option<Beginning<B>> {
        let (beginning, _) = self.kept.at(key, now)?;
        beginning.object.answers(request).then(|| beginning.clone())
    }

    /// Takes this very beginning out, for who goes on with it: nobody else can then. Whether it was
    /// still here.
    pub fn take(&mut self, object: &Arc<Object<B>>) -> bool {
        let here = self.kept.at(&object.key, Moment::ZERO);
        let same = here.is_some_and(|(kept, _)| Arc::ptr_eq(&kept.object, object));
        if same {
            self.remove(&object.key);
        }
        same
    }

    /// The beginning of `key` is of no use any more.
    pub fn remove(&mut self, key: &PrimaryKey) {
        if let Some((_, weight)) = self.kept.remove(key) {
            self.give_back(weight);
        }
    }

    /// Those of which `purged` says so are of no use any more.
    pub fn purge(&mut self, purged: impl Fn(&Object<B>) -> bool) {
        let kept = self.kept.iter(Moment::ZERO);
        let gone = kept.filter(|(_, (beginning, _))| purged(&beginning.object));
        let gone: Vec<_> = gone.map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.remove(&key);
        }
    }

    /// What is used now.
    #[must_use]
    pub const fn used(&self) -> Weight {
        self.used
    }

    const fn give_back(&mut self, weight: Weight) -> bool {
        self.used = minus(self.used, weight);
        true
    }
}

const fn minus(used: Weight, weight: Weight) -> Weight {
    Weight {
        memory: used.memory.saturating_sub(weight.memory),
        disk: used.disk.saturating_sub(weight.disk),
    }
}

fn judge<B>(
    beginning: &Beginning<B>,
    weight: Option<Weight>,
    reason: FailReason,
) -> Result<Weight, LetGo> {
    let Beginning { object, splice } = beginning;
    if matches!(reason, FailReason::Digest | FailReason::Malformed) {
        return Err(LetGo::Suspect);
    }
    if !splice.is_shared() {
        return Err(LetGo::NotShared);
    }
    if object.status != StatusCode::OK {
        return Err(LetGo::Status);
    }
    // RFC 9110 §15.3.7.3: parts are combined only under the same strong validator.
    if conditional::resume_validator(&object.headers()).is_none() {
        return Err(LetGo::NoValidator);
    }
    let weight = weight
        .filter(|_| splice.received() > 0)
        .ok_or(LetGo::Gaps)?;
    Ok(Weight {
        memory: weight.memory + object.head_bytes(),
        ..weight
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::engine::splice::Promise;
    use crate::engine::store::object::tests::{headers, object};

    const BUDGET: Budget = Budget {
        memory: 160_000,
        disk: 160_000,
    };
    const STRONG: (&str, &str) = ("etag", "\"a\"");

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    /// The first three bytes of a page.
    fn beginning(path: &str, fields: &[(&str, &str)], shared: bool) -> Beginning<u32> {
        let mut splice = Splice::new(Some(9), shared);
        let mut from = Splice::first(Promise::None);
        splice.take(&mut from, Bytes::from_static(b"abc")).unwrap();
        let object = object(path, fields, &[("accept", "a/b")], 0);
        let splice = Box::new(splice);
        Beginning { object, splice }
    }

    const fn memory(memory: u64) -> Weight {
        Weight { memory, disk: 0 }
    }

    #[test]
    fn waits_for_who_goes_on_with_it_once() {
        let mut kept = Beginnings::new(BUDGET);
        let one = beginning("/a", &[STRONG, ("vary", "accept")], true);
        let key = one.object.key.clone();
        kept.keep(at(0), one.clone(), Some(memory(3)), FailReason::Truncated)
            .unwrap();
        assert!(
            kept.of(at(1), &key, &headers(&[("accept", "c/d")]))
                .is_none()
        );
        let found = kept.of(at(1), &key, &headers(&[("accept", "a/b")]));
        assert_eq!(found.unwrap().splice.received(), 3);
        assert!(kept.take(&one.object) && !kept.take(&one.object));
        assert_eq!(kept.used(), Weight::default());
    }

    #[test]
    fn is_forgotten_after_a_while() {
        let mut kept = Beginnings::new(BUDGET);
        let one = beginning("/a", &[STRONG], true);
        let key = one.object.key.clone();
        kept.keep(at(0), one, Some(memory(3)), FailReason::Abandoned)
            .unwrap();
        let here =
            |kept: &Beginnings<u32>, second| kept.of(at(second), &key, &HeaderMap::new()).is_some();
        assert!(here(&kept, 599) && !here(&kept, 600));
        let other = beginning("/b", &[STRONG], true);
        let only = other.object.head_bytes() + 3;
        kept.keep(at(601), other, Some(memory(3)), FailReason::Broken)
            .unwrap();
        assert_eq!(kept.used().memory, only, "what is forgotten costs nothing");
    }

    #[test]
    fn what_could_not_be_completed_is_let_go() {
        let weak = ("etag", "W/\"a\"");
        let truncated = FailReason::Truncated;
        for (fields, shared, weight, reason, why) in [
            (
                &[weak][..],
                true,
                Some(memory(3)),
                truncated,
                LetGo::NoValidator,
            ),
            (&[], true, Some(memory(3)), truncated, LetGo::NoValidator),
            (
                &[STRONG],
                false,
                Some(memory(3)),
                truncated,
                LetGo::NotShared,
            ),
            (&[STRONG], true, None, truncated, LetGo::Gaps),
            (
                &[STRONG],
                true,
                Some(memory(3)),
                FailReason::Digest,
                LetGo::Suspect,
            ),
            (
                &[STRONG],
                true,
                Some(memory(3)),
                FailReason::Malformed,
                LetGo::Suspect,
            ),
            (
                &[STRONG],
                true,
                Some(memory(10_001)),
                truncated,
                LetGo::TooLarge,
            ),
        ] {
            let mut kept = Beginnings::new(BUDGET);
            let one = beginning("/a", fields, shared);
            assert_eq!(kept.keep(at(0), one, weight, reason), Err(why));
            assert_eq!(kept.used(), Weight::default(), "{}", why.as_str());
        }
    }

    #[test]
    fn keeps_to_its_bounds() {
        let mut kept = Beginnings::new(BUDGET);
        for n in 0..1_000 {
            let one = beginning(&format!("/{n}"), &[STRONG], true);
            let weight = Weight {
                memory: 1_000,
                disk: 500,
            };
            let reason = FailReason::Truncated;
            kept.keep(at(n), one, Some(weight), reason).unwrap();
            assert!(kept.used().memory <= 10_000 && kept.used().disk <= 10_000);
        }
        let last = beginning("/999", &[STRONG], true).object.key.clone();
        assert!(kept.of(at(999), &last, &HeaderMap::new()).is_some());

        let mut kept = Beginnings::new(Budget {
            memory: u64::MAX,
            disk: u64::MAX,
        });
        for n in 0..2 * BEGINNINGS_MAX {
            let one = beginning(&format!("/{n}"), &[STRONG], true);
            kept.keep(at(0), one, Some(memory(3)), FailReason::Truncated)
                .unwrap();
        }
        assert_eq!(kept.kept.len(), BEGINNINGS_MAX);
    }
}
