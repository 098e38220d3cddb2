//! RFC 5861, Cache-Control extensions for stale content.

mod section_3;
mod section_4;
