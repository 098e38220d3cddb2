//! The index: a put/get table of pointers, spread over every node of the network.
//!
//! [`engine`] is the whole of the index as a pure state machine. It opens no socket and no file,
//! starts no thread or task, takes no lock, reads no clock, no environment and no global
//! randomness: datagrams, commands and the time come in as arguments, datagrams, answers and the
//! next wake-up come out as values. The simulator runs thousands of them in one thread.
//!
//! `shell` (feature `shell`) is the daemon around one engine: a UDP socket, a local API over a Unix
//! socket, an admin listener, a file of remembered peers. It decides nothing.
//!
//! `client` (feature `client`) is what the proxy and the name server import: an asynchronous client
//! of the local API. [`api`] holds the documents of that API, shared by both ends so that they
//! cannot differ.
//!
//! [`hints`] says where clients are near, in the form of ordinary values.
//!
//! The index stores pointers of at most 256 bytes, never content, and promises no more than *some*
//! of the values put under a key: it is soft state, renewed by whoever put it.

pub mod api;
#[cfg(feature = "client")]
pub mod client;
pub mod engine;
pub mod hints;
pub mod refusal;
#[cfg(feature = "shell")]
pub mod shell;
pub mod value;
