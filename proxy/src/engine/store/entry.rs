//! One URL that is kept: its variants, what they weigh, and how much it is asked for.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use http::HeaderMap;

use super::demand::Uses;
use super::object::{Door, Object};
use super::{VARIANTS_MAX, Weight, choose};
use crate::engine::http::key::PrimaryKey;

/// One response that is kept.
#[derive(Debug)]
pub(super) struct Variant<B> {
    pub(super) object: Arc<Object<B>>,
    /// What it costs, everything included.
    pub(super) weight: Weight,
}

/// The variants of a URL, the one stored last at the end: nearly always one.
#[derive(Debug)]
enum Variants<B> {
    One(Variant<B>),
    #[expect(
        clippy::box_collection,
        reason = "a URL with one variant is to be small"
    )]
    Several(Box<Vec<Variant<B>>>),
}

/// See the module. In a table it is its URL, which stands in what it keeps: a second one for the table would
/// take a third of what the table does.
#[derive(Debug)]
pub(super) struct Entry<B> {
    variants: Variants<B>,
    pub(super) uses: Uses,
    /// How often it was looked for and found.
    pub(super) found: u32,
    /// The doors whose answers were made and are weighed.
    weighed: [bool; 2],
}

/// There may be a million of them.
const _: () = assert!(size_of::<Entry<()>>() == 40);

impl<B> Entry<B> {
    pub(super) const fn new(first: Variant<B>, uses: Uses) -> Self {
        Self {
            variants: Variants::One(first),
            uses,
            found: 0,
            weighed: [false; 2],
        }
    }

    pub(super) fn variants(&self) -> &[Variant<B>] {
        match &self.variants {
            Variants::One(variant) => std::slice::from_ref(variant),
            Variants::Several(variants) => variants,
        }
    }

    /// Which URL it is.
    pub(super) fn key(&self) -> &PrimaryKey {
        let first = self.variants().first();
        &first
            .expect("it is made with one, and its last one never goes without it")
            .object
            .key
    }

    fn variants_mut(&mut self) -> &mut [Variant<B>] {
        match &mut self.variants {
            Variants::One(variant) => std::slice::from_mut(variant),
            Variants::Several(variants) => variants,
        }
    }

    /// Adds a variant; of more than `most` the first goes.
    pub(super) fn push(&mut self, variant: Variant<B>, most: usize) {
        let last = match &mut self.variants {
            Variants::Several(variants) => {
                if variants.len() >= most {
                    variants.remove(0);
                }
                return variants.push(variant);
            }
            Variants::One(only) => std::mem::replace(only, variant),
        };
        // What has just been put in is the last one.
        let one = std::mem::replace(&mut self.variants, Variants::Several(Box::default()));
        if let (Variants::One(new), Variants::Several(variants)) = (one, &mut self.variants) {
            variants.extend([last, new]);
        }
    }

    /// Puts `variant` in place of all others.
    pub(super) fn replace(&mut self, variant: Variant<B>) {
        self.variants = Variants::One(variant);
        self.weighed = [false; 2];
    }

    /// Lets those go that are not to `stay`. Whether any are left; if not, those there were still stand
    /// here, and the entry is to go.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(&mut Variant<B>) -> bool) -> bool {
        match &mut self.variants {
            Variants::One(only) => stays(only),
            Variants::Several(variants) => {
                let mut kept = [true; VARIANTS_MAX];
                for (variant, kept) in variants.iter_mut().zip(&mut kept) {
                    *kept = stays(variant);
                }
                let left = kept.iter().zip(&**variants).any(|(kept, _)| *kept);
                if left {
                    let mut kept = kept.into_iter();
                    variants.retain(|_| kept.next().unwrap_or(true));
                }
                left
            }
        }
    }

    pub(super) fn weight(&self) -> Weight {
        let sum = |of: fn(&Weight) -> u64| {
            let all = self.variants().iter();
            all.map(|variant| of(&variant.weight)).sum()
        };
        Weight {
            memory: sum(|weight| weight.memory),
            disk: sum(|weight| weight.disk),
        }
    }

    pub(super) fn choose(
        &self,
        request: &HeaderMap,
        is_fresh: impl Fn(&Object<B>) -> bool,
    ) -> Option<&Arc<Object<B>>> {
        let newest_first = self.variants().iter().rev();
        choose(
            newest_first.map(|variant| &variant.object),
            request,
            is_fresh,
        )
    }

    /// It is answered through this door, perhaps for the first time: what that adds to its weight.
    pub(super) fn passes(&mut self, door: Door) -> u64 {
        if std::mem::replace(&mut self.weighed[door as usize], true) {
            return 0;
        }
        let last = self.variants_mut().last_mut();
        last.map_or(0, |variant| {
            let answer = variant.object.answer_bytes(door);
            variant.weight.memory += answer;
            answer
        })
    }
}

impl<B> Borrow<str> for Entry<B> {
    fn borrow(&self) -> &str {
        self.key().as_str()
    }
}

impl<B> Hash for Entry<B> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().as_str().hash(state);
    }
}

impl<B> PartialEq for Entry<B> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<B> Eq for Entry<B> {}
