//! When to leave: the members of the own cluster have become too far.
//!
//! To another acceptable cluster if there is one, whatever its size, and else to a new one of this
//! node alone (CORAL 1.9).

use super::{Moved, View, judge};

/// Where to, and why; `None`: stay. The id is none for a new cluster.
#[must_use]
pub fn leave<'a>(
    own: &View,
    acceptable: impl Iterator<Item = &'a View>,
) -> Option<(Moved, Option<&'a View>)> {
    if judge::tolerable(own) {
        return None;
    }
    let best = acceptable.max_by_key(|view| (view.size, std::cmp::Reverse(view.cluster)));
    Some(match best {
        Some(view) => (Moved::Nearer, Some(view)),
        None => (Moved::Split, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_the_far_for_the_nearest_or_for_itself() {
        let view = |near, size| View {
            near,
            measured: 10,
            size,
            ..View::default()
        };
        assert_eq!(leave(&view(5, 10), std::iter::empty()), None);
        let far = view(4, 900);
        assert_eq!(leave(&far, std::iter::empty()), Some((Moved::Split, None)));
        let (small, large) = (view(9, 2), view(9, 3));
        let to = leave(&far, [&small, &large].into_iter());
        assert_eq!(to, Some((Moved::Nearer, Some(&large))));
    }
}
