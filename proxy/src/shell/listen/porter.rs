//! Takes connections and lets them in, a few at a time; the [`Lobby`] says whom when there are many.
//!
//! Who is let in is a task of the runtime, and there is no taking it back: as many as are let in share
//! the processor until their patience is over. So no more are let in at a time than a turn of all
//! that runs can take, and the others wait where they cost nothing: in the kernel, or in the lobby.

use std::convert::Infallible;
use std::io::{self, ErrorKind, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use common::name::{Host, Name};
use common::shell::signals::Shutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::connection::{self, Came};
use super::dismissal::Dismissal;
use super::http1;
use super::place::{Crowd, Place};
use super::{Bounds, Door, Doorway};
use crate::engine::http::key::Scheme;
use crate::engine::share::courtesy::Courtesy;
use crate::engine::share::lobby::Lobby;
use crate::engine::share::site;
use crate::engine::steps::glance;
use crate::engine::steps::receive::{Entrance, Seen};
use crate::shell::context::Context;
use crate::shell::tls;

/// Visitors let in between two turns of everything else.
const LET_IN_MAX: usize = 16;

/// Visitors looked at between two turns at most, while more come than can be served.
const LOOKED_AT_MAX: usize = 128;

/// The longest head that is looked at; who sends more is let in without.
const GLANCE_MAX: usize = 4 << 10;

/// A connection that was taken, with its place.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) stream: std::net::TcpStream,
    pub(super) client: IpAddr,
    /// What was read of its request.
    pub(super) read: Vec<u8>,
    place: Place,
}

/// See the module.
pub(super) struct Porter {
    ctx: Arc<Context>,
    listener: TcpListener,
    local_port: u16,
    door: Door,
    bounds: Arc<Bounds>,
    shutdown: Shutdown,
    crowd: Crowd,
    lobby: Lobby<Visitor>,
    courtesy: Courtesy,
    dismissal: Dismissal,
    seen: Seen,
    guests: Guests,
}

impl Porter {
    pub(super) fn new(ctx: Arc<Context>, doorway: Doorway, shutdown: Shutdown) -> Self {
        let Doorway {
            listener,
            door,
            crowd,
            bounds,
        } = doorway;
        let local = listener.local_addr();
        Self {
            local_port: local.map_or(80, |addr| addr.port()),
            listener,
            door,
            crowd,
            bounds: Arc::new(bounds),
            shutdown,
            lobby: Lobby::new(),
            courtesy: Courtesy::new(),
            dismissal: Dismissal::new(ctx.identity.name(), ctx.zone.as_str()),
            seen: Seen::default(),
            guests: Guests::new(),
            ctx,
        }
    }

