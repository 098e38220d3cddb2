//! The model of a client: asks, reads, may leave, and says what it believes it got.

use http::Method;
use proxy::engine::flow::{Ask, Lookup, Miss};
use proxy::engine::http::store::NoStoreReason;

use crate::fill::{Headed, request};
use crate::plan::Visit;
use crate::world::{BodyNo, ClientNo, End, FillNo, Follower, NodeNo, World};

/// How it went for a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// It has not asked yet.
    Away,
    /// It waits for this fill's head. Whether another client began it.
    Waiting(FillNo, bool),
    /// It reads this body.
    Reading(BodyNo),
    /// A clean end.
    Whole,
    /// The connection broke.
    Broken,
    /// An error page.
    Refused,
    Left,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) visit: Visit,
    pub(crate) state: State,
    pub(crate) got: Vec<u8>,
    pub(crate) pumping: bool,
    /// The length it was told.
    length: Option<u64>,
    seat: Option<FillNo>,
}

impl Client {
    pub(crate) const fn new(visit: Visit) -> Self {
        Self {
            visit,
            state: State::Away,
            got: Vec::new(),
            pumping: false,
            length: None,
            seat: None,
        }
    }
}

impl World {
    pub(crate) fn client_asks(&mut self, client: ClientNo) {
        let Visit {
            node,
            key,
            no_cache,
            ..
        } = self.clients[client].visit;
        if self.clients[client].state != State::Away {
            return;
        }
        self.tally.asked += 1;
        self.say(|_| format!("c{client} asks n{node} for /{key}"));
        if !self.nodes[node].up {
            return self.client_ends(client, State::Refused);
        }
        let (now, name, headers) = (self.now, self.keys[key].clone(), request(no_cache));
        let ask = Ask {
            key: &name,
            method: &Method::GET,
            headers: &headers,
        };
        let next = self.fills.len();
        match self.nodes[node].flow.lookup(now, ask, || next) {
            Lookup::Hit {
                object, background, ..
            } => {
                self.read(client, object.body);
                if let Some((_, errand)) = background {
                    self.begin((node, key), errand, &headers, true);
                }
            }
            Lookup::Join(fill, _) => self.wait_for(client, fill, true),
            Lookup::Start(_, errand) => {
                let fill = self.begin((node, key), errand, &headers, false);
                self.wait_for(client, fill, false);
            }
            // Nothing is on disk here.
            Lookup::OnlyIfCached | Lookup::Busy | Lookup::Shelved => {
                self.client_ends(client, State::Refused)
            }
        }
    }

    fn wait_for(&mut self, client: ClientNo, fill: FillNo, collapsed: bool) {
        self.fills[fill].seats += 1;
        self.clients[client].seat = Some(fill);
        self.clients[client].state = State::Waiting(fill, collapsed);
        if self.fills[fill].head.is_some() || self.fills[fill].failed.is_some() {
            self.client_looks(client);
        } else {
            self.fills[fill].clients.push(client);
        }
    }

    /// What the fill it waits for has come to.
    pub(crate) fn client_looks(&mut self, client: ClientNo) {
        let State::Waiting(fill, collapsed) = self.clients[client].state else {
            return;
        };
        let Some(head) = self.fills[fill].head.clone() else {
            return self.client_ends(client, State::Refused);
        };
        if !collapsed || self.may_have(&head) {
            return self.read(client, head.object.body);
        }
        self.free_seat(client);
        let Visit {
            node,
            key,
            no_cache,
            ..
        } = self.clients[client].visit;
        let next = self.fills.len();
        let Lookup::Start(_, errand) = self.nodes[node].flow.alone(Miss::Uri, || next) else {
            return self.client_ends(client, State::Refused);
        };
        let fill = self.begin((node, key), errand, &request(no_cache), false);
        self.wait_for(client, fill, false);
    }

    fn may_have(&self, head: &Headed) -> bool {
        let shared = match head.shared {
            Ok(()) | Err(NoStoreReason::NoLifetimeNoValidator) => true,
            Err(NoStoreReason::Status) => head.object.status.is_server_error(),
            Err(_) => false,
        };
        shared && !matches!(self.bodies[head.object.body].end, End::Broken(_))
    }

    fn read(&mut self, client: ClientNo, body: BodyNo) {
        self.clients[client].state = State::Reading(body);
        self.clients[client].length = match self.bodies[body].end {
            End::Whole(_) => Some(self.bodies[body].bytes.len() as u64),
            _ => self.bodies[body].announced,
        };
        self.bodies[body].followers.push(Follower::Client(client));
        self.wake(Follower::Client(client));
    }

    pub(crate) fn pump_client(&mut self, client: ClientNo) {
        self.clients[client].pumping = false;
        let State::Reading(body) = self.clients[client].state else {
            return;
        };
        let at = self.clients[client].got.len();
        let piece = self.bodies[body].bytes[at..].to_vec();
        self.clients[client].got.extend_from_slice(&piece);
        let got = self.clients[client].got.len() as u64;
        let told_all = self.clients[client].length == Some(got);
        match self.bodies[body].end {
            // Who was told a length takes the last byte for the end.
            _ if told_all => self.client_ends(client, State::Whole),
            End::Growing => {}
            End::Whole(_) => self.client_ends(client, State::Whole),
            End::Broken(_) => self.client_ends(client, State::Broken),
        }
    }

    pub(crate) fn client_leaves(&mut self, client: ClientNo) {
        let state = self.clients[client].state;
        if matches!(state, State::Waiting(..) | State::Reading(_)) {
            self.client_ends(client, State::Left);
        }
    }

    /// Its proxy died.
    pub(crate) fn clients_lose(&mut self, node: NodeNo) {
        for client in 0..self.clients.len() {
            let state = self.clients[client].state;
            let there = self.clients[client].visit.node == node;
            if there && matches!(state, State::Waiting(..) | State::Reading(_)) {
                // The dead count no seats.
                self.clients[client].seat = None;
                self.client_ends(client, State::Broken);
            }
        }
    }

    fn client_ends(&mut self, client: ClientNo, state: State) {
        if let State::Reading(body) = self.clients[client].state {
            self.unfollow(body, Follower::Client(client));
        }
        if let State::Waiting(fill, _) = self.clients[client].state {
            self.fills[fill].clients.retain(|other| *other != client);
        }
        let got = self.clients[client].got.len();
        self.say(|_| format!("c{client} ends: {state:?} after {got} bytes"));
        self.clients[client].state = state;
        match state {
            State::Whole => self.tally.whole += 1,
            State::Broken => self.tally.broken += 1,
            State::Refused => self.tally.refused += 1,
            _ => self.tally.left += 1,
        }
        self.check_got(client);
        self.free_seat(client);
    }

    fn free_seat(&mut self, client: ClientNo) {
        if let Some(fill) = self.clients[client].seat.take() {
            self.stand_up(fill);
        }
    }
}
