//! Programs that others wrote, at both ends of a proxy: what the Web is made of.

mod browser;
mod clients;
mod origins;
mod podcast;
