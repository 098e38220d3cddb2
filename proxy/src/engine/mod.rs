//! The proxy's decisions, as pure functions and state machines.
//!
//! A request is a list of steps: [`receive`](steps::receive) judges what was asked,
//! [`flow`] looks it up and joins or starts a fill, [`pursuit`] decides where a fill gets its bytes
//! from and in which order, [`deliver`](steps::deliver) makes the answer's head, [`page`] the error
//! page. What needs none of these steps is answered from bytes made before ([`hit`]). [`http`] holds the rules of RFC 9110 and 9111 that they apply, [`lenient`] reads what origins
//! send.

pub mod access;
pub mod announce;
pub mod beginnings;
pub mod block;
pub mod certificates;

pub mod config;
pub mod distances;
pub mod drawing;
pub mod flow;
pub mod handshake;
pub mod head;
pub mod heat;
pub mod hit;
pub mod http;
pub mod http2;
pub mod idle;
pub mod lenient;
pub mod net;
pub mod origin;
pub mod page;
pub mod peers;
pub mod pointer;
pub mod policy;
pub mod purge;
pub mod pursuit;
pub mod reason;
pub mod share;
pub mod shelf;
pub mod slices;
pub mod splice;
pub mod steps;
pub mod store;
pub mod trail;
pub mod uptake;
pub mod warrant;
pub mod why;
pub mod words;
