//! What has to hold, whatever goes wrong.

use proxy::engine::pointer::Progress;

use crate::client::{Client, State};
use crate::world::{BodyNo, ClientNo, End, FillNo, LineNo, World};

impl World {
    /// What a client got: one version of the page, all of it if it ended cleanly.
    pub(crate) fn check_got(&mut self, client: ClientNo) {
        let Client {
            state, got, visit, ..
        } = &self.clients[client];
        let fits = |whole: &[u8]| match state {
            State::Whole => whole == got,
            _ => whole.starts_with(got),
        };
        let holds = self.origin.wholes(visit.key).any(fits);
        let what = if *state == State::Whole {
            "a clean end after"
        } else {
            "a mixture in"
        };
        let what = format!("c{client} got {what} {} bytes", got.len());
        if !holds {
            self.violate(what);
        }
    }

    /// What is kept is whole.
    pub(crate) fn check_kept(&mut self, fill: FillNo, number: BodyNo) {
        let (body, key) = (&self.bodies[number], self.fills[fill].key);
        let whole = matches!(body.end, End::Whole(_));
        let right = self.origin.wholes(key).any(|whole| whole == body.bytes);
        if !whole || !right {
            self.violate(format!(
                "f{fill} keeps {} bytes that are no whole",
                body.bytes.len()
            ));
        }
    }

    /// Nobody waits for somebody who waits for him.
    pub(crate) fn check_circles(&mut self, line: LineNo) {
        let first = self.lines[line].to;
        let mut fill = first;
        for _ in 0..self.nodes.len() + 1 {
            let next = self.fills[fill]
                .line
                .and_then(|line| self.lines[line].behind);
            match next {
                Some(next) if next == first => {
                    return self.violate(format!("f{first} waits for itself by way of f{fill}"));
                }
                Some(next) if !self.is_done(next) => fill = next,
                _ => return,
            }
        }
        self.violate(format!("f{first} is in a circle of others"));
    }

    fn is_done(&self, fill: FillNo) -> bool {
        let head = self.fills[fill].head.as_ref();
        self.fills[fill].over
            || head.is_some_and(|head| self.bodies[head.object.body].end != End::Growing)
    }

    /// When nothing has gone wrong for long: everybody was answered, nothing is under way, and the
    /// index names nobody who has nothing.
    pub(crate) fn check_the_end(&mut self) {
        for client in 0..self.clients.len() {
            let state = self.clients[client].state;
            if matches!(state, State::Away | State::Waiting(..) | State::Reading(_)) {
                self.violate(format!("c{client} is still {state:?}"));
            }
        }
        for fill in 0..self.fills.len() {
            let state = &self.fills[fill];
            let dead = state.life != self.nodes[state.node].life;
            if !dead && (!state.over || state.seats > 0) {
                let what = format!(
                    "f{fill} is over: {}, with {} seats",
                    state.over, state.seats
                );
                self.violate(what);
            }
        }
        for node in 0..self.nodes.len() {
            if self.nodes[node].up && self.nodes[node].flow.filling() > 0 {
                self.violate(format!("n{node} has fills under way"));
            }
        }
        self.check_pointers();
        self.check_fetches();
    }

    fn check_pointers(&mut self) {
        let values = self.index.values.clone();
        for ((key, addr), (progress, until)) in values {
            let Some(node) = self.nodes.iter().position(|node| node.addr == addr) else {
                continue;
            };
            let has = self.nodes[node].flow.store().has(&self.keys[key]);
            // What was lost is left to the lease, and so is what a proxy said that died.
            let excused = self.index.lost || self.nodes[node].life > 0;
            let wrong = match progress {
                Progress::Fetching => true,
                Progress::Complete { .. } => !has && !excused,
                // No page here is large.
                Progress::Parts { .. } => true,
            };
            if until > self.now && wrong {
                self.violate(format!("n{node} is said to have /{key}: {progress:?}"));
            }
        }
    }

    /// While nothing goes wrong the origin is asked once for each page.
    fn check_fetches(&mut self) {
        for (key, asked) in self.origin.asked.clone().into_iter().enumerate() {
            if self.plan.calm && asked > 1 {
                self.violate(format!("/{key} was fetched {asked} times"));
            }
        }
    }
}
