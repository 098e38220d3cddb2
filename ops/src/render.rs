//! Text for people: tables, sizes, durations. Pure.

use std::time::Duration;

/// How the cells of a column stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table with a heading, columns two spaces apart.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    #[must_use]
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; cells that are missing stay empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().take(self.columns.len()).collect());
    }

    /// The text, without a final line end. Headings are left out when all of them are empty.
    #[must_use]
    pub fn to_text(&self) -> String {
        let widths: Vec<usize> = (0..self.columns.len()).map(|at| self.width(at)).collect();
        let headings: Vec<String> = self
            .columns
            .iter()
            .map(|(title, _)| (*title).to_owned())
            .collect();
        let headed = headings.iter().any(|title| !title.is_empty());
        let lines = headed.then_some(&headings).into_iter().chain(&self.rows);
        let lines: Vec<String> = lines.map(|cells| self.line(cells, &widths)).collect();
        lines.join("\n")
    }

    fn width(&self, at: usize) -> usize {
        let title = self
            .columns
            .get(at)
            .map_or(0, |(title, _)| title.chars().count());
        let cells = self.rows.iter().filter_map(|row| row.get(at));
        cells
            .map(|cell| cell.chars().count())
            .fold(title, usize::max)
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (at, ((_, align), width)) in self.columns.iter().zip(widths).enumerate() {
            let cell = cells.get(at).map_or("", String::as_str);
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            let gap = if at == 0 { "" } else { "  " };
            line.push_str(gap);
            match align {
                Align::Left => line.extend([cell, &padding]),
                Align::Right => line.extend([&padding, cell]),
            }
        }
        line.trim_end().to_owned()
    }
}

/// A number of bytes with three significant figures: `98.4 MB` (powers of ten, as disks and
/// networks count).
#[must_use]
pub fn bytes(count: u64) -> String {
    scaled(count, &["B", "kB", "MB", "GB", "TB"])
}

/// A count with groups of three digits: `12 400`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A duration with three significant figures: `204 ms`, `1.23 s`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    scaled(micros, &["µs", "ms", "s"])
}

/// `number` in the largest unit of `units` (each a thousand of the one before) that keeps it at or
/// above one. The last unit takes whatever is left.
fn scaled(number: u64, units: &[&str]) -> String {
    let mut divisor = 1_u64;
    let mut unit = 0;
    while unit + 1 < units.len() && number / divisor >= 1_000 {
        divisor = divisor.saturating_mul(1_000);
        unit += 1;
    }
    let name = units.get(unit).copied().unwrap_or_default();
    let whole = number / divisor;
    let places = match whole {
        _ if divisor == 1 => 0,
        0..=9 => 2,
        10..=99 => 1,
        _ => 0,
    };
    if places == 0 {
        return format!("{whole} {name}");
    }
    let tens = 10_u64.pow(places);
    let fraction = number % divisor * tens / divisor;
    let width = if places == 2 { 2 } else { 1 };
    format!("{whole}.{fraction:0width$} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_their_cells() {
        let mut table = Table::new(&[("name", Align::Left), ("rss", Align::Right)]);
        table.row(["node1".into(), "9 MB".into()]);
        table.row(["ns2".into(), "12.5 MB".into()]);
        table.row(["x".into()]);
        assert_eq!(
            table.to_text(),
            "name       rss\nnode1     9 MB\nns2    12.5 MB\nx"
        );
    }

    #[test]
    fn a_table_without_headings_has_no_empty_first_line() {
        let mut table = Table::new(&[("", Align::Left), ("", Align::Right)]);
        table.row(["requests".into(), "2 400".into()]);
        assert_eq!(table.to_text(), "requests  2 400");
    }

    #[test]
    fn numbers_keep_three_figures() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.00 kB"),
            (41_984, "41.9 kB"),
            (98_400_000, "98.4 MB"),
            (u64::MAX, "18446744 TB"),
        ];
        for (number, text) in cases {
            assert_eq!(bytes(number), text);
        }
        assert_eq!(count(2_400), "2 400");
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(count(12), "12");
        assert_eq!(duration(Duration::from_micros(204_900)), "204 ms");
        assert_eq!(duration(Duration::from_millis(1_234)), "1.23 s");
        assert_eq!(duration(Duration::from_secs(3_600)), "3600 s");
    }
}
