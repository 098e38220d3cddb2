//! Running schedules, one after another, and what is said of them.

use std::io::Write;
use std::time::Duration;

use common::clock::{Clock as _, SystemClock};

use crate::world::{Tally, World};

/// A schedule that went wrong.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) violations: Vec<String>,
}

/// What came of all.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) schedules: u64,
    pub(crate) failures: Vec<Failure>,
    pub(crate) tally: Tally,
}

/// Runs one schedule with its whole story.
pub(crate) fn told(seed: u64) -> World {
    let mut world = World::new(seed, true);
    world.run();
    world
}

/// Runs `count` schedules from `first` on. `progress` tells now and then how far
/// it has come.
pub(crate) fn many(first: u64, count: u64, progress: bool) -> Report {
    let clock = SystemClock::new();
    let began = clock.moment();
    let mut told = began;
    let mut report = Report::default();
    for seed in first..first + count {
        let mut world = World::new(seed, false);
        world.run();
        report.schedules += 1;
        report.tally.add(&world.tally);
        if !world.violations.is_empty() {
            let violations = world.violations;
            report.failures.push(Failure { seed, violations });
        }
        let now = clock.moment();
        if progress && now.since(told) > Duration::from_secs(2) {
            told = now;
            let (done, wrong) = (report.schedules, report.failures.len());
            let seconds = now.since(began).as_secs();
            // Whoever watches may have gone; the run goes on.
            let _ = writeln!(
                std::io::stderr(),
                "{seconds:>4} s: {done} schedules, {wrong} wrong"
            );
        }
    }
    report
}

impl Report {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let tally = &self.tally;
        let mut text = format!(
            "{} schedules, {} happenings: {} wrong\n\
             requests {}: {} whole, {} visibly broken, {} refused, {} left or cut with their proxy\n\
             fetches: {} from the origin, {} from peers; {} resumed, {} take-overs; {} deaths\n",
            self.schedules,
            tally.happenings,
            self.failures.len(),
            tally.asked,
            tally.whole,
            tally.broken,
            tally.refused,
            tally.left,
            tally.origin,
            tally.peer,
            tally.resumed,
            tally.taken_over,
            tally.deaths,
        );
        for failure in self.failures.iter().take(10) {
            text += &format!("seed {}: {}\n", failure.seed, failure.violations.join("; "));
        }
        if let Some(failure) = self.failures.first() {
            text += &format!(
                "the story of the first: proxysim --story {}\n",
                failure.seed
            );
        }
        text
    }
}
