//! The waterfall: one line for each span, in text or as SVG.

use std::time::Duration;

use super::Placed;
use crate::render;
use crate::svg::escaped;

/// Columns of the bars in text.
const BARS: i64 = 32;

/// Sizes of the picture, in pixels.
const ROW: usize = 22;
const LEFT: usize = 420;
const WIDTH: usize = 600;

/// From the beginning of the first to the end of the last, in microseconds; at least one.
fn whole(spans: &[Placed]) -> i64 {
    let end = |one: &Placed| one.at_us + i64::try_from(one.span.took_us).unwrap_or(0);
    spans.iter().map(end).max().unwrap_or(1).max(1)
}

fn took(one: &Placed) -> String {
    render::duration(Duration::from_micros(one.span.took_us))
}

/// For a terminal.
#[must_use]
pub fn text(spans: &[Placed]) -> String {
    let whole = whole(spans);
    let labels: Vec<_> = spans
        .iter()
        .map(|one| {
            let indent = "  ".repeat(one.depth);
            let mark = if one.span.failed { "!" } else { "" };
            format!(
                "{indent}{}{mark} {}",
                one.span.what,
                shortened(&one.span.target)
            )
        })
        .collect();
    let widest = labels.iter().map(|label| label.chars().count()).max();
    let nodes = spans.iter().map(|one| one.node.chars().count()).max();
    let (widest, nodes) = (widest.unwrap_or(0), nodes.unwrap_or(0));
    let mut lines = Vec::new();
    for (one, label) in spans.iter().zip(labels) {
        let padding = " ".repeat(widest - label.chars().count());
        let node = format!(
            "{}{}",
            one.node,
            " ".repeat(nodes - one.node.chars().count())
        );
        let line = format!(
            "{node}  {label}{padding}  |{}| {:>8}  {}",
            bar(one, whole),
            took(one),
            one.span.outcome
        );
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

fn bar(one: &Placed, whole: i64) -> String {
    let column = |us: i64| (us.clamp(0, whole) * BARS / whole).clamp(0, BARS);
    let end = one.at_us + i64::try_from(one.span.took_us).unwrap_or(0);
    let (from, to) = (column(one.at_us).min(BARS - 1), column(end));
    let shape = |at: i64| match at {
        at if at < from => ' ',
        at if at == from && to <= from => '.',
        at if at < to => '=',
        _ => ' ',
    };
    (0..BARS).map(shape).collect()
}

/// The end of a long target says more than its beginning.
fn shortened(target: &str) -> String {
    const MOST: usize = 44;
    let count = target.chars().count();
    if count <= MOST {
        return target.to_owned();
    }
    let end: String = target.chars().skip(count - MOST + 1).collect();
    format!("…{end}")
}

/// As a picture.
#[must_use]
pub fn svg(spans: &[Placed], title: &str) -> String {
    let whole = whole(spans);
    let height = ROW * (spans.len() + 2);
    let total = LEFT + WIDTH + 160;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{total}\" height=\"{height}\" \
         font-family=\"monospace\" font-size=\"12\">\n<text x=\"8\" y=\"16\">{}</text>\n",
        escaped(title)
    );
    for (row, one) in spans.iter().enumerate() {
        let y = ROW * (row + 1);
        let scale = |us: i64| us.clamp(0, whole) * i64::try_from(WIDTH).unwrap_or(0) / whole;
        let x = i64::try_from(LEFT).unwrap_or(0) + scale(one.at_us);
        let width = scale(i64::try_from(one.span.took_us).unwrap_or(0)).max(2);
        let colour = match (one.span.failed, &*one.span.what) {
            (true, _) => "#c0392b",
            (_, "origin" | "first_byte") => "#d68910",
            (_, "peer" | "serve") => "#2e86c1",
            (_, "index" | "hop" | "answer") => "#7d8f69",
            _ => "#555555",
        };
        let label = format!(
            "{}{} {} {}",
            "  ".repeat(one.depth),
            one.node,
            one.span.what,
            shortened(&one.span.target)
        );
        out.push_str(&format!(
            "<text x=\"8\" y=\"{}\" xml:space=\"preserve\">{}</text>\n\
             <rect x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"14\" fill=\"{colour}\"/>\n\
             <text x=\"{}\" y=\"{}\">{} {}</text>\n",
            y + 15,
            escaped(&label.chars().take(58).collect::<String>()),
            y + 4,
            LEFT + WIDTH + 8,
            y + 15,
            took(one),
            escaped(&one.span.outcome),
        ));
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::super::join;
    use super::super::tests::miss;
    use super::*;

    #[test]
    fn the_waterfall_has_a_line_for_each_span_and_bars_in_their_place() {
        let text = text(&join(&miss()));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 6);
        assert!(lines[0].starts_with("proxy node1  request"), "{text}");
        assert!(
            lines[0].contains(&format!("|{}|", "=".repeat(32))),
            "{text}"
        );
        assert!(
            lines[4].contains("  origin 192.0.2.1:81") && lines[4].contains("|    ="),
            "{text}"
        );
        assert!(lines[3].contains(" . "), "{text}");
    }

    #[test]
    fn the_picture_is_well_formed() {
        let svg = svg(&join(&miss()), "a & <b>");
        assert_eq!(svg.matches("<rect").count(), 6);
        assert!(svg.contains("a &amp; &lt;b&gt;") && svg.ends_with("</svg>\n"));
    }
}