    /// Waits for visitors, lets some in, and gives way to those who are in. May be dropped while it
    /// waits.
    pub(super) async fn turn(&mut self) {
        let mut first = Ok(());
        if self.lobby.waiting() == 0 {
            let accepted = self.listener.accept().await;
            first = accepted.and_then(|(stream, from)| self.first(stream, from));
        }
        let outside = match first.and_then(|()| self.take()) {
            Ok(outside) => outside,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                // Out of descriptors, most likely: give others a moment to return some.
                sleep(Duration::from_millis(50)).await;
                true
            }
        };
        for visitor in self.lobby.late(self.ctx.now()) {
            self.dismiss(visitor);
        }
        for _ in 0..LET_IN_MAX {
            match self.lobby.call() {
                Some(visitor) => self.let_in_next(visitor),
                None => break,
            }
        }
        self.look(outside);
        if outside || self.lobby.waiting() > 0 {
            yield_now().await;
        }
    }

    /// The end of a turn.
    fn look(&mut self, outside: bool) {
        let before = self.lobby.is_pressed();
        self.lobby.looked(self.ctx.now(), outside);
        match (before, self.lobby.is_pressed()) {
            (false, true) => tracing::info!(door = ?self.door, "more come than can be served"),
            (true, false) => tracing::info!(door = ?self.door, "all who come can be served"),
            _ => {}
        }
    }

    /// Whether those who come are looked at before they are let in.
    fn is_pressed(&self) -> bool {
        self.lobby.is_pressed() && self.door == Door::Client
    }

    /// The one who was waited for: a turn's others are [taken](Self::take) behind it.
    fn first(&mut self, stream: TcpStream, from: SocketAddr) -> io::Result<()> {
        if self.is_pressed() {
            self.taken(stream.into_std()?, from);
        } else if let Some(place) = self.place(from.ip()) {
            let (client, read) = (from.ip(), Vec::new());
            self.let_in(stream, (client, read), place);
        }
        Ok(())
    }

    /// Takes as many more connections as is good. Whether there may be others.
    fn take(&mut self) -> io::Result<bool> {
        let pressed = self.is_pressed();
        let most = if pressed {
            let room = LET_IN_MAX.saturating_sub(self.lobby.waiting());
            self.courtesy.takes(room).min(LOOKED_AT_MAX)
        } else {
            LET_IN_MAX
        };
        for _ in 0..most {
            let (stream, from) = match accept(&self.listener) {
                Ok(taken) => taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                // Who has left already.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            if pressed {
                self.taken(stream, from);
            } else {
                self.first(TcpStream::from_std(stream)?, from)?;
            }
        }
        Ok(true)
    }

    fn place(&self, client: IpAddr) -> Option<Place> {
        let place = self.crowd.place(client, &self.bounds);
        place
            .map_err(|reason| self.ctx.metrics.connection_refused(reason))
            .ok()
    }

    fn taken(&mut self, stream: std::net::TcpStream, from: SocketAddr) {
        self.courtesy.took();
        let client = from.ip();
        if let Some(place) = self.place(client) {
            self.receive(Visitor {
                stream,
                client,
                read: Vec::new(),
                place,
            });
        }
    }

    /// Looks at what a visitor wants, and lets it wait.
    fn receive(&mut self, mut visitor: Visitor) {
        let mut piece = [0; GLANCE_MAX];
        match visitor.stream.read(&mut piece) {
            // It has left.
            Ok(0) => return,
            Ok(read) => visitor.read.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
        let (site, kept) = self.wish(&visitor.read);
        if let Some(out) = self.lobby.came(self.ctx.now(), &site, kept, visitor) {
            self.dismiss(out);
        }
    }

    /// The site that is wanted by who sent `read`, and whether the page is here. What is no page of a
    /// site, or cannot be told yet, has its turn like a site.
    fn wish(&mut self, read: &[u8]) -> (String, bool) {
        if self.bounds.secure.is_some() {
            // The page itself is not said before there are keys.
            let name = tls::asked_name(read);
            let name = name.and_then(|name| self.ctx.zone.classify(&name).ok());
            let site = match &name {
                Some(Name::Site(wanted)) => match &wanted.host {
                    Host::Domain(host) => site::of(host),
                    Host::Ipv4(_) => "",
                },
                _ => "",
            };
            return (site.to_owned(), true);
        }
        let entrance = Entrance {
            scheme: Scheme::Http,
            local_port: self.local_port,
            shown: None,
            zone: &self.ctx.zone,
            policy: &self.ctx.policy,
        };
        let page = glance::page(&entrance, read, &mut self.seen);
        let kept = page.as_ref().is_none_or(|key| self.ctx.flow().knows(key));
        let site = page.as_ref().map_or("", |key| site::of(key.host()));
        (site.to_owned(), kept)
    }

    fn dismiss(&self, visitor: Visitor) {
        if self.bounds.secure.is_some() {
            self.dismissal.break_off(&self.ctx, &visitor);
        } else {
            self.dismissal.send(&self.ctx, visitor);
        }
    }

    /// Lets one in who waited.
    fn let_in_next(&mut self, visitor: Visitor) {
        let Visitor {
            stream,
            client,
            read,
            place,
        } = visitor;
        match TcpStream::from_std(stream) {
            Ok(stream) => self.let_in(stream, (client, read), place),
            Err(error) => tracing::warn!(%error, "cannot serve a connection"),
        }
    }

    /// From here on it is a task among tasks.
    fn let_in(&mut self, stream: TcpStream, (client, read): (IpAddr, Vec<u8>), place: Place) {
        self.courtesy.let_in();
        let (ctx, shutdown) = (Arc::clone(&self.ctx), self.shutdown.clone());
        let came = Came {
            stream,
            client,
            local_port: self.local_port,
            read,
            place,
        };
        let (spoken, last) = connection::speak(&ctx, came, self.door, &self.bounds);
        let last = (last, self.guests.one());
        let bounds = Arc::clone(&self.bounds);
        match &self.bounds.secure {
            None => {
                tokio::spawn(http1::serve(ctx, spoken, bounds, shutdown, last));
            }
            Some(secure) => {
                let secure = Arc::clone(secure);
                let talk = connection::over_tls(ctx, (spoken, last), secure, bounds, shutdown);
                tokio::spawn(talk);
            }
        }
    }

    /// Nobody comes any more; those who wait are served. Gives those who are inside.
    pub(super) fn close(mut self) -> Guests {
        while let Some(visitor) = self.lobby.call() {
            self.let_in_next(visitor);
        }
        self.guests
    }
}

/// Those who are inside. Nobody lists them, who are thousands that come and go: each holds one end of a
/// channel on which nothing is said, and its other end hears when all have let go of theirs.
#[derive(Debug)]
pub(super) struct Guests {
    one: Guest,
    all: mpsc::Receiver<Infallible>,
}

/// Held by who is inside.
pub(super) type Guest = mpsc::Sender<Infallible>;

impl Guests {
    fn new() -> Self {
        let (one, all) = mpsc::channel(1);
        Self { one, all }
    }

    fn one(&self) -> Guest {
        self.one.clone()
    }

    /// Waits until all have left. Nobody else comes.
    pub(super) async fn gone(self) {
        let Self { one, mut all } = self;
        drop(one);
        let None = all.recv().await;
    }
}

/// A connection that waits in the kernel, if any, not to be waited on.
#[cfg(target_os = "linux")]
fn accept(listener: &TcpListener) -> io::Result<(std::net::TcpStream, SocketAddr)> {
    use rustix::net::{SocketFlags, acceptfrom_with};
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, from) = acceptfrom_with(listener, flags)?;
    let from = from.and_then(|from| from.try_into().ok());
    Ok((socket.into(), from.ok_or(ErrorKind::ConnectionAborted)?))
}

/// A connection that waits in the kernel, if any, not to be waited on.
#[cfg(not(target_os = "linux"))]
fn accept(listener: &TcpListener) -> io::Result<(std::net::TcpStream, SocketAddr)> {
    let (socket, from) = socket2::SockRef::from(listener).accept()?;
    socket.set_nonblocking(true)?;
    let from = from.as_socket();
    Ok((socket.into(), from.ok_or(ErrorKind::ConnectionAborted)?))
}
