//! Brings nodes to a step: orders a few, waits until they are there, orders the next few.

use std::collections::VecDeque;
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use serde_json::{Value, json};

use super::{Fleet, How, read, show};
use crate::controller::client::ControllerArgs;
use crate::engine::document::words::DaemonName;
use crate::engine::network::change::{Change, Leave, Terms};
use crate::engine::network::plan::{
    Aim, LeftOut, Lot, Planned, Rules, at_once, in_turn, plan, shadow, stand, unasked,
};
use crate::engine::network::seen::{Arrival, NodeSeen, Wait};
use crate::engine::network::successor::Successor;
use crate::engine::network::{Releases, Step};
use crate::outcome::{Exit, Failure, Outcome};
use crate::say::{self, Progress};

/// Between two looks at nodes that are on their way.
const LOOK: Duration = Duration::from_millis(500);

/// Between two looks at all nodes, while something speaks against going on.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// For a controller that is started anew to answer again.
const DEAF: Duration = Duration::from_secs(60);

/// Where nodes are to go, and with what.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) aim: Aim,
    pub(super) successor: Option<&'a Successor>,
    pub(super) leave: &'a Leave,
}

impl<'a> Target<'a> {
    /// One that needs no new index.
    pub(super) const fn plain(aim: Aim, leave: &'a Leave) -> Self {
        Self {
            aim,
            successor: None,
            leave,
        }
    }
}

/// Brings nodes there.
pub(super) async fn run(how: &How, target: Target<'_>) -> Outcome {
    let clock = SystemClock::new();
    no_rollout(&how.controller).await?;
    let (planned, releases, others) = agree(how, target, clock).await?;
    if how.dry_run {
        say::result(&show::plan(&planned, how.json));
        return Ok(verdict(&planned, true));
    }
    show::left_out(&planned);
    let mut walk = Walk::new((how, &releases, others), clock, planned);
    let done = walk.all().await;
    let tried = match &done {
        Ok(()) => walk.tried().await,
        Err(_) => Ok(true),
    };
    if how.json {
        say::result(&show::outcome(&walk.planned_and_done()));
    }
    done?;
    let all = verdict(&walk.planned, tried?);
    say::note(&walk.summary());
    Ok(all)
}

/// Orders of two who go about it at once would undo each other.
async fn no_rollout(controller: &ControllerArgs) -> Result<(), Failure> {
    let all = controller.get("/v1/rollouts").await?;
    let under_way =
        |rollout: &Value| matches!(rollout["phase"].as_str(), Some("wave" | "back" | "paused"));
    if all.as_array().into_iter().flatten().any(under_way) {
        let what = "a rollout is under way";
        return Err(Failure::failed(
            what,
            "wait for its end, or `atoll rollout halt`",
        ));
    }
    Ok(())
}

