//! RFC 9211, the Cache-Status response header field.

mod section_2;
