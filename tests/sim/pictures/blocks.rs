//! The matrix of round trips with nodes in order of their clusters. A pair in one cluster has the
//! cluster's colour, any other is grey; the darker, the nearer.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Blocks;
use super::axes::colour;
use super::svg::{Anchor, GREY, INK, SIZE, Svg};
use crate::report::ratio;

/// Left and top of the square, and its side.
const LEFT: f64 = 60.0;
const TOP: f64 = 70.0;
const SIDE: f64 = 450.0;

/// Opacity of the bands, nearest first.
const SHADES: [f64; 3] = [1.0, 0.55, 0.18];

/// Clusters that have a colour of their own; the rest share one.
const COLOURED: usize = 5;

/// Where the words beside it begin.
const WORDS: f64 = LEFT + SIDE + 40.0;

/// Draws it.
pub(super) fn draw(svg: &mut Svg, blocks: &Blocks) {
    let count = blocks.cells.len().max(1);
    let step = SIDE / ratio(count);
    for ((fill, band), data) in runs(blocks, step) {
        let shade = mixed(fill, SHADES.get(band).copied().unwrap_or(0.0));
        svg.strokes(&data, (&shade, step));
    }
    outlines(svg, &blocks.inner, step, 0.8);
    outlines(svg, &blocks.outer, step, 1.6);
    svg.upward((LEFT - 20.0, TOP + SIDE / 2.0), (14, INK), "node");
    let below = (LEFT + SIDE / 2.0, TOP + SIDE + 24.0);
    svg.text(below, (14, INK), Anchor::Middle, "node");
    words(svg, blocks);
}

/// Of each colour and band, the strokes that paint its cells: neighbours in a row are one stroke.
fn runs(blocks: &Blocks, step: f64) -> BTreeMap<(Option<usize>, usize), String> {
    let mut strokes = BTreeMap::<_, String>::new();
    for (row, cells) in blocks.cells.iter().enumerate() {
        let kind = |column: usize| {
            let far = cells.get(column).copied().unwrap_or(f64::MAX);
            let band = blocks.bands.iter().take_while(|end| far >= **end).count();
            let cluster = blocks.outer.get(row).copied();
            let shared = cluster.filter(|it| blocks.outer.get(column) == Some(it));
            (shared.map(|cluster| cluster.min(COLOURED)), band)
        };
        let y = (ratio(row) + 0.5).mul_add(step, TOP);
        let mut begin = 0;
        for column in 1..=cells.len() {
            if column < cells.len() && kind(column) == kind(begin) {
                continue;
            }
            let x = ratio(begin).mul_add(step, LEFT);
            let width = ratio(column - begin) * step;
            let _ = write!(
                strokes.entry(kind(begin)).or_default(),
                "M{x:.1} {y:.1}h{width:.1}"
            );
            begin = column;
        }
    }
    strokes
}

/// A square around each cluster of more than one.
fn outlines(svg: &mut Svg, clusters: &[usize], step: f64, width: f64) {
    let mut begin = 0;
    for end in 1..=clusters.len() {
        if clusters.get(end) == clusters.get(begin) {
            continue;
        }
        if end - begin > 1 {
            let (x, y) = (
                ratio(begin).mul_add(step, LEFT),
                ratio(begin).mul_add(step, TOP),
            );
            let side = ratio(end - begin) * step;
            let data = format!("M{x:.1} {y:.1}h{side:.1}v{side:.1}h-{side:.1}z");
            svg.strokes(&data, (INK, width));
        }
        begin = end;
    }
}

fn words(svg: &mut Svg, blocks: &Blocks) {
    let mut y = TOP + 14.0;
    let mut say = |svg: &mut Svg, fill: Option<&str>, text: &str| {
        if let Some(fill) = fill {
            svg.rect((WORDS, y - 10.0), (16.0, 12.0), fill);
        }
        let x = if fill.is_some() { WORDS + 24.0 } else { WORDS };
        svg.text((x, y), (12, INK), Anchor::Start, text);
        y += 20.0;
    };
    say(svg, None, "Round trip:");
    let mut low = 0.0;
    let ends = blocks.bands.iter().map(|end| Some(end * 1e3)).chain([None]);
    for (band, end) in ends.enumerate() {
        let shade = mixed(None, SHADES.get(band).copied().unwrap_or(0.0));
        let text = end.map_or(format!("{low:.0} ms and more"), |end| {
            format!("{low:.0} to {end:.0} ms")
        });
        say(svg, Some(&shade), &text);
        low = end.unwrap_or(low);
    }
    say(svg, None, "");
    say(svg, None, "Clusters at level 1, of the nodes shown:");
    let mut sizes = BTreeMap::<usize, usize>::new();
    for cluster in &blocks.outer {
        *sizes.entry(*cluster).or_default() += 1;
    }
    for (cluster, size) in sizes.iter().filter(|(cluster, _)| **cluster < COLOURED) {
        let text = format!("number {}: {size} nodes", cluster + 1);
        say(svg, Some(&mixed(Some(*cluster), 1.0)), &text);
    }
    let rest: usize = sizes.range(COLOURED..).map(|(_, size)| *size).sum();
    if rest > 0 {
        let text = format!(
            "{} smaller ones: {rest} nodes",
            sizes.range(COLOURED..).count()
        );
        say(svg, Some(&mixed(Some(COLOURED), 1.0)), &text);
    }
    say(svg, None, "");
    say(svg, None, "Thick squares: level 1; thin: level 2");
    let place = (WORDS, SIZE.1 - 40.0);
    svg.text(place, (12, GREY), Anchor::Start, "grey: not in one cluster");
}

/// A cluster's colour, or grey, thinned with white.
fn mixed(cluster: Option<usize>, strength: f64) -> String {
    let full = match cluster {
        Some(cluster) => colour(cluster),
        None => "#777777",
    };
    let part = |at: usize| {
        let hex = full.get(at..at + 2).unwrap_or("00");
        let part = f64::from(u8::from_str_radix(hex, 16).unwrap_or(0));
        part.mul_add(strength, 255.0 * (1.0 - strength))
    };
    format!("rgb({:.0},{:.0},{:.0})", part(1), part(3), part(5))
}
