//! The plain door: requests that are understood from their bytes alone and answered with bytes that
//! were made before.
//!
//! [`request`] reads a head, or says why it is not plain; [`Flow::hit`](super::flow::Flow::hit) finds
//! a fresh copy; [`prepared`] holds the answer's head with room for what changes with time. Whatever
//! is not plain goes on to the careful door, which has every rule; here are none that it has not, and
//! a request that both would answer gets the same bytes from either. Nothing is read or sent here.

pub mod prepared;
pub mod request;

/// Why a request is left to the careful door.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HandReason {
    /// Its head has not come whole, or is longer than is looked at.
    Partial,
    /// Its bytes are not in the plain form.
    Form,
    /// It is neither GET nor HEAD.
    Method,
    /// It has a field that may change the answer, or one that is not known.
    Field,
    /// It names no page of a site.
    Place,
    /// Its client, site or URL is not served, or not from here.
    Denied,
    /// No fresh copy answers it.
    Miss,
    /// There is a copy, and its answer cannot be made before.
    Answer,
    /// There is a copy, and the request is in the sample of those whose traces are kept.
    Sampled,
}

impl HandReason {
    /// Every reason, for tables.
    pub const ALL: [Self; 9] = [
        Self::Partial,
        Self::Form,
        Self::Method,
        Self::Field,
        Self::Place,
        Self::Denied,
        Self::Miss,
        Self::Answer,
        Self::Sampled,
    ];

    /// The word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Partial => "partial",
            Self::Form => "form",
            Self::Method => "method",
            Self::Field => "field",
            Self::Place => "place",
            Self::Denied => "denied",
            Self::Miss => "miss",
            Self::Answer => "answer",
            Self::Sampled => "sampled",
        }
    }
}
