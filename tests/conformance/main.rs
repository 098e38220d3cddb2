//! What the standards of HTTP caching ask of a shared cache, requirement by requirement: one test
//! for each MUST and SHOULD, filed by RFC and section.
//!
//! The doc comment of a test quotes its requirement; docs/CONFORMANCE.md is made of these comments,
//! and names what does not apply here, or is done otherwise, with the reason. Most tests go over the
//! wire through the real proxy ([`rig`]); those about time go through the engine ([`lab`]).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as the tests do"
)]

mod claims;
mod lab;
mod rfc5861;
mod rfc8246;
mod rfc8586;
mod rfc9110;
mod rfc9111;
mod rfc9112;
mod rfc9209;
mod rfc9211;
mod rfc9213;
mod rig;
