//! The proxy's effects: sockets, files, tasks. Decisions are the engine's; here they are carried
//! out.
//!
//! | file | owns |
//! |---|---|
//! | [`run`] | the order of starting and stopping |
//! | `context` | what all tasks share: the one lock around the engine, the clients, the counters |
//! | `listen`, `line` | accept loops, connection bounds, slow and cut connections |
//! | `guard` | the raw bytes of request heads, and the deadlines for them |
//! | `plain` | requests that are answered with bytes made before |
//! | `downstream` | a client's request from head to answer |
//! | `outgoing`, `metered` | an answer on its way out |
//! | `fill`, `task`, `transfer` | a fetch that no client owns: its stages, its steps, its bytes |
//! | `body`, `room`, `spill` | a body while it grows: memory, disk, readers |
//! | `multipart` | several parts of a body in one answer |
//! | `upstream`, `connect`, `resolve` | HTTP towards origins and peers |
//! | `store` | what is kept on disk: the writer, the reader, the start |
//! | `share` | fair shares, and who waits for a turn |
//! | `peer` | requests of other proxies |
//! | `purge` | orders to purge: who may, here, everywhere |
//! | `hints`, `round_trip` | how far clients are, told to the index |
//! | `index` | the index daemon: claims, pointers, registration |
//! | [`reload`] | what changes while the proxy runs |
//! | `change` | changing places with another process: the store goes over, signs of life |
//! | `metrics`, `inspect`, `access`, `traces` | what operators see |

mod access;
mod body;
mod change;
mod connect;
mod context;
mod downstream;
mod fill;
mod guard;
mod hints;
mod index;
mod inspect;
mod line;
mod listen;
mod metered;
mod metrics;
mod multipart;
mod outgoing;
mod peer;
mod plain;
mod purge;
mod ready;
pub mod reload;
mod resolve;
mod room;
mod round_trip;
pub mod run;
mod share;
mod slices;
mod spill;
mod store;
mod task;
mod tls;
mod traces;
mod transfer;
mod upstream;

#[cfg(test)]
mod tests;
