//! The page about nearness in the documents.

use std::fmt::Write as _;
use std::path::Path;

use crate::commands;
use crate::report::Report;

/// Writes the page, and its picture into `img` beside it.
///
/// # Errors
/// Which file could not be written.
pub(crate) fn write(report: &Report, page: &Path) -> Result<(), String> {
    let dir = page.parent().unwrap_or(Path::new(""));
    let name = page.file_name().unwrap_or_default().to_string_lossy();
    commands::write(dir, &name, &text(report))?;
    for picture in &report.pictures {
        let name = format!("{}.svg", picture.file);
        commands::write(&dir.join("img"), &name, &picture.svg())?;
    }
    Ok(())
}

fn text(report: &Report) -> String {
    let mut text = format!(
        "# Nearness\n\nHow close to the best proxy the name server brings clients, simulated. Made by\n\n\
         ```sh\n{} --write docs/NEARNESS.md\n```\n\n\
         Clients, proxies and ten name servers sit at the sites of a measured matrix; where a client's site \
         has a proxy, the best is that one, at no distance. For the time given, clients come (half of the \
         networks about every ten seconds, half every two minutes) and go to any one of the addresses in \
         their answer. Proxies measure those that they happen to be sent and tell the index; name servers \
         look networks up in the background. Half of the resolvers prefer the nearest name server, half ask \
         any. Then every client asks again, and the mean over all addresses of its answers is its figure. \
         The engines of proxies and name servers are the real ones, in virtual time; the index between them \
         is modelled as its search near a client is documented (design/index-api.md).\n\n\
         | which addresses | extra over the best, median | 90th | round trip, median | 90th |\n\
         |---|---|---|---|---|\n",
        report.command
    );
    for four in report.figures.chunks(4) {
        let name = four.first().map_or("", |figure| {
            figure.name.split(':').next().unwrap_or_default()
        });
        let _ = write!(text, "| {name} ");
        for figure in four {
            let _ = write!(text, "| {:.1} ms ", figure.value);
        }
        text.push_str("|\n");
    }
    let met = report.figures.iter().find_map(|figure| {
        let target = figure.target.as_ref()?;
        Some((target.clone(), figure.met.unwrap_or(false)))
    });
    if let Some((target, met)) = met {
        let verdict = if met { "met" } else { "not met" };
        let _ = writeln!(
            text,
            "\nTarget for the median extra with hints: {target}, {verdict}."
        );
    }
    text.push_str("\n![Round trips](img/nearness.svg)\n\n");
    for (name, value) in &report.counts {
        let _ = writeln!(text, "- {name}: {value}");
    }
    text
}
