//! RFC 9213, targeted HTTP cache control.

mod section_2;
