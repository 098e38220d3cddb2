//! RFC 9112, HTTP/1.1: messages, as far as a cache reads and writes them.

mod section_2;
mod section_6;
