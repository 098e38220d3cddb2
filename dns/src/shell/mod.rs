//! The daemon around the engine. Decides nothing; each file is one door to the system:
//!
//! | file | task | owns |
//! |---|---|---|
//! | [`keys`] | - | every key, its default and meaning |
//! | [`config`] | - | the way from settings to the engine's configuration |
//! | [`zone_config`] | - | the same for the zones |
//! | [`near_config`] | - | the part of it that is about nearness |
//! | [`run`] | main | the start: everything is bound before anything is served; the end |
//! | [`udp`] | one per address | hickory's server with its socket |
//! | [`tcp`] | one per address, one per connection | the listener, within its bounds |
//! | [`handler`] | whoever received a message | messages in, messages out of the answering engine |
//! | [`published`] | - | the snapshot on its way from the prober to the answering engine |
//! | [`prober`] | one, and one per check | the checking engine and its timers |
//! | [`keyfile`] | - | key files, and the library that signs |
//! | [`listing`] | - | what `atoll-dns keys` prints |
//! | [`index`] | the check's | the client of the local index |
//! | [`fetch`] | the check's | HTTP requests for the check page |
//! | [`admin`] | the admin listener's | metrics and state pages |
//!
//! The two engines are behind two locks that are held for one call and never across a wait. The
//! checking engine's live set reaches the answering one through [`prober`].

pub mod admin;
pub mod config;
pub mod fetch;
pub mod handler;
pub mod index;
pub mod keyfile;
pub mod keys;
pub mod listing;
pub mod near_config;
pub mod prober;
pub mod published;
pub mod run;
pub mod tcp;
pub mod udp;
pub mod zone_config;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The content of a lock. A task that panicked while it held the lock broke nothing that the next
/// call does not set right, and a name server that stops answering helps nobody.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
