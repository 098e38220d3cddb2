//! Words for the few marks the pictures are made of, on white paper of one size.

use std::fmt::Write as _;

/// Width and height of every picture.
pub(super) const SIZE: (f64, f64) = (860.0, 560.0);

/// Colours that colour-blind readers tell apart (Okabe and Ito, "Color Universal Design", 2008).
pub(super) const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];

/// Ink of text and axes, of lesser text, and of grids.
pub(super) const INK: &str = "#222222";
pub(super) const GREY: &str = "#666666";
pub(super) const GRID: &str = "#e4e4e4";

/// Where a text hangs from its point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// A picture being drawn.
#[derive(Debug)]
pub(super) struct Svg {
    body: String,
}

impl Svg {
    /// White paper.
    pub(super) fn new() -> Self {
        let mut svg = Self {
            body: String::new(),
        };
        svg.rect((0.0, 0.0), SIZE, "#ffffff");
        svg
    }

    /// The heading, and a line in smaller print.
    pub(super) fn title(&mut self, title: &str, note: &str) {
        self.text((SIZE.0 / 2.0, 30.0), (18, INK), Anchor::Middle, title);
        self.text((SIZE.0 / 2.0, 50.0), (12, GREY), Anchor::Middle, note);
    }

    /// A filled rectangle.
    pub(super) fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), fill: &str) {
        let line = format!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{fill}"/>"#
        );
        self.line_of(&line);
    }

    /// A straight line; `dashed` or not.
    pub(super) fn line(&mut self, a: (f64, f64), b: (f64, f64), stroke: (&str, f64), dashed: bool) {
        let ((x, y), (u, v), (colour, width)) = (a, b, stroke);
        let dash = if dashed {
            r#" stroke-dasharray="6 4""#
        } else {
            ""
        };
        let line = format!(
            r#"<line x1="{x:.1}" y1="{y:.1}" x2="{u:.1}" y2="{v:.1}" stroke="{colour}" stroke-width="{width}"{dash}/>"#
        );
        self.line_of(&line);
    }

    /// A line through points.
    pub(super) fn path(&mut self, points: &[(f64, f64)], stroke: (&str, f64)) {
        let mut data = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let _ = write!(data, "{}{x:.1} {y:.1}", if at == 0 { 'M' } else { 'L' });
        }
        self.strokes(&data, stroke);
    }

    /// A line from path data.
    pub(super) fn strokes(&mut self, data: &str, (colour, width): (&str, f64)) {
        let line =
            format!(r#"<path d="{data}" fill="none" stroke="{colour}" stroke-width="{width}"/>"#);
        self.line_of(&line);
    }

    /// A dot.
    pub(super) fn dot(&mut self, (x, y): (f64, f64), radius: f64, fill: &str) {
        let line = format!(
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{fill}" fill-opacity="0.75"/>"#
        );
        self.line_of(&line);
    }

    /// Text of a size in pixels and a colour.
    pub(super) fn text(
        &mut self,
        (x, y): (f64, f64),
        (size, fill): (u32, &str),
        anchor: Anchor,
        text: &str,
    ) {
        let (anchor, text) = (anchor.as_str(), escaped(text));
        let line = format!(
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" fill="{fill}" text-anchor="{anchor}">{text}</text>"#
        );
        self.line_of(&line);
    }

    /// Text that runs upward, its middle at the point.
    pub(super) fn upward(&mut self, (x, y): (f64, f64), (size, fill): (u32, &str), text: &str) {
        let text = escaped(text);
        let line = format!(
            r#"<text transform="translate({x:.1} {y:.1}) rotate(-90)" font-size="{size}" fill="{fill}" text-anchor="middle">{text}</text>"#
        );
        self.line_of(&line);
    }

    /// The whole file.
    pub(super) fn finish(self) -> String {
        let (width, height) = SIZE;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\">\n{}</svg>\n",
            self.body
        )
    }

    fn line_of(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
