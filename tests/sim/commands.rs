//! What the command line asks for, carried out: one run, several seeds of it, or the report.

use std::path::Path;

use harness::binaries::workspace;
use serde::Serialize;

use crate::cli::Options;
use crate::figures::{self, Measured};
use crate::many;
use crate::nearness;
use crate::pictures::Picture;
use crate::progress::Board;
use crate::report::Report;
use crate::scenarios;

/// What the report is called among the scenarios.
const REPORT: &str = "report";

/// Pictures that go with the page: of which run, and which of its.
const PICTURES: [(&str, &str); 4] = [
    ("levels", "clusters"),
    ("levels", "latency"),
    ("static-large", "hops"),
    ("hot-key-494", "load"),
];

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
    let report = if options.scenario.as_deref() == Some(nearness::NAME) {
        let report = nearness::run(options)?;
        if let Some(page) = &options.write {
            nearness::page::write(&report, &workspace().join(page))?;
        }
        report
    } else {
        let plans = many::seeds(options);
        let board = Board::new(plans.len());
        let reports = many::run(&plans, options.threads, &board)?;
        board.close();
        many::together(reports, options)
    };
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
    if let Some(page) = &options.write {
        keep(&measured, &workspace().join(page))?;
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

/// Writes the page, and those pictures that the document of the simulator shows.
fn keep(measured: &Measured, page: &Path) -> Result<(), String> {
    let dir = page.parent().unwrap_or(Path::new(""));
    let name = page.file_name().unwrap_or_default().to_string_lossy();
    write(dir, &name, &measured.markdown())?;
    for (run, file) in PICTURES {
        let drawn = measured.runs.get(run).into_iter();
        let mut drawn = drawn.flat_map(|report| &report.pictures);
        if let Some(picture) = drawn.find(|picture| picture.file == file) {
            let name = format!("index-{file}.svg");
            write(&dir.join("img"), &name, &picture.svg())?;
        }
    }
    Ok(())
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

pub(crate) fn write(dir: &Path, name: &str, text: &str) -> Result<(), String> {
    let file = dir.join(name);
    let done = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&file, text));
    done.map_err(|error| format!("{}: {error}", file.display()))
}
