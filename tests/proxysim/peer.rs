//! The model of what answers a fill: a proxy on its peer port, and the origin.

use std::sync::Arc;

use http::Method;
use http::header::{AGE, CONTENT_LENGTH};
use proxy::engine::drawing::{Joining, Offer};
use proxy::engine::flow::{Ask, PeerLookup};
use proxy::engine::reason::FailReason;

use crate::origin::{self, Mood, Naughty};
use crate::world::{End, Follower, From, Happening, LineNo, NodeNo, Object, Parcel, World};

impl World {
    pub(crate) fn peer_asked(&mut self, line: LineNo, peer: NodeNo, offset: u64, stale: bool) {
        let asker = self.lines[line].to;
        if self.lines[line].cut {
            return;
        }
        let From::Peer(_, life, _) = self.lines[line].from else {
            return;
        };
        if !self.nodes[peer].up || self.nodes[peer].life != life {
            return self.send(line, Parcel::Break(FailReason::Broken));
        }
        self.lines[line].stale = stale;
        self.lines[line].from = From::Peer(peer, life, Some((usize::MAX, offset)));
        let (now, name) = (self.now, self.keys[self.fills[asker].key].clone());
        let request = self.fills[asker].request.clone();
        let ask = Ask {
            key: &name,
            method: &Method::GET,
            headers: &request,
        };
        match self.nodes[peer].flow.lookup_for_peer(now, ask, stale) {
            PeerLookup::Hit(object) => self.serve(line, &object),
            PeerLookup::Join(fill) => {
                self.fills[fill].seats += 1;
                self.lines[line].behind = Some(fill);
                self.fills[fill].waiting.push(line);
                self.check_circles(line);
                self.peer_looks(line);
            }
            // Nothing is on disk here.
            PeerLookup::Nothing | PeerLookup::Shelved => {
                self.send(line, Parcel::No(FailReason::PeerRefused, None))
            }
        }
    }

    /// A peer that waits for a fetch under way looks what it is to get.
    pub(crate) fn peer_looks(&mut self, line: LineNo) {
        let Some(behind) = self.lines[line].behind else {
            return;
        };
        let fill = &self.fills[behind];
        let offer = match &fill.head {
            None if fill.failed.is_some() => Offer::Unusable,
            None => Offer::Nothing,
            Some(head) => match self.bodies[head.object.body].end {
                End::Broken(_) => Offer::Unusable,
                _ if head.shared.is_err() || (head.stale && !self.lines[line].stale) => {
                    Offer::Unusable
                }
                End::Whole(_) => Offer::Whole,
                End::Growing => Offer::Part,
            },
        };
        let joining = fill.drawing.joining(offer);
        if joining == Joining::Wait {
            return;
        }
        self.fills[behind].waiting.retain(|other| *other != line);
        let asker = self.nodes[self.fills[self.lines[line].to].node].addr;
        match (joining, self.fills[behind].head.clone()) {
            (Joining::Serve, Some(head)) => self.serve(line, &head.object),
            (Joining::See(other), _) => {
                self.leave_peer(line);
                let other = Some(other).filter(|other| *other != asker);
                self.send(line, Parcel::No(FailReason::PeerRefused, other));
            }
            _ => {
                self.leave_peer(line);
                self.send(line, Parcel::No(FailReason::PeerRefused, None));
            }
        }
    }

    fn serve(&mut self, number: LineNo, object: &Arc<Object>) {
        let From::Peer(peer, life, Some((_, offset))) = self.lines[number].from else {
            return;
        };
        let body = &self.bodies[object.body];
        let (length, digest) = match body.end {
            End::Whole(digest) => (Some(body.bytes.len() as u64), Some(digest)),
            _ => (body.announced, None),
        };
        let mut headers = object.headers();
        headers.insert(AGE, object.age(self.now).as_secs().into());
        headers.remove(CONTENT_LENGTH);
        let status = object.status;
        self.lines[number].from = From::Peer(peer, life, Some((object.body, offset)));
        self.check_circles(number);
        self.send(
            number,
            Parcel::Head {
                status,
                headers,
                offset,
                length,
                digest,
            },
        );
        self.bodies[object.body]
            .followers
            .push(Follower::Line(number));
        self.wake(Follower::Line(number));
    }

    pub(crate) fn pump_line(&mut self, number: LineNo) {
        self.lines[number].pumping = false;
        let line = &self.lines[number];
        let From::Peer(peer, life, Some((body, at))) = line.from else {
            return;
        };
        if line.cut || line.over || body >= self.bodies.len() {
            return;
        }
        let bytes = &self.bodies[body].bytes;
        let at_here = usize::try_from(at).unwrap_or(usize::MAX);
        if at_here < bytes.len() {
            let most = [16, 1_000, 100_000][self.rng.below(3)];
            let size = (1 + self.rng.below(most)).min(bytes.len() - at_here);
            let piece = self.bodies[body].bytes[at_here..at_here + size].to_vec();
            self.lines[number].from = From::Peer(peer, life, Some((body, at + size as u64)));
            if self.send_bytes(number, &piece.into()) {
                self.wake(Follower::Line(number));
            } else {
                self.leave_peer(number);
            }
            return;
        }
        let parcel = match self.bodies[body].end {
            End::Growing => return,
            End::Whole(digest) => Parcel::End(Some(digest)),
            End::Broken(_) => Parcel::Break(FailReason::Broken),
        };
        self.send(number, parcel);
        self.leave_peer(number);
    }

