//! RFC 8246, immutable responses.

mod section_2;
