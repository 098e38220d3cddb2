//! The sockets that are listened on: those that were handed over, and new ones.

use std::net::SocketAddr;
use std::sync::Arc;

use common::shell::admin;
use common::shell::cli::{StartError, bind_error};
use common::shell::inherited::Inherited;
use common::shell::supervisor::Supervisor;
use tokio::net::TcpListener;

use crate::engine::config::{Config, Https};
use crate::shell::line::Terms;
use crate::shell::listen::{self, Bounds, Crowd, Door, Doorway};
use crate::shell::tls::Secure;

/// Peer connections at once.
const PEER_CONNECTIONS_MAX: usize = 4_096;

pub(super) struct Doors {
    pub(super) http: TcpListener,
    pub(super) https: Option<(TcpListener, Arc<Secure>)>,
    pub(super) peer: Option<TcpListener>,
}

pub(super) struct Listeners {
    pub(super) doors: Doors,
    pub(super) admin: Option<TcpListener>,
}

/// The doors. Who comes to one for clients counts at all of them.
pub(super) fn doorways(doors: Doors, bounds: Bounds) -> Vec<Doorway> {
    let crowd = Crowd::new(&bounds);
    let mut doorways = Vec::new();
    if let Some(listener) = doors.peer {
        let bounds = Bounds {
            connections: PEER_CONNECTIONS_MAX,
            per_client: PEER_CONNECTIONS_MAX,
            http2: None,
            plain: false,
            ..bounds.clone()
        };
        doorways.push(Doorway {
            listener,
            door: Door::Peer,
            crowd: Crowd::new(&bounds),
            bounds,
        });
    }
    if let Some((listener, secure)) = doors.https {
        doorways.push(Doorway {
            listener,
            door: Door::Client,
            crowd: crowd.clone(),
            bounds: Bounds {
                secure: Some(secure),
                ..bounds.clone()
            },
        });
    }
    doorways.push(Doorway {
        listener: doors.http,
        door: Door::Client,
        crowd,
        bounds,
    });
    doorways
}

/// The sockets that were handed over, and whoever keeps copies.
pub(super) type Sockets<'a> = (&'a mut Inherited, &'a Supervisor);

/// A listener that was handed over, or a new one; a copy of it is kept.
fn door(
    key: &str,
    addr: SocketAddr,
    terms: &Terms,
    (inherited, supervisor): (&mut Inherited, &Supervisor),
) -> Result<TcpListener, StartError> {
    let opened = match inherited.tcp(addr) {
        Some(listener) => listen::take(listener, terms),
        None => listen::bind(addr, terms),
    };
    let kept = opened.and_then(|listener| {
        supervisor.keep(key, &listener)?;
        Ok(listener)
    });
    kept.map_err(|error| bind_error(key, addr, &error))
}

pub(super) async fn bind(
    config: &Config,
    terms: &Terms,
    (inherited, supervisor): Sockets<'_>,
) -> Result<Listeners, StartError> {
    let http = door(
        "http.listen",
        config.listen.http,
        terms,
        (inherited, supervisor),
    )?;
    let https = config.listen.https.as_ref();
    let https = https
        .map(|https| secure(https, terms, (inherited, supervisor)))
        .transpose()?;
    let peer = match &config.index {
        Some(index) => {
            let addr = index.peer_listen;
            Some(door("peer.listen", addr, terms, (inherited, supervisor))?)
        }
        None => None,
    };
    let admin = match config.listen.admin {
        Some(addr) => {
            let bound = admin::open(addr, inherited, supervisor).await;
            Some(bound.map_err(|error| bind_error("admin.listen", addr, &error))?)
        }
        None => None,
    };
    let doors = Doors { http, https, peer };
    Ok(Listeners { doors, admin })
}

fn secure(
    https: &Https,
    terms: &Terms,
    sockets: Sockets<'_>,
) -> Result<(TcpListener, Arc<Secure>), StartError> {
    let secure = Secure::new(https.certificates.clone(), https.terms);
    let secure =
        secure.map_err(|error| StartError::Runtime(format!("https.certificates: {error}")))?;
    let bound = door("https.listen", https.listen, terms, sockets)?;
    Ok((bound, Arc::new(secure)))
}
