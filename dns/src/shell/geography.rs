//! Guesses by the map where the index knows nothing: the map, if there is one, and the proxies on it as
//! they were a moment ago.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::clock::Moment;

use super::lock;
use crate::engine::near::atlas::{Atlas, Map};
use crate::engine::near::learner::Found;

/// The proxies are looked up anew after so long: ten thousand cost some 20 ms. Those that are dead by then
/// are named by nobody, because answers name whom the checks see alive.
const ATLAS_FOR: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub struct Geography {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    map: Option<Arc<dyn Map>>,
    drawn: Option<(Moment, Arc<Atlas>)>,
}

impl Geography {
    /// Guesses by `map`, or none.
    #[must_use]
    pub const fn new(map: Option<Arc<dyn Map>>) -> Self {
        let inner = Inner { map, drawn: None };
        Self {
            inner: Mutex::new(inner),
        }
    }

    /// Another edition of the map, or none any more.
    pub fn replace(&self, map: Option<Arc<dyn Map>>) {
        let mut inner = lock(&self.inner);
        inner.map = map;
        inner.drawn = None;
    }

    /// What is to be made of it that nobody has measured anything of `client`; `proxies` gives those
    /// alive, and is asked now and then.
    pub fn guess(
        &self,
        now: Moment,
        client: IpAddr,
        proxies: impl FnOnce() -> Vec<SocketAddr>,
    ) -> Found {
        let mut inner = lock(&self.inner);
        let Some(map) = inner.map.clone() else {
            return Found::Nothing;
        };
        let fresh = |drawn: &&(Moment, Arc<Atlas>)| now.since(drawn.0) < ATLAS_FOR;
        let atlas = if let Some((_, atlas)) = inner.drawn.as_ref().filter(fresh) {
            Arc::clone(atlas)
        } else {
            let atlas = Arc::new(Atlas::new(&*map, proxies()));
            inner.drawn = Some((now, Arc::clone(&atlas)));
            atlas
        };
        drop(inner);
        let near = map.locate(client).map(|place| atlas.nearest(&place));
        match near {
            Some(near) if !near.is_empty() => Found::Guessed(near),
            _ => Found::Nothing,
        }
    }
}
