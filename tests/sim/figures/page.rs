//! The table of figures, for a terminal and for `docs/INDEX-FIGURES.md`.

use std::fmt::Write as _;

use super::{Compared, Line, Measured};

/// Text of the page above the table.
const HEAD: &str = "# Figures of the index

What the index does in the simulator (`docs/design/simulator.md`), beside what it is meant to do and
what is known of CoralCDN and others. Written by `sim report --write`; nothing here is edited by
hand. A target not met is said so; \"for fewer\" means that the run had fewer nodes than the target
speaks of. Times of the simulated network are virtual; only the rows about the simulator, the engine
alone and real loopback depend on the machine.

";

impl Line {
    /// Whether the target was met, in words.
    fn verdict(&self) -> String {
        let word = match (self.measured.is_some(), self.met) {
            (false, _) => return "not measured".to_owned(),
            (true, Some(true)) => "met",
            (true, Some(false)) => "NOT MET",
            (true, None) => return "-".to_owned(),
        };
        match self.short_of {
            Some(nodes) => format!("{word}, for fewer than {nodes}"),
            None => word.to_owned(),
        }
    }

    fn nodes(&self) -> String {
        if self.nodes == 0 {
            return "-".to_owned();
        }
        self.nodes.to_string()
    }
}

impl Measured {
    /// Targets met, and targets with a verdict.
    fn score(&self) -> (usize, usize) {
        let judged = self.lines.iter().filter(|line| line.met.is_some());
        let met = self.lines.iter().filter(|line| line.met == Some(true));
        (met.count(), judged.count())
    }

    /// Properties that did not hold, in all runs.
    pub(crate) fn violated(&self) -> usize {
        self.runs.values().map(|run| run.violated).sum()
    }

    /// Whether a target was missed.
    pub(crate) fn missed(&self) -> bool {
        self.lines.iter().any(|line| line.met == Some(false))
    }

    /// For a terminal.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        let width = |of: fn(&Line) -> usize| self.lines.iter().map(of).max().unwrap_or(0);
        let what = width(|line| line.what.len());
        let mut about = "";
        for line in &self.lines {
            if line.about != about {
                about = line.about;
                let _ = writeln!(text, "\n{about}  ({})", line.elsewhere);
            }
            let measured = line.measured.as_deref().unwrap_or("-");
            let (took, nodes, verdict) = (self.took(line), line.nodes(), line.verdict());
            let _ = writeln!(
                text,
                "  {:what$}  n={nodes:<6} {:>16} {measured:>16}  {verdict:<8}  {took}",
                line.what, line.target
            );
        }
        text.push_str("\nthe same work: sloppy, full membership\n");
        for Compared {
            about,
            what,
            nodes,
            measured,
        } in &self.compared
        {
            let [sloppy, full] = measured.each_ref().map(|it| it.as_deref().unwrap_or("-"));
            let _ = writeln!(text, "  {about}: {what}  n={nodes}  {sloppy}  {full}");
        }
        let (met, judged) = self.score();
        let (seconds, violated) = (self.seconds, self.violated());
        let _ = writeln!(
            text,
            "\n{met} of {judged} targets met, {violated} properties violated, {seconds:.0} s\nagain: {}",
            self.command
        );
        text
    }

    fn took(&self, line: &Line) -> String {
        let run = self.runs.get(line.run);
        run.map_or(String::new(), |run| {
            format!("{} {:.1} s", line.run, run.cost.seconds)
        })
    }

    /// For the documents.
    pub(crate) fn markdown(&self) -> String {
        let mut text = HEAD.to_owned();
        let (met, judged) = self.score();
        let (seconds, violated) = (self.seconds, self.violated());
        let _ = write!(
            text,
            "{met} of {judged} targets met; {violated} properties violated; {seconds:.0} s in all.\n\n\
             ```\n{}\n```\n\n\
             | figure | measured as | n | target | measured | verdict | CoralCDN, or others | run |\n\
             |---|---|---|---|---|---|---|---|\n",
            self.command
        );
        let mut about = "";
        for line in &self.lines {
            let first = line.about != about;
            about = line.about;
            let (group, elsewhere) = if first {
                (line.about, line.elsewhere)
            } else {
                ("", "")
            };
            let measured = line.measured.as_deref().unwrap_or("-");
            let verdict = match line.met {
                Some(false) => format!("**{}**", line.verdict()),
                _ => line.verdict(),
            };
            let _ = writeln!(
                text,
                "| {group} | {} | {} | {} | {measured} | {verdict} | {elsewhere} | {} |",
                line.what,
                line.nodes(),
                line.target,
                line.run
            );
        }
        self.comparison(&mut text);
        self.list_runs(&mut text);
        text
    }

    /// Both kinds of index beside each other.
    fn comparison(&self, text: &mut String) {
        text.push_str(
            "\n## Everybody knows everybody\n\nThe same work with full membership \
             (`docs/design/full-membership.md`).\n\n\
             | work | measured | n | sloppy | full |\n|---|---|---|---|---|\n",
        );
        for Compared {
            about,
            what,
            nodes,
            measured,
        } in &self.compared
        {
            let [sloppy, full] = measured.each_ref().map(|it| it.as_deref().unwrap_or("-"));
            let _ = writeln!(text, "| {about} | {what} | {nodes} | {sloppy} | {full} |");
        }
    }

    /// What was run, and what was violated.
    fn list_runs(&self, text: &mut String) {
        text.push_str(
            "\n## Runs\n\nEach with its seed; the fingerprint is a digest of everything that \
             happened, so that a repetition can be compared.\n\n\
             | run | command | virtual s | s | violations | fingerprint |\n|---|---|---|---|---|---|\n",
        );
        for (name, run) in &self.runs {
            let command = run.command.split_once("--bin ").map_or("-", |(_, it)| it);
            let print = run.fingerprint.get(..16).unwrap_or("-");
            let _ = writeln!(
                text,
                "| {name} | `{command}` | {:.0} | {:.1} | {} | {print} |",
                run.cost.virtual_seconds, run.cost.seconds, run.violated
            );
        }
        for (name, run) in self.runs.iter().filter(|(_, run)| run.violated > 0) {
            let _ = writeln!(text, "\n### Violated in {name}\n");
            for violation in run.violations.iter().take(5) {
                let _ = writeln!(text, "- {violation}");
            }
        }
    }
}
