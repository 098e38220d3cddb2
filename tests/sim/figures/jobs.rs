//! Which runs a report makes: each by its words on the command line, so that anybody can repeat it.

/// A run, in full and for the impatient.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    /// Its name in the table.
    pub(super) name: &'static str,
    /// The scenario and its options.
    pub(super) full: &'static str,
    /// The same, small.
    pub(super) quick: &'static str,
    /// Nodes of its target where `--full` is asked for, if that is more; else 0.
    pub(super) whole: usize,
    /// Seeds, in full and small.
    pub(super) seeds: (u64, u64),
}

const fn job(name: &'static str, full: &'static str, quick: &'static str) -> Job {
    Job {
        name,
        full,
        quick,
        whole: 0,
        seeds: (1, 1),
    }
}

/// Every run, the longest first so that threads end together. Sizes are such that all of it takes
/// under ten minutes on two cores.
pub(super) const JOBS: [Job; 27] = [
    job(
        "static-10000",
        "static --nodes 10000 --settle 60 --seconds 8 --ops 1000 --self-test 0",
        "static --nodes 250 --settle 20 --seconds 8 --ops 200 --self-test 0",
    ),
    Job {
        whole: 10_000,
        ..job(
            "levels",
            "levels --nodes 1000 --settle 1780 --seconds 300 --ops 1000",
            "levels --nodes 100 --settle 300 --seconds 60 --ops 200",
        )
    },
    Job {
        whole: 10_000,
        ..job(
            "static-large",
            "static --nodes 5000 --settle 20 --seconds 8 --ops 1000 --self-test 0",
            "static --nodes 200 --settle 20 --seconds 8 --ops 200 --self-test 0",
        )
    },
    Job {
        whole: 10_000,
        ..job(
            "rest-large",
            "levels --nodes 3000 --settle 120 --seconds 30 --ops 500",
            "levels --nodes 200 --settle 100 --seconds 30 --ops 50",
        )
    },
    job(
        "hot-key-494",
        "hot-key --nodes 494 --rate 24000 --seconds 3",
        "hot-key --nodes 100 --rate 60 --seconds 30",
    ),
    job(
        "saturation",
        "saturation --nodes 100 --settle 30 --seconds 3",
        "saturation --nodes 40 --settle 20 --seconds 3",
    ),
    job(
        "partition",
        "partition --nodes 150 --seconds 1800 --ops 3000",
        "partition --nodes 60 --seconds 300 --ops 60",
    ),
    job(
        "churn-fast",
        "churn --nodes 1000 --session 84 --seconds 120 --ops 500",
        "churn --nodes 100 --session 84 --seconds 60 --ops 100",
    ),
    job(
        "locality-levels",
        "locality --levels 3 --nodes 490 --settle 600 --seconds 120 --ops 6000",
        "locality --levels 3 --nodes 120 --settle 200 --seconds 60 --ops 1000",
    ),
    job(
        "locality-world",
        "locality --levels 1 --nodes 490 --settle 60 --seconds 120 --ops 6000",
        "locality --levels 1 --nodes 120 --settle 60 --seconds 60 --ops 1000",
    ),
    job(
        "churn",
        "churn --nodes 300 --session 1800 --seconds 400 --ops 600",
        "churn --nodes 60 --session 1800 --seconds 120 --ops 100",
    ),
    Job {
        seeds: (100, 2),
        ..job(
            "claims",
            "claims --nodes 166 --settle 10 --rounds 1",
            "claims --nodes 60 --settle 20 --rounds 1",
        )
    },
    job(
        "hot-key-1000",
        "hot-key --nodes 1000 --rate 600 --seconds 10",
        "hot-key --nodes 150 --rate 60 --seconds 30",
    ),
    Job {
        whole: 10_000,
        ..job(
            "hot-key-large",
            "hot-key --nodes 2000 --rate 60 --seconds 30 --settle 20 --self-test 0",
            "hot-key --nodes 200 --rate 60 --seconds 30",
        )
    },
    job(
        "mass-death",
        "mass-death --nodes 1000 --seconds 120",
        "mass-death --nodes 100 --seconds 120 --ops 200",
    ),
    job(
        "restart",
        "restart --nodes 1000 --settle 30",
        "restart --nodes 100 --settle 20 --ops 100",
    ),
    job(
        "static",
        "static --nodes 1000 --settle 60 --seconds 20 --ops 2000",
        "static --nodes 100 --settle 30 --seconds 20 --ops 500",
    ),
    job(
        "loss",
        "static --nodes 1000 --settle 60 --seconds 20 --ops 1000 --loss 1",
        "static --nodes 100 --settle 30 --seconds 20 --ops 300 --loss 1",
    ),
    job(
        "non-transitive",
        "static --nodes 494 --settle 60 --seconds 20 --ops 1000 --non-transitive 9",
        "static --nodes 100 --settle 30 --seconds 20 --ops 300 --non-transitive 9",
    ),
    job(
        "rest-100",
        "levels --nodes 100 --settle 120 --seconds 30 --ops 500",
        "levels --nodes 50 --settle 100 --seconds 30 --ops 50",
    ),
    job(
        "withdrawal",
        "withdrawal --nodes 200",
        "withdrawal --nodes 60 --settle 20 --seconds 20 --ops 50",
    ),
    job(
        "full-static",
        "static --index full --nodes 1000 --settle 60 --seconds 20 --ops 2000",
        "static --index full --nodes 100 --settle 30 --seconds 20 --ops 500",
    ),
    job(
        "full-churn",
        "churn --index full --nodes 300 --session 1800 --seconds 400 --ops 600",
        "churn --index full --nodes 60 --session 1800 --seconds 120 --ops 100",
    ),
    job(
        "full-churn-fast",
        "churn --index full --nodes 1000 --session 84 --seconds 120 --ops 500",
        "churn --index full --nodes 100 --session 84 --seconds 60 --ops 100",
    ),
    Job {
        seeds: (10, 2),
        ..job(
            "full-claims",
            "claims --index full --nodes 166 --settle 10 --rounds 1",
            "claims --index full --nodes 60 --settle 10 --rounds 1",
        )
    },
    job(
        "outsiders",
        "outsiders --nodes 100",
        "outsiders --nodes 30 --settle 20 --seconds 20 --ops 500",
    ),
    job(
        "faults",
        "static --nodes 300 --ops 500 --loss 2 --jitter 30 --duplicate 2 --reorder 2 --corrupt 1 --one-way 1 --non-transitive 2 --drift 3 --stopped 3 --starved 10",
        "static --nodes 60 --ops 100 --settle 20 --loss 2 --jitter 30 --duplicate 2 --reorder 2 --corrupt 1 --one-way 1 --non-transitive 2 --drift 3 --stopped 3 --starved 10",
    ),
];
