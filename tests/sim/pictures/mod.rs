//! Pictures of a run, as SVG: what a column of numbers does not show.
//!
//! Checkers say what is to be seen ([`Picture`]); this room alone knows how it is drawn. No library
//! is used: four kinds of picture on one kind of axis are less than a library's glue.

mod axes;
mod blocks;
mod chart;
mod svg;

use svg::Svg;

/// One picture.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    /// Its name, without directory and ending.
    pub(crate) file: &'static str,
    /// What it shows.
    pub(crate) title: String,
    /// Under what circumstances.
    pub(crate) note: String,
    /// The data.
    pub(crate) shape: Shape,
}

/// What there is to draw.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// Shares of all that lie at or below a value, on a logarithmic scale.
    Curves(Curves),
    /// Shares of all that have a small whole number.
    Bars(Curves),
    /// One dot per node and series, on logarithmic scales.
    Dots(Dots),
    /// Round trips between nodes.
    Blocks(Blocks),
}

/// Named sets of measurements.
#[derive(Clone, Debug)]
pub(crate) struct Curves {
    /// What was measured, and its unit.
    pub(crate) x: &'static str,
    /// The sets.
    pub(crate) curves: Vec<Curve>,
}

/// A named set of measurements.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    /// What it is.
    pub(crate) name: String,
    /// The measurements, in order.
    pub(crate) values: Vec<f64>,
}

/// Values by rank.
#[derive(Clone, Debug)]
pub(crate) struct Dots {
    /// What the ranks are.
    pub(crate) x: &'static str,
    /// What the values are, and their unit.
    pub(crate) y: &'static str,
    /// Values by rank, rank 1 first.
    pub(crate) series: Vec<Curve>,
    /// A value no dot of the first series is to exceed, and its name.
    pub(crate) bound: (f64, String),
}

/// A square of round trips in seconds; rows and columns are the same nodes in the same order.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    /// Round trips.
    pub(crate) cells: Vec<Vec<f64>>,
    /// Upper ends of the bands that are told apart, ascending, in seconds.
    pub(crate) bands: Vec<f64>,
    /// The outer cluster of each node, by number.
    pub(crate) outer: Vec<usize>,
    /// The inner cluster of each node, by number.
    pub(crate) inner: Vec<usize>,
}

impl Picture {
    /// The whole file.
    pub(crate) fn svg(&self) -> String {
        let mut svg = Svg::new();
        svg.title(&self.title, &self.note);
        match &self.shape {
            Shape::Curves(curves) => chart::shares_below(&mut svg, curves),
            Shape::Bars(curves) => chart::shares_of(&mut svg, curves),
            Shape::Dots(dots) => chart::dots(&mut svg, dots),
            Shape::Blocks(cells) => blocks::draw(&mut svg, cells),
        }
        svg.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(shape: Shape) -> String {
        let picture = Picture {
            file: "test",
            title: "A & B < C".to_owned(),
            note: String::new(),
            shape,
        };
        picture.svg()
    }

    #[test]
    fn every_kind_is_drawn_even_of_nothing() {
        for values in [vec![], vec![0.0], vec![1.0, 20.0, 300.0, 4_000.0]] {
            let curve = Curve {
                name: "gets".to_owned(),
                values,
            };
            let curves = Curves {
                x: "ms",
                curves: vec![curve.clone()],
            };
            let dots = Dots {
                x: "rank",
                y: "per minute",
                series: vec![curve],
                bound: (108.0, "bound".to_owned()),
            };
            let blocks = Blocks {
                cells: vec![vec![0.0, 0.5], vec![0.01, 0.0]],
                bands: vec![0.02, 0.06],
                outer: vec![0, 1],
                inner: vec![0, 1],
            };
            for shape in [
                Shape::Curves(curves.clone()),
                Shape::Bars(curves),
                Shape::Dots(dots),
                Shape::Blocks(blocks),
            ] {
                let text = picture(shape);
                assert!(text.starts_with("<svg") && text.ends_with("</svg>\n"));
                assert!(text.contains("A &amp; B &lt; C"));
                assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            }
        }
    }
}
