//! What operators see of the disk store. Labels are closed words.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::writer::DiskFault;
use crate::engine::shelf::NotShelved;
use crate::engine::shelf::replay::Tally;

/// What became of a read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum ReadOutcome {
    /// It was read, and is as it was written.
    Whole,
    /// It is not as it was written: a miss, and it is gone.
    Damaged,
    /// The disk did not give it: a miss, and it is gone.
    Error,
    /// Too many reads were under way: a miss.
    Busy,
    /// It took too long: a miss, for those who waited.
    Slow,
}

impl ReadOutcome {
    const ALL: [Self; 5] = [
        Self::Whole,
        Self::Damaged,
        Self::Error,
        Self::Busy,
        Self::Slow,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Damaged => "damaged",
            Self::Error => "error",
            Self::Busy => "busy",
            Self::Slow => "slow",
        }
    }
}

type Label = [(&'static str, &'static str); 1];

/// See the module. Every handle is shared with the registry.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    writes: Family<Label, Counter>,
    reads: Family<Label, Counter>,
    failures: Family<Label, Counter>,
    recovered: Family<Label, Counter>,
    written_bytes: Counter,
    moved: Counter,
    reclaimed: Counter,
}

impl Counters {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let c = Self::default();
        registry.register(
            "atoll_proxy_disk_writes",
            "Responses offered to the disk store: written, or why not",
            c.writes.clone(),
        );
        registry.register(
            "atoll_proxy_disk_reads",
            "Responses read from the disk store: whole, or what was wrong with them",
            c.reads.clone(),
        );
        registry.register(
            "atoll_proxy_disk_failures",
            "Times the disk store was given up for a while, by what the disk said",
            c.failures.clone(),
        );
        registry.register(
            "atoll_proxy_disk_recovered",
            "Entries of the disk store found at the start: taken, damaged, missing, put aside",
            c.recovered.clone(),
        );
        registry.register(
            "atoll_proxy_disk_written_bytes",
            "Bytes written to the disk store, without large bodies",
            c.written_bytes.clone(),
        );
        registry.register(
            "atoll_proxy_disk_moved",
            "Responses written again because they were read and their segment went",
            c.moved.clone(),
        );
        registry.register(
            "atoll_proxy_disk_reclaimed",
            "Segments that had to make room",
            c.reclaimed.clone(),
        );
        // From the first scrape on: who alarms on damage wants a zero before it.
        for outcome in ReadOutcome::ALL {
            drop(c.reads.get_or_create(&[("outcome", outcome.as_str())]));
        }
        c
    }

    pub(super) fn written(&self) {
        self.writes.get_or_create(&[("outcome", "written")]).inc();
    }

    /// A response is not on disk for this reason.
    pub(crate) fn not_written(&self, reason: NotShelved) {
        let label = [("outcome", reason.as_str())];
        self.writes.get_or_create(&label).inc();
    }

    /// Reads that ended so.
    #[cfg(test)]
    pub(super) fn reads(&self, outcome: &'static str) -> u64 {
        self.reads.get_or_create(&[("outcome", outcome)]).get()
    }

    pub(super) fn read(&self, outcome: ReadOutcome) {
        let label = [("outcome", outcome.as_str())];
        self.reads.get_or_create(&label).inc();
    }

    pub(super) fn failed(&self, what: DiskFault) {
        let label = [("what", what.as_str())];
        self.failures.get_or_create(&label).inc();
    }

    pub(super) fn bytes(&self, bytes: u64) {
        self.written_bytes.inc_by(bytes);
    }

    pub(super) fn moved(&self, records: usize) {
        self.moved.inc_by(records as u64);
    }

    pub(super) fn reclaimed(&self) {
        self.reclaimed.inc();
    }

    pub(super) fn recovered(&self, tally: &Tally, aside: u64) {
        let words = [
            ("taken", tally.taken),
            ("damaged", tally.damaged),
            ("missing", tally.missing),
            ("aside", aside),
        ];
        for (word, count) in words {
            let label = [("outcome", word)];
            self.recovered.get_or_create(&label).inc_by(count);
        }
    }
}
