//! The steps of a request that are decided from the request alone: what is asked for, and what the
//! answer's head says.

pub mod deliver;
pub mod glance;
pub mod receive;
