//! What several proxies do together: share every copy, spare the origin, survive each other.

mod crowd;
mod death;
mod faults;
mod large;
mod peers;
mod purge;
mod servers;
mod slices;
