//! RFC 9209, the Proxy-Status response header field.

mod section_2;
