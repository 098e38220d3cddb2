//! Programs that others wrote, at both ends of a proxy: what the Web is made of.

mod apt;
mod browser;
mod clients;
mod origins;
mod podcast;
