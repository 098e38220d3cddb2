//! The daemon around the engine. Decides nothing; each file is one door to the system:
//!
//! | file | task | owns |
//! |---|---|---|
//! | [`keys`] | - | every key, its default and meaning |
//! | [`config`] | - | the way from settings to the engine's configuration |
//! | [`zone_config`] | - | the same for the zones |
//! | [`near_config`] | - | the part of it that is about nearness |
//! | [`cookie_secret`] | - | the file with the secret of cookies |
//! | [`run`] | main | the start: everything is bound before anything is served; the end |
//! | [`sockets`] | - | sockets of one address for every receiving thread |
//! | [`worker`] | a thread per core | its sockets, its answering engine |
//! | [`change`] | one, and one per receiving thread | changing places with another process, signs of life |
//! | [`answering`] | the receiving thread | messages in, messages out of the answering engine |
//! | [`udp`] | one per thread and address | datagrams in batches |
//! | [`tcp`] | one per thread and address, one per connection | connections, within their bounds |
//! | [`places`] | - | how many connections, in all and per neighbourhood |
//! | [`traffic`] | - | what transports count |
//! | [`query_log`] | a thread of its own | a line for each reply, if wanted |
//! | [`published`] | - | the snapshot on its way from the prober to the answering engine |
//! | [`reload`] | one | SIGHUP: zones, keys and the look of answers read anew |
//! | [`prober`] | one, and one per check | the checking engine and its timers |
//! | [`keyfile`] | - | key files, and the library that signs |
//! | [`listing`] | - | what `atoll-dns keys` prints |
//! | [`index`] | the check's | the client of the local index |
//! | [`fetch`] | the check's | HTTP requests for the check page |
//! | [`page`] | the check's | that page as it comes in |
//! | [`watch`] | one, and one per question | the delegation watch and its timer |
//! | [`zone_pages`] | the admin listener's | what those pages show of the zones |
//! | [`check_metrics`] | the admin listener's | what the checks come to, for machines |
//! | [`state`] | the admin listener's | the proxies one by one, for people |
//! | [`learning`] | one, and one per lookup | the learning engine and its timers |
//! | [`geography`], [`map_file`] | the learning task's | guesses by a map, where nobody has measured |
//! | [`explain`] | the admin listener's | why an answer names whom it names |
//! | [`admin`] | the admin listener's | metrics and state pages |
//!
//! Each receiving thread has an answering engine of its own and shares nothing on the way of a
//! question. The checking engine is behind a lock that is held for one call and never across a wait;
//! its live set reaches the answering ones as a new snapshot.

pub mod admin;
pub mod answering;
mod bounded;
pub mod change;
pub mod check_metrics;
pub mod config;
pub mod cookie_secret;
pub mod explain;
pub mod fetch;
pub mod geography;
pub mod index;
pub mod keyfile;
pub mod keys;
pub mod learning;
pub mod listing;
pub mod map_file;
pub mod near_config;
pub mod page;
pub mod places;
pub mod prober;
pub mod published;
pub mod query_log;
pub mod reload;
pub mod run;
pub mod sockets;
pub mod state;
pub mod tcp;
pub mod traffic;
pub mod udp;
pub mod watch;
pub mod worker;
pub mod zone_config;
pub mod zone_pages;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The content of a lock. A task that panicked while it held the lock broke nothing that the next
/// call does not set right, and a name server that stops answering helps nobody.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
