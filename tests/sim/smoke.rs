//! Small runs of every scenario, as tests, and the meta test: one seed makes one run, to the byte.
//!
//! A test that fails prints the report of its run, whose last line is the command that repeats it.

mod allocated;
mod checkers;
mod cli;
mod clock;
mod commands;
mod figures;
mod fingerprint;
mod host;
mod many;
mod matrix;
mod model;
mod nearness;
mod net;
mod pictures;
mod progress;
mod queue;
mod report;
mod scenarios;
mod world;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Options;
    use crate::report::{Cost, Report};
    use crate::{commands, scenarios};

    /// Every fault there is, none of them rare.
    const SINS: &str = "--loss 2 --jitter 30 --duplicate 2 --reorder 2 --corrupt 1 --one-way 1 \
                        --non-transitive 2 --drift 3 --stopped 3 --starved 10";

    fn options(words: &str) -> Options {
        let words = std::iter::once("sim").chain(words.split_whitespace());
        Options::try_parse_from(words).unwrap()
    }

    fn run(words: &str) -> Report {
        let options = options(words);
        let mut report = scenarios::run(&options, Box::new(|_, _| ())).unwrap();
        report.cost = Cost::default();
        assert_eq!(report.violated, 0, "{}", report.table());
        report
    }

    /// The figure of that name; `NaN`, which fails every comparison, if there is none.
    fn figure(report: &Report, name: &str) -> f64 {
        let found = report.figures.iter().find(|figure| figure.name == name);
        found.map_or(f64::NAN, |figure| figure.value)
    }

    #[test]
    fn nearness_makes_the_same_of_one_seed_and_is_better_than_chance() {
        let json = |seed| {
            let report = crate::nearness::run(&options(&format!(
                "nearness --nodes 20 --seconds 120 --matrix wonderproxy --seed {seed}"
            )));
            let report = report.unwrap();
            let median = |name: &str| figure(&report, &format!("{name}: extra, median"));
            assert!(median("hints of proxies") < median("own cluster only"));
            assert!(median("own cluster only") < median("random"));
            serde_json::to_string(&report).unwrap()
        };
        let (first, again, other) = (json(5), json(5), json(6));
        assert_eq!(first, again);
        assert_ne!(first, other);
    }

    #[test]
    fn one_seed_makes_one_run_to_the_byte() {
        let words =
            format!("churn --nodes 30 --seconds 60 --settle 20 --session 120 --ops 60 {SINS}");
        let json = |seed| {
            let report = run(&format!("{words} --seed {seed}"));
            (serde_json::to_string(&report).unwrap(), report.fingerprint)
        };
        let (first, again, other) = (json(5), json(5), json(6));
        assert_eq!(first, again);
        assert_ne!(first.1, other.1);
    }

    #[test]
    fn everything_put_is_found_while_nothing_is_wrong() {
        for matrix in ["flat", "aws", "planetlab"] {
            let words = format!("static --nodes 60 --ops 100 --settle 20 --matrix {matrix}");
            let report = run(&words);
            let found = figure(&report, "get what was put");
            assert!(found >= 99.99, "{}", report.table());
            assert!(
                figure(&report, "closest live node reached") >= 99.5,
                "{}",
                report.table()
            );
        }
    }

    #[test]
    fn every_fault_at_once_breaks_no_property() {
        for seed in 1..=3 {
            let words = format!("static --nodes 60 --ops 100 --settle 20 --seed {seed} {SINS}");
            let report = run(&words);
            assert!(
                figure(&report, "get what was put") >= 90.0,
                "{}",
                report.table()
            );
        }
    }

    #[test]
    fn simultaneous_claimants_find_each_other() {
        let report = run("claims --nodes 40 --settle 20 --rounds 3");
        let worst = figure(&report, "fetches for 12 cold keys, worst round");
        assert!(worst <= 14.0, "{}", report.table());
        assert!(
            figure(&report, "keys granted to nobody") <= 0.0,
            "{}",
            report.table()
        );
    }

    #[test]
    fn outsiders_hear_nothing_and_members_feel_nothing() {
        let report = run("outsiders --nodes 30 --settle 20 --seconds 20 --ops 500");
        assert!(
            figure(&report, "datagrams to outsiders") <= 0.0,
            "{}",
            report.table()
        );
        assert!(
            figure(&report, "get what was put") >= 99.99,
            "{}",
            report.table()
        );
    }

    #[test]
    fn a_mass_restart_is_over_in_two_minutes() {
        let report = run("restart --nodes 60 --settle 20 --ops 50");
        assert!(
            figure(&report, "healthy again") >= 100.0,
            "{}",
            report.table()
        );
    }

    #[test]
    fn the_other_scenarios_break_no_property() {
        run("mass-death --nodes 60 --settle 20 --seconds 60 --ops 60");
        run("hot-key --nodes 40 --settle 20 --seconds 20");
        run("partition --nodes 40 --settle 20 --seconds 60 --ops 30");
        run("levels --nodes 40 --settle 60 --seconds 20 --ops 30");
        run("locality --nodes 40 --settle 30 --seconds 20 --ops 200");
        run("withdrawal --nodes 40 --settle 20 --seconds 20 --ops 30");
        run("saturation --nodes 20 --settle 20 --seconds 1");
    }

    #[test]
    fn the_report_has_a_line_for_every_figure_and_draws_what_was_measured() {
        let dir = tempfile::tempdir().unwrap();
        let words = format!(
            "sim report --quick --nodes 20 --only hot-key --out {}",
            dir.path().display()
        );
        let options = Options::try_parse_from(words.split_whitespace()).unwrap();
        let outcome = commands::run(&options).unwrap();
        assert!(outcome.well, "{}", outcome.text);
        assert!(outcome.text.contains("puts per minute at the closest node"));
        let page = std::fs::read_to_string(dir.path().join("INDEX-FIGURES.md")).unwrap();
        assert!(page.contains("| hot key | puts per minute at the closest node | 20 |"));
        assert!(page.contains("not measured"));
        let picture = std::fs::read_to_string(dir.path().join("hot-key-494-load.svg")).unwrap();
        assert!(picture.contains("</svg>"));
    }

    #[test]
    fn several_seeds_are_one_report() {
        let words = "sim static --nodes 10 --settle 5 --seconds 4 --ops 10 --seeds 2";
        let options = Options::try_parse_from(words.split_whitespace()).unwrap();
        let outcome = commands::run(&options).unwrap();
        assert!(
            outcome.text.contains("get what was put, worst seed"),
            "{}",
            outcome.text
        );
    }
}
