//! HTTP between proxies: what one asks of another, and what it answers.
//!
//! A request names the resource in its path (`/http/example.com/p?q`), proves membership of the
//! network for this receiver, method and target, and carries the path of proxies so far. It is
//! answered from a copy or from a fetch under way, and never causes one: so there are no chains to
//! follow and no circles to close, except through fetches under way, which is why one that itself
//! waits for a peer refers to that peer instead of letting others wait behind it.
//!
//! An order to purge is a PURGE of `/purge/ID/TEXT` with the order's text in hexadecimal digits. It is
//! carried out here and sent to nobody else.
//!
//! | field | on | meaning |
//! |---|---|---|
//! | `atoll-proof` | request | membership, bound to this request |
//! | `atoll-path` | request | peer addresses that wait for the answer |
//! | `atoll-offset` | request | bytes that the asker has already |
//! | `atoll-slice` | request | the slice that is wanted of a large object: tag and number |
//! | `atoll-stale` | request | a stale copy is welcome: nothing else is left |
//! | `atoll-trace` | request | the trace that it is part of, and whether its spans are to be kept |
//! | `atoll-peer` | answer | `hit`, `fill`, `slices` or `refused` |
//! | `atoll-see` | answer | whom to ask instead |
//! | `atoll-length` | answer | length of the whole body, if known |
//! | `atoll-total` | answer | length of a large object, of which only the head follows: its body is had in slices |
//! | `atoll-purged` | answer | what became of an order to purge: stale, gone, node |
//! | `atoll-digest` | answer, or its trailer | BLAKE3 of the whole body |

mod ask;
mod order;
mod serve;

use data_encoding::HEXLOWER;
use http::header::{HeaderMap, HeaderName};

pub(crate) use ask::{Found as Answer, Wish, ask};
pub(crate) use order::tell;
pub(crate) use serve::serve;

use crate::engine::pointer::Digest;
use crate::engine::slices::TOTAL;
use crate::engine::splice::Promise;
use crate::shell::traces::{TRACE, WARRANT};

/// How the names of all of them begin.
const COMMON: &str = "atoll-";

const PROOF: HeaderName = HeaderName::from_static("atoll-proof");
const PATH: HeaderName = HeaderName::from_static("atoll-path");
const OFFSET: HeaderName = HeaderName::from_static("atoll-offset");
const SLICE: HeaderName = HeaderName::from_static("atoll-slice");
const STALE: HeaderName = HeaderName::from_static("atoll-stale");
const PEER: HeaderName = HeaderName::from_static("atoll-peer");
const SEE: HeaderName = HeaderName::from_static("atoll-see");
const LENGTH: HeaderName = HeaderName::from_static("atoll-length");
const PURGED: HeaderName = HeaderName::from_static("atoll-purged");
const DIGEST: HeaderName = HeaderName::from_static("atoll-digest");

/// The digest that a head or trailer states.
pub(crate) fn stated_digest(fields: &HeaderMap) -> Option<Digest> {
    HEXLOWER
        .decode(fields.get(DIGEST)?.as_bytes())
        .ok()?
        .try_into()
        .ok()
}

/// What a peer's answer with this head will be checked by.
pub(crate) fn promise(head: &HeaderMap) -> Promise {
    stated_digest(head).map_or(Promise::Trailer, Promise::Digest)
}

/// Takes the fields of this protocol out of a response, which an origin might send too.
pub(crate) fn strip(fields: &mut HeaderMap) {
    let is_ours = |name: &HeaderName| name.as_str().starts_with(COMMON);
    // Hardly any origin does: to look at each name is cheaper than to look each of ours up.
    if !fields.keys().any(is_ours) {
        return;
    }
    for name in [
        TRACE, WARRANT, PROOF, PATH, OFFSET, SLICE, STALE, PEER, SEE, LENGTH, TOTAL, PURGED, DIGEST,
    ] {
        fields.remove(name);
    }
}