    /// A line's far end, a peer, has done with it.
    pub(crate) fn leave_peer(&mut self, line: LineNo) {
        if let From::Peer(_, _, Some((body, _))) = self.lines[line].from
            && body < self.bodies.len()
        {
            self.unfollow(body, Follower::Line(line));
        }
        if let Some(behind) = self.lines[line].behind.take() {
            self.fills[behind].waiting.retain(|other| *other != line);
            self.stand_up(behind);
        }
    }

    // ---- the origin

    pub(crate) fn origin_asked(&mut self, line: LineNo) {
        let fill = self.lines[line].to;
        let key = self.fills[fill].key;
        if self.lines[line].cut {
            return;
        }
        self.tally.origin += 1;
        self.origin.asked[key] += 1;
        let mood = self.origin.mood;
        match mood {
            Mood::Mute => return,
            Mood::Dead => {
                return self.send(line, Parcel::No(FailReason::ConnectRefused, None));
            }
            Mood::Well | Mood::Slow | Mood::Failing => {}
        }
        let sins = self.plan.sins;
        let naughty = self.chance(sins.naughty);
        let naughty = naughty.then(|| Naughty::draw(&mut self.rng));
        let answer = self.origin.answer(key, &self.origin_request(fill), naughty);
        if self.chance(sins.changes) {
            self.say(|_| format!("/{key} changes"));
            self.origin.change(key);
        }
        let cut = self
            .chance(sins.cuts)
            .then(|| self.rng.below(answer.body.len() + 1));
        let thinking = origin::thinking(mood, &mut self.rng);
        self.lines[line].last = self.now + self.lines[line].latency + thinking;
        let (status, headers, length) = (answer.status, answer.headers, answer.length);
        self.say(|_| {
            format!("origin answers f{fill} with {status}, {length:?} bytes, cut {cut:?}")
        });
        self.send(
            line,
            Parcel::Head {
                status,
                headers,
                offset: 0,
                length,
                digest: None,
            },
        );
        let mut rest = answer.body;
        rest.truncate(cut.unwrap_or(usize::MAX));
        let most = [16, 1_000, 100_000][self.rng.below(3)].max(rest.len() / 16);
        while !rest.is_empty() {
            let size = 1 + self.rng.below(most.min(rest.len()));
            let gap = self.millis(0, self.plan.pace);
            self.lines[line].last = self.lines[line].last + gap;
            if !self.send_bytes(line, &rest.split_to(size)) {
                return;
            }
        }
        // Where a length was stated, an early end may even look clean.
        let looks_clean = length.is_some() && self.chance(30);
        let end = match cut {
            Some(_) if !looks_clean => Parcel::Break(FailReason::Truncated),
            _ => Parcel::End(None),
        };
        self.send(line, end);
    }

    pub(crate) fn origin_turns(&mut self, mood: Mood) {
        self.say(|_| format!("the origin is {mood:?}"));
        self.origin.mood = mood;
        if mood != Mood::Dead {
            return;
        }
        for line in 0..self.lines.len() {
            if matches!(self.lines[line].from, From::Origin) {
                self.cut(line, false);
            }
        }
    }

    /// A line's far end dies: it breaks, or falls silent.
    fn cut(&mut self, line: LineNo, silently: bool) {
        if std::mem::replace(&mut self.lines[line].cut, true) {
            return;
        }
        self.lines[line].over = true;
        let latency = self.lines[line].latency;
        if !silently {
            let parcel = Box::new(Parcel::Break(FailReason::Broken));
            self.after(latency, Happening::Arrives(line, parcel));
        }
    }

    // ---- deaths

    pub(crate) fn dies(&mut self, node: NodeNo, silently: bool) {
        if !self.nodes[node].up {
            return;
        }
        self.say(|_| format!("n{node} dies{}", if silently { " silently" } else { "" }));
        self.tally.deaths += 1;
        self.nodes[node].up = false;
        self.nodes[node].silent = silently;
        self.nodes[node].life += 1;
        for line in 0..self.lines.len() {
            let of_it = matches!(self.lines[line].from, From::Peer(peer, ..) if peer == node);
            if of_it && !self.fills[self.lines[line].to].over {
                self.cut(line, silently);
            }
        }
        for fill in 0..self.fills.len() {
            if self.fills[fill].node == node && !self.fills[fill].over {
                self.fills[fill].over = true;
                self.fills[fill].waiting.clear();
                if let Some(line) = self.fills[fill].line.take() {
                    self.lines[line].cut = true;
                    self.leave_peer(line);
                }
            }
        }
        self.clients_lose(node);
    }

    pub(crate) fn returns(&mut self, node: NodeNo) {
        if !self.nodes[node].up {
            self.say(|_| format!("n{node} is back, empty"));
            self.nodes[node].flow = self.empty_flow();
            self.nodes[node].up = true;
        }
    }
}
