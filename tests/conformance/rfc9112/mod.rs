//! RFC 9112, HTTP/1.1: message framing, as far as a cache's answers go.

mod section_6;
