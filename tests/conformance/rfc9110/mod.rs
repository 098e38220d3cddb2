//! RFC 9110, HTTP Semantics: what concerns a cache and an intermediary.

mod section_10;
mod section_13;
mod section_14;
mod section_15;
mod section_6;
mod section_8;
