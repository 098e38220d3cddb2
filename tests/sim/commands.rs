//! What the command line asks for, carried out: one run, several seeds of it, or the report.

use std::path::Path;

use harness::binaries::workspace;
use serde::Serialize;

use crate::cli::Options;
use crate::figures;
use crate::many;
use crate::pictures::Picture;
use crate::progress::Board;
use crate::report::Report;
use crate::scenarios;

/// What the report is called among the scenarios.
const REPORT: &str = "report";

/// Where the report is kept.
const PAGE: &str = "docs/INDEX-FIGURES.md";

/// What is to be said, and whether all was well.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// For standard output.
    pub(crate) text: String,
    /// Whether no property was violated and, if that was asked, no target missed.
    pub(crate) well: bool,
}

/// Does it.
///
/// # Errors
///
/// What is wrong with `options`, or which file could not be written, in words.
pub(crate) fn run(options: &Options) -> Result<Outcome, String> {
    if options.list {
        let text = scenarios::list();
        return Ok(Outcome { text, well: true });
    }
    if options.scenario.as_deref() == Some(REPORT) {
        return report(options);
    }
    let plans = many::seeds(options);
    let board = Board::new(plans.len());
    let reports = many::run(&plans, options.threads, &board)?;
    board.close();
    let report = many::together(reports, options);
    let missed = report
        .figures
        .iter()
        .any(|figure| figure.met == Some(false));
    if let Some(dir) = &options.out {
        write(dir, "results.txt", &report.table())?;
        write(dir, "results.json", &json(&report))?;
        draw(dir, "", &report.pictures)?;
    }
    let text = if options.json {
        json(&report)
    } else {
        report.table()
    };
    let well = report.violated == 0 && !(options.strict && missed);
    Ok(Outcome { text, well })
}

fn report(options: &Options) -> Result<Outcome, String> {
    let measured = figures::measure(options)?;
    if options.write {
        write(workspace(), PAGE, &measured.markdown())?;
    }
    if let Some(dir) = &options.out {
        write(dir, "INDEX-FIGURES.md", &measured.markdown())?;
        write(dir, "results.txt", &measured.table())?;
        write(dir, "results.json", &json(&measured))?;
        for (name, Report { pictures, .. }) in &measured.runs {
            draw(dir, &format!("{name}-"), pictures)?;
        }
    }
    let text = if options.json {
        json(&measured)
    } else {
        measured.table()
    };
    let well = measured.violated() == 0 && !(options.strict && measured.missed());
    Ok(Outcome { text, well })
}

fn json(of: &impl Serialize) -> String {
    // Strings, numbers and maps with text keys always serialize.
    serde_json::to_string_pretty(of).unwrap_or_default() + "\n"
}

fn draw(dir: &Path, prefix: &str, pictures: &[Picture]) -> Result<(), String> {
    for picture in pictures {
        write(
            dir,
            &format!("{prefix}{}.svg", picture.file),
            &picture.svg(),
        )?;
    }
    Ok(())
}

fn write(dir: &Path, name: &str, text: &str) -> Result<(), String> {
    let file = dir.join(name);
    let done = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&file, text));
    done.map_err(|error| format!("{}: {error}", file.display()))
}
