//! The rules of HTTP caching, as free functions over (header fields, settings, now).
//!
//! | file | question it answers | source |
//! |---|---|---|
//! | [`key`] | which resource is asked for? | RFC 9111 §2, §4 |
//! | [`control`] | what do the directives say? | RFC 9111 §5.2, RFC 5861, RFC 8246 |
//! | [`targeted`] | and those that are meant for us alone? | RFC 9213 |
//! | [`fresh`] | how long is a response fresh, how old is it? | RFC 9111 §4.2 |
//! | [`verdict`] | may this copy answer this request? | RFC 9111 §4, §4.2.4, §5.2.1 |
//! | [`store`] | may this response be kept, and which of its fields? | RFC 9111 §3 |
//! | [`vary`] | which variant is asked for? | RFC 9111 §4.1 |
//! | [`conditional`] | is it the same representation? | RFC 9110 §8.8, §13, RFC 9111 §4.3 |
//! | [`range`] | which bytes of it? | RFC 9110 §14 |
//! | [`multipart`] | how do several parts of it go in one answer? | RFC 9110 §14.6 |
//! | [`hop`] | which fields cross, in which direction? | RFC 9110 §7.6, RFC 8586 |
//! | [`interim`] | who hears of a hint that comes before the answer? | RFC 9110 §15.2, RFC 8297 |
//! | [`rewrite`] | where does a redirect lead? | RFC 9110 §10.2.2 |
//! | [`cache_status`], [`proxy_status`] | what do we say we did? | RFC 9211, RFC 9209 |
//! | [`server_timing`] | and what did it wait for? | W3C Server Timing |
//!
//! Underneath: lists and quoted strings ([`field`]), dates ([`date`]) and structured fields
//! (`structured`).
//!
//! The way of one response, from the origin into the store and out again:
//!
//! ```
//! use std::time::Duration;
//!
//! use common::clock::{Moment, WallTime};
//! use http::{HeaderMap, Method, StatusCode, header::CACHE_CONTROL};
//! use proxy::engine::http::control::{Directives, RequestDirectives};
//! use proxy::engine::http::fresh::{self, FreshPolicy, Heat};
//! use proxy::engine::http::store::{self, Exchange};
//! use proxy::engine::http::verdict::{Rules, Standing, Verdict, judge};
//!
//! let (request, mut response) = (HeaderMap::new(), HeaderMap::new());
//! response.insert(CACHE_CONTROL, "max-age=60".parse()?);
//! let (received, wall) = (Moment::ZERO, WallTime::from_unix(784_111_777));
//!
//! let (status, policy) = (StatusCode::OK, FreshPolicy::default());
//! let directives = Directives::of(&response);
//! let life = fresh::lifetime(&response, status, &directives, wall, &policy, Heat::Quiet);
//! let exchange = Exchange { method: &Method::GET, request: &request, status, response: &response };
//! store::may_store(&exchange, &directives, life).expect("nothing speaks against it");
//! let initial = fresh::initial_age(&response, wall, Duration::from_secs(1));
//!
//! let age = fresh::current_age(initial, received, received + Duration::from_secs(10));
//! let stored = Standing { rules: Rules::of(&directives), lifetime: life.duration, age };
//! assert_eq!(judge(&stored, &RequestDirectives::of(&request)), Verdict::Fresh);
//! # Ok::<(), http::header::InvalidHeaderValue>(())
//! ```
//!
//! Not here: no body, no socket, no clock, no store, no decision that needs more than one message
//! pair (who fetches, who waits, what is evicted). Nothing panics on what a remote party sends:
//! values are bytes, not text, and every parser is total. Where a standard leaves a choice for
//! malformed input, the choice is the one that reuses less, and the function's doc says which.

pub mod accept;
pub mod cache_status;
pub mod conditional;
pub mod control;
pub mod date;
pub mod field;
pub mod fresh;
pub mod hop;
pub mod interim;
pub mod key;
pub mod multipart;
pub mod proxy_status;
pub mod range;
pub mod rewrite;
pub mod server_timing;
pub mod store;
mod structured;
pub mod targeted;
pub mod vary;
pub mod verdict;

#[cfg(test)]
pub(in crate::engine) mod samples;
