//! Distributions and loads on a pair of axes.

use super::axes::{Axes, Scale, colour, legend};
use super::svg::{Anchor, INK, Svg};
use super::{Curve, Curves, Dots};
use crate::report::ratio;

/// Points of a curve: more are not seen.
const POINTS: usize = 300;

/// Numbers told apart by bars; larger ones join the last.
const BARS: usize = 24;

fn labels(curves: &[Curve]) -> Vec<String> {
    let label = |curve: &Curve| {
        let middle = curve.values.get(curve.values.len() / 2).copied();
        let count = curve.values.len();
        format!(
            "{}: {count}, median {:.0}",
            curve.name,
            middle.unwrap_or(0.0)
        )
    };
    curves.iter().map(label).collect()
}

/// For every value, the share of all that do not exceed it.
pub(super) fn shares_below(svg: &mut Svg, Curves { x, curves }: &Curves) {
    let all = curves.iter().flat_map(|curve| curve.values.iter().copied());
    // Whatever took less than a millisecond took no time that anybody would notice.
    let across = Scale::log_around(all.map(|value| value.max(1.0)));
    let scales = (across, Scale::Linear(0.0, 100.0));
    let axes = Axes::draw(svg, scales, (x, "percent of all, at most so long"));
    for (at, Curve { values, .. }) in curves.iter().enumerate() {
        let stride = values.len().div_ceil(POINTS).max(1);
        let last = values.len().saturating_sub(1);
        let kept = (0..values.len()).filter(|n| n % stride == 0 || *n == last);
        let point = |n: usize| {
            let value = values.get(n).copied().unwrap_or(0.0);
            axes.at((value.max(1.0), ratio(n + 1) * 100.0 / ratio(values.len())))
        };
        let points: Vec<_> = kept.map(point).collect();
        svg.path(&points, (colour(at), 2.2));
    }
    legend(svg, &labels(curves));
}

/// For every small whole number, the share of all that are it.
pub(super) fn shares_of(svg: &mut Svg, Curves { x, curves }: &Curves) {
    let most = curves.iter().flat_map(|curve| curve.values.iter().copied());
    let most = most.fold(1.0_f64, f64::max).min(ratio(BARS));
    let shares = |values: &[f64]| {
        let mut counts = [0_usize; BARS + 1];
        for value in values {
            let bar = (0..BARS).take_while(|bar| ratio(*bar) + 0.5 < *value);
            counts[bar.count()] += 1;
        }
        counts.map(|count| ratio(count) * 100.0 / ratio(values.len().max(1)))
    };
    let all: Vec<_> = curves.iter().map(|curve| shares(&curve.values)).collect();
    let highest = all.iter().flatten().copied().fold(10.0_f64, f64::max);
    let scales = (
        Scale::Linear(-0.6, most + 0.6),
        Scale::Linear(0.0, (highest * 1.15).min(100.0)),
    );
    let axes = Axes::draw(svg, scales, (x, "percent of operations"));
    let width = 0.8 / ratio(curves.len().max(1));
    for (at, shares) in all.iter().enumerate() {
        for (bar, share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            let left = ratio(at).mul_add(width, ratio(bar) - 0.4);
            let (corner, foot) = (axes.at((left, *share)), axes.at((left + width, 0.0)));
            let size = (foot.0 - corner.0 - 1.0, foot.1 - corner.1);
            svg.rect(corner, size, colour(at));
        }
    }
    legend(svg, &labels(curves));
}

/// A dot per rank and series; nothing at all is drawn at the foot.
pub(super) fn dots(svg: &mut Svg, dots: &Dots) {
    let Dots {
        x,
        y,
        series,
        bound,
    } = dots;
    let ranks = series.iter().map(|curve| curve.values.len()).max();
    let across = Scale::log_around([1.0, ratio(ranks.unwrap_or(1))].into_iter());
    let all = series.iter().flat_map(|curve| curve.values.iter().copied());
    let upward = Scale::log_around(all.chain([bound.0, 1.0]).map(|value| value.max(0.5)));
    let axes = Axes::draw(svg, (across, upward), (x, y));
    for (at, Curve { values, .. }) in series.iter().enumerate() {
        for (rank, value) in values.iter().enumerate() {
            svg.dot(axes.at((ratio(rank + 1), *value)), 2.6, colour(at));
        }
    }
    let (from, to) = (axes.at((1.0, bound.0)), axes.at((1e9, bound.0)));
    svg.line(from, to, (INK, 1.4), true);
    let label = format!("{}: {:.0}", bound.1, bound.0);
    svg.text((to.0 - 6.0, to.1 - 6.0), (12, INK), Anchor::End, &label);
    let names: Vec<_> = series.iter().map(|curve| curve.name.clone()).collect();
    legend(svg, &names);
}
