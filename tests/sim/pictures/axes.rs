//! A frame with two axes: where a value goes, with lines and numbers to read it by.

use super::svg::{Anchor, COLOURS, GREY, GRID, INK, SIZE, Svg};
use crate::report::ratio;

/// Left, top, right and bottom of the frame.
const FRAME: (f64, f64, f64, f64) = (80.0, 90.0, SIZE.0 - 30.0, SIZE.1 - 70.0);

/// How values spread over an axis.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scale {
    /// From one value to another.
    Linear(f64, f64),
    /// From one power of ten to another, both above 0.
    Log(f64, f64),
}

impl Scale {
    /// Powers of ten around these values; those at or below 0 are left out.
    pub(super) fn log_around(values: impl Iterator<Item = f64>) -> Self {
        let positive = values.filter(|value| *value > 0.0);
        let (least, most) = positive.fold((f64::MAX, 0.0_f64), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        if most <= 0.0 {
            return Self::Log(1.0, 10.0);
        }
        let low = 10_f64.powf(least.log10().floor());
        let high = 10_f64.powf(most.log10().ceil());
        Self::Log(low, high.max(low * 10.0))
    }

    /// Where on the axis, 0 to 1.
    fn share(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear(low, high) => (value - low) / (high - low),
            Self::Log(low, high) => {
                (value.max(low).log10() - low.log10()) / (high.log10() - low.log10())
            }
        };
        share.clamp(0.0, 1.0)
    }

    /// Values with a number, and values with a line only.
    fn ticks(self) -> (Vec<f64>, Vec<f64>) {
        match self {
            Self::Linear(low, high) => {
                let step = round_step((high - low) / 8.0);
                let first = (low / step).ceil();
                let ticks = (0_u32..40).map(|n| (first + f64::from(n)) * step);
                (
                    ticks.take_while(|tick| *tick <= high * 1.000_001).collect(),
                    Vec::new(),
                )
            }
            Self::Log(low, high) => {
                let (mut named, mut minor) = (Vec::new(), Vec::new());
                let mut decade = low;
                while decade <= high * 1.000_001 {
                    named.push(decade);
                    let within = (2_u32..10).map(|n| f64::from(n) * decade);
                    minor.extend(within.filter(|tick| *tick < high));
                    decade *= 10.0;
                }
                (named, minor)
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let decade = 10_f64.powf(step.max(1e-9).log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0];
    let fits = times.into_iter().find(|n| n * decade >= step);
    fits.unwrap_or(10.0) * decade
}

/// Two axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axes {
    x: Scale,
    y: Scale,
}

impl Axes {
    /// Draws them.
    pub(super) fn draw(
        svg: &mut Svg,
        (x, y): (Scale, Scale),
        (x_name, y_name): (&str, &str),
    ) -> Self {
        let axes = Self { x, y };
        let (left, top, right, bottom) = FRAME;
        let (named, minor) = x.ticks();
        for tick in minor {
            let at = axes.x(tick);
            svg.line((at, top), (at, bottom), (GRID, 0.5), false);
        }
        for tick in named {
            let at = axes.x(tick);
            svg.line((at, top), (at, bottom), (GRID, 1.2), false);
            svg.text(
                (at, bottom + 18.0),
                (12, INK),
                Anchor::Middle,
                &number(tick),
            );
        }
        for tick in y.ticks().0 {
            let at = axes.y(tick);
            svg.line((left, at), (right, at), (GRID, 1.2), false);
            svg.text(
                (left - 8.0, at + 4.0),
                (12, INK),
                Anchor::End,
                &number(tick),
            );
        }
        svg.line((left, bottom), (right, bottom), (INK, 1.2), false);
        svg.line((left, top), (left, bottom), (INK, 1.2), false);
        svg.text(
            ((left + right) / 2.0, bottom + 44.0),
            (14, INK),
            Anchor::Middle,
            x_name,
        );
        svg.upward((24.0, (top + bottom) / 2.0), (14, INK), y_name);
        axes
    }

    /// Where a value is across.
    pub(super) fn x(&self, value: f64) -> f64 {
        let (left, _, right, _) = FRAME;
        left + self.x.share(value) * (right - left)
    }

    /// Where a value is upward.
    pub(super) fn y(&self, value: f64) -> f64 {
        let (_, top, _, bottom) = FRAME;
        bottom - self.y.share(value) * (bottom - top)
    }

    /// The place of both.
    pub(super) fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.x(x), self.y(y))
    }
}

/// What the colours mean, in a row above the frame.
pub(super) fn legend(svg: &mut Svg, names: &[String]) {
    /// About the width of a letter of the small print, and of all around a name.
    const LETTER: f64 = 6.4;
    const AROUND: f64 = 44.0;
    let width = |name: &String| ratio(name.chars().count()).mul_add(LETTER, AROUND);
    let all: f64 = names.iter().map(width).sum();
    let (mut x, y) = ((SIZE.0 - all + AROUND / 2.0) / 2.0, 74.0);
    for (at, name) in names.iter().enumerate() {
        svg.rect((x, y - 9.0), (14.0, 10.0), colour(at));
        svg.text((x + 20.0, y), (12, INK), Anchor::Start, name);
        x += width(name);
    }
    if names.is_empty() {
        let middle = (SIZE.0 / 2.0, SIZE.1 / 2.0);
        svg.text(middle, (14, GREY), Anchor::Middle, "nothing was measured");
    }
}

/// The colour of a series.
pub(super) fn colour(at: usize) -> &'static str {
    COLOURS.get(at % COLOURS.len()).copied().unwrap_or(INK)
}

/// A number as short as it can be said.
fn number(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    let text = format!("{rounded}");
    let Some(thousands) = text.strip_suffix("000").filter(|_| value >= 1_000.0) else {
        return text;
    };
    format!("{thousands},000")
}