/// What becomes of each node, once nothing speaks against it; and how many others have an index of a new network.
async fn agree(
    how: &How,
    target: Target<'_>,
    clock: SystemClock,
) -> Result<(Vec<Planned>, Releases, usize), Failure> {
    let until = clock.moment() + how.patience;
    let mut progress = Progress::new();
    loop {
        let mut fleet = Fleet::read(&how.controller).await?;
        let is_new = |node: &&NodeSeen| {
            let found = stand(node, &fleet.releases);
            found.is_ok_and(|(stand, _)| stand.new.is_some())
        };
        let others = fleet.nodes.iter().filter(is_new).count();
        let nodes = fleet.choose(&how.whom.nodes, &how.whom.cluster)?;
        let terms = Terms {
            releases: &fleet.releases,
            successor: target.successor,
            leave: target.leave,
        };
        let rules = Rules {
            terms,
            silence: how.silence,
            anyway: how.anyway,
        };
        let planned = plan(nodes, target.aim, rules);
        let refused = planned.iter().filter_map(|one| match &one.lot {
            Lot::Refused(reason) => Some((one.node.name.as_str(), reason)),
            _ => None,
        });
        let refused: Vec<_> = refused.collect();
        if refused.is_empty() {
            progress.finish();
            return match planned.iter().all(is_silent) {
                true => Err(nobody()),
                false => Ok((planned, fleet.releases, others)),
            };
        }
        let may_pass = refused.iter().all(|(_, reason)| reason.may_pass());
        if !may_pass || clock.moment() >= until {
            progress.finish();
            return Err(show::refusal(&refused));
        }
        progress.update(&show::waits(&refused));
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

const fn is_silent(one: &Planned) -> bool {
    matches!(one.lot, Lot::LeftOut(LeftOut::Silent))
}

fn nobody() -> Failure {
    let advice = "see `atoll node list`; a controller that was just started hears of nodes within half a minute";
    Failure::failed("none of these nodes has called of late", advice)
}

fn verdict(planned: &[Planned], tried: bool) -> Exit {
    let behind = |one: &Planned| matches!(one.lot, Lot::LeftOut(why) if why.is_behind());
    if planned.iter().any(behind) || !tried {
        Exit::Degraded
    } else {
        Exit::Ok
    }
}

/// A node on its way.
struct Traveller {
    node: String,
    name: String,
    since: Moment,
    wait: Option<Wait>,
}

/// Nodes going to a step.
struct Walk<'a> {
    how: &'a How,
    releases: &'a Releases,
    clock: SystemClock,
    planned: Vec<Planned>,
    waiting: VecDeque<usize>,
    under_way: Vec<Traveller>,
    there: Vec<String>,
    failed: Vec<(String, String)>,
    nodes: usize,
    limit: usize,
    /// Nodes that had an index of a new network before.
    others: usize,
}

impl<'a> Walk<'a> {
    fn new(
        (how, releases, others): (&'a How, &'a Releases, usize),
        clock: SystemClock,
        planned: Vec<Planned>,
    ) -> Self {
        let goes = |one: &Planned| matches!(one.lot, Lot::Move(_) | Lot::Already);
        let going = planned.iter().enumerate().filter(|(_, one)| goes(one));
        let going: Vec<usize> = going.map(|(at, _)| at).collect();
        let cluster = |at: &usize| {
            planned
                .get(*at)
                .map(|one| one.node.cluster.clone())
                .unwrap_or_default()
        };
        let limit = how
            .at_once
            .map_or_else(|| at_once(going.len()), usize::from);
        Self {
            how,
            releases,
            clock,
            limit,
            others,
            nodes: going.len(),
            waiting: in_turn(going, cluster),
            planned,
            under_way: Vec::new(),
            there: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Brings all of them there. After one that fails no other is begun.
    async fn all(&mut self) -> Result<(), Failure> {
        let mut progress = Progress::new();
        loop {
            while self.failed.is_empty()
                && self.under_way.len() < self.limit
                && let Some(at) = self.waiting.pop_front()
            {
                self.begin(at).await?;
            }
            if self.under_way.is_empty() {
                break;
            }
            tokio::time::sleep(LOOK).await;
            self.look().await?;
            if let Some(slow) = self.under_way.first().filter(|one| one.wait.is_some()) {
                let wait = slow.wait.as_ref().map(Wait::text).unwrap_or_default();
                let (there, nodes) = (self.there.len(), self.nodes);
                progress.update(&format!("{there} of {nodes} there; {}: {wait}", slow.name));
            }
        }
        progress.finish();
        if self.failed.is_empty() {
            return Ok(());
        }
        let each = self
            .failed
            .iter()
            .map(|(name, why)| format!("{name}: {why}"));
        let each: Vec<String> = each.collect();
        let (there, left) = (self.there.len(), self.waiting.len());
        let what = format!(
            "{} ({there} of {} are there, {left} were not begun)",
            each.join("; "),
            self.nodes
        );
        let advice = "look at `atoll node show NODE`; then the same again goes on, and `atoll network back` goes back";
        Err(Failure::failed(what, advice))
    }

    /// Orders a node, if it was not ordered so before.
    async fn begin(&mut self, at: usize) -> Result<(), Failure> {
        let Some(one) = self.planned.get(at) else {
            return Ok(());
        };
        let (key, name) = (one.node.key.clone(), one.node.name.clone());
        if let Lot::Move(change) = &one.lot {
            let serial = order(&self.how.controller, &key, change).await?;
            let from = one.from.map_or("-", |step| step.as_str());
            say::note(&format!("{name}: from {from} by intent {serial}"));
        }
        let since = self.clock.moment();
        self.under_way.push(Traveller {
            node: key,
            name,
            since,
            wait: None,
        });
        Ok(())
    }

    /// Looks at those that are on their way.
    async fn look(&mut self) -> Result<(), Failure> {
        let mut still = Vec::new();
        for mut one in std::mem::take(&mut self.under_way) {
            let now = self.clock.moment();
            let node = self.see(&one.node).await?;
            match node.arrival(unasked(&node, self.releases)) {
                Arrival::There => {
                    let seconds = now.since(one.since).as_secs();
                    self.there.push(one.node);
                    let (there, nodes) = (self.there.len(), self.nodes);
                    say::note(&format!(
                        "{}: there after {seconds} s ({there} of {nodes})",
                        one.name
                    ));
                }
                Arrival::FellBack(daemon) => {
                    let why = format!("fell back to the order before, {daemon} did not stay up");
                    self.failed.push((one.name, why));
                }
                Arrival::OnItsWay(wait) if now.since(one.since) >= self.how.deadline => {
                    let why = format!("not in time: {}", wait.text());
                    self.failed.push((one.name, why));
                }
                Arrival::OnItsWay(wait) => {
                    one.wait = Some(wait);
                    still.push(one);
                }
            }
        }
        self.under_way = still;
        Ok(())
    }

    /// How a node is. A controller that is started anew meanwhile is waited for.
    async fn see(&self, node: &str) -> Result<NodeSeen, Failure> {
        let until = self.clock.moment() + DEAF;
        loop {
            match self.how.controller.get(&format!("/v1/nodes/{node}")).await {
                Ok(found) => return read(found, "nodes"),
                Err(failure)
                    if failure.exit == Exit::Unreachable && self.clock.moment() < until =>
                {
                    tokio::time::sleep(LOOK).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Waits until indexes that nobody asks yet have found each other. Whether they have: one that is alone in its
    /// network cannot.
    async fn tried(&self) -> Result<bool, Failure> {
        let until = self.clock.moment() + self.how.deadline;
        let is_fresh =
            |one: &&Planned| one.from == Some(Step::Single) && matches!(one.lot, Lot::Move(_));
        let fresh = self.planned.iter().filter(is_fresh).count();
        let mut progress = Progress::new();
        let mut left: Vec<String> = self.there.clone();
        loop {
            let mut still = Vec::new();
            let mut named = Vec::new();
            for key in &left {
                let node = self.see(key).await?;
                let index: Option<&DaemonName> = shadow(&node, self.releases);
                if index.is_some_and(|index| !node.is_ready(index)) {
                    still.push(key.clone());
                    named.push(node.name.clone());
                }
            }
            let alone = self.others + fresh <= 1;
            if still.is_empty() || alone || self.clock.moment() >= until {
                progress.finish();
                if !still.is_empty() {
                    let text = "the new index has found no other yet; it will when other nodes are in shadow";
                    say::note(&format!("{}: {text}", named.join(", ")));
                }
                return Ok(still.is_empty());
            }
            progress.update(&format!(
                "new indexes find each other; not yet: {}",
                named.join(", ")
            ));
            left = still;
            tokio::time::sleep(LOOK).await;
        }
    }

    fn summary(&self) -> String {
        let count = |is: fn(&Lot) -> bool| self.planned.iter().filter(|one| is(&one.lot)).count();
        let moved = count(|lot| matches!(lot, Lot::Move(_)));
        let before = count(|lot| matches!(lot, Lot::Already | Lot::Beyond));
        let plural = if moved == 1 { "" } else { "s" };
        format!("{moved} node{plural} came there, {before} were there or beyond")
    }

    /// What was planned, with whether it came to it.
    fn planned_and_done(&self) -> Vec<(&Planned, Option<String>)> {
        let done = |one: &Planned| {
            let failed = self.failed.iter().find(|(name, _)| *name == one.node.name);
            let here = self.there.contains(&one.node.key);
            match (failed, here, &one.lot) {
                (Some((_, why)), ..) => Some(why.clone()),
                (None, false, Lot::Move(_) | Lot::Already) => Some("not_begun".to_owned()),
                _ => None,
            }
        };
        self.planned.iter().map(|one| (one, done(one))).collect()
    }
}

/// Gives a node its order; the number of it.
async fn order(controller: &ControllerArgs, node: &str, change: &Change) -> Result<u64, Failure> {
    let body = json!({ "daemons": change.daemons, "downgrade": change.downgrade });
    let path = format!("/v1/nodes/{node}/desired");
    let answer = controller.put(&path, body.to_string()).await?;
    let node: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    Ok(node["desired"]["serial"].as_u64().unwrap_or_default())
}
