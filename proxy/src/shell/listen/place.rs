//! The bounds on open connections: of the listener, and of each client.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::netaddr::Prefix;
use tokio::sync::Semaphore;

use super::Bounds;
use crate::engine::share::connections::{Connections, TurnedAway};

/// Connections that are open, of all and of each client. Clones are the same crowd.
#[derive(Clone, Debug)]
pub(crate) struct Crowd(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    permits: Semaphore,
    clients: Mutex<Connections>,
}

/// A connection's place among all and among those of its client; given up with it.
#[derive(Debug)]
pub(super) struct Place {
    inside: Arc<Inside>,
    client: IpAddr,
}

impl Crowd {
    /// Nobody yet, within `bounds`.
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self(Arc::new(Inside {
            permits: Semaphore::new(bounds.connections),
            clients: Mutex::default(),
        }))
    }

    /// A place for one more connection of `client`.
    ///
    /// # Errors
    /// Why it may not have one.
    pub(super) fn place(&self, client: IpAddr, bounds: &Bounds) -> Result<Place, TurnedAway> {
        let permit = self.0.permits.try_acquire();
        let permit = permit.map_err(|_| TurnedAway::Full)?;
        let exempt = bounds.exempt.iter().any(|net| net.contains(client));
        let most = if exempt {
            usize::MAX
        } else {
            bounds.per_client
        };
        if !self.0.clients().came(Prefix::of(client), most) {
            return Err(TurnedAway::Client);
        }
        // The place gives it back.
        permit.forget();
        Ok(Place {
            inside: Arc::clone(&self.0),
            client,
        })
    }
}

impl Place {
    /// Whose it is.
    pub(super) const fn client(&self) -> IpAddr {
        self.client
    }
}

impl Inside {
    fn clients(&self) -> MutexGuard<'_, Connections> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.inside.clients().left(Prefix::of(self.client));
        self.inside.permits.add_permits(1);
    }
}
