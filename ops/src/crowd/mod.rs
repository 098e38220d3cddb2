//! A crowd: many clients that ask for the same few cold objects at the same moment.
//!
//! [`load`] is the crowd, [`cache_status`] reads from an answer where the proxy had it from (pure),
//! [`report`] adds it up and shows it (pure).

pub mod cache_status;
pub mod load;
pub mod report;
