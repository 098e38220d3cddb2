//! RFC 8586, loop detection in content delivery networks.

mod section_2;
