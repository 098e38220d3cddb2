//! Figures read from a metrics page in the Prometheus text format. Pure.
//!
//! Only what a summary needs: series of a name, added up. Lines that do not parse are passed over,
//! as a scraper of another version must be able to.

use std::collections::BTreeMap;

/// The samples of one page.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<Sample>);

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: String,
    value: f64,
}

impl Figures {
    /// Reads a page.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(sample).collect())
    }

    /// The sum of all series called `name`; `None` if there is no such series.
    #[must_use]
    pub fn sum(&self, name: &str) -> Option<f64> {
        self.sum_where(name, "")
    }

    /// What each value of `label` has in the series called `name`; nothing for those without the label.
    #[must_use]
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut all = BTreeMap::new();
        for sample in self.0.iter().filter(|sample| sample.name == name) {
            let start = format!("{label}=\"");
            let value = sample.labels.split_once(&start);
            if let Some((value, _)) = value.and_then(|(_, rest)| rest.split_once('"')) {
                *all.entry(value.to_owned()).or_insert(0.0) += sample.value;
            }
        }
        all
    }

    /// The sum of the series called `name` whose labels contain `label`, such as `kind="get"`.
    #[must_use]
    pub fn sum_where(&self, name: &str, label: &str) -> Option<f64> {
        let fits = |sample: &&Sample| sample.name == name && sample.labels.contains(label);
        self.0
            .iter()
            .filter(fits)
            .map(|sample| sample.value)
            .reduce(|a, b| a + b)
    }
}

/// One line: `name{labels} value`, perhaps with a timestamp after it.
fn sample(line: &str) -> Option<Sample> {
    if line.starts_with('#') {
        return None;
    }
    let (name, labels, rest) = match line.split_once('{') {
        // Label values may contain braces, so the last one ends the labels.
        Some((name, rest)) => {
            let (labels, rest) = rest.rsplit_once('}')?;
            (name, labels, rest)
        }
        None => {
            let (name, rest) = line.split_once(' ')?;
            (name, "", rest)
        }
    };
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Sample {
        name: name.to_owned(),
        labels: labels.to_owned(),
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_series_and_passes_over_what_it_cannot_read() {
        let page = "# HELP atoll_x_total Things.\n# TYPE atoll_x counter\n\
            atoll_x_total{kind=\"a{b}\"} 3\natoll_x_total{kind=\"c\"} 4 1700000000\n\
            nonsense\natoll_y 2.5\n# EOF\n";
        let figures = Figures::parse(page);
        let same = |found: Option<f64>, expected: f64| {
            found.is_some_and(|found| (found - expected).abs() < 1e-9)
        };
        assert!(same(figures.sum("atoll_x_total"), 7.0));
        assert!(same(figures.sum_where("atoll_x_total", "kind=\"c\""), 4.0));
        assert!(same(figures.sum("atoll_y"), 2.5));
        assert!(figures.sum("atoll_z").is_none());
    }
}
