//! The bounds on open connections: of the listener, and of each client.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::netaddr::Prefix;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Bounds;
use crate::engine::share::connections::{Connections, TurnedAway};

/// Connections that are open, of all and of each client. Clones are the same crowd.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    permits: Arc<Semaphore>,
    clients: Arc<Mutex<Connections>>,
}

/// A connection's place among all and among those of its client; given up with it.
#[derive(Debug)]
pub(super) struct Place {
    clients: Arc<Mutex<Connections>>,
    client: Prefix,
    _permit: OwnedSemaphorePermit,
}

impl Crowd {
    /// Nobody yet, within `bounds`.
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(bounds.connections)),
            clients: Arc::default(),
        }
    }

    /// A place for one more connection of `client`.
    ///
    /// # Errors
    /// Why it may not have one.
    pub(super) fn place(&self, client: IpAddr, bounds: &Bounds) -> Result<Place, TurnedAway> {
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        let permit = permit.map_err(|_| TurnedAway::Full)?;
        let exempt = bounds.exempt.iter().any(|net| net.contains(client));
        let most = if exempt {
            usize::MAX
        } else {
            bounds.per_client
        };
        let client = Prefix::of(client);
        if !lock(&self.clients).came(client, most) {
            return Err(TurnedAway::Client);
        }
        Ok(Place {
            clients: Arc::clone(&self.clients),
            client,
            _permit: permit,
        })
    }
}

fn lock(clients: &Mutex<Connections>) -> MutexGuard<'_, Connections> {
    clients.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.clients).left(self.client);
    }
}
