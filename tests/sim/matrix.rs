//! Measured round-trip times between sites.
//!
//! Four measured sets travel with the simulator (`data/NOTICE.md` has their origins); any other
//! square matrix in milliseconds can be read from a file, with tabs or commas, with or without
//! names in the first row and column, gzipped or not. This file knows sites only; where nodes sit
//! and what happens to their datagrams is `net`'s.

use std::io::Read;

use flate2::read::GzDecoder;

const PLANETLAB: &[u8] = include_bytes!("data/planetlab490-slice01.tsv.gz");
const PLANETLAB_LATER: &[u8] = include_bytes!("data/planetlab490-slice10.tsv.gz");
const WONDERPROXY: &[u8] = include_bytes!("data/wonderproxy217-matrix.csv.gz");
const AWS: &[u8] = include_bytes!("data/aws-regions.csv");

/// The sets that need no file, and one without any geography.
pub(crate) const NAMES: [&str; 5] = ["planetlab", "planetlab-later", "wonderproxy", "aws", "flat"];

/// Sites and round-trip time of the set without geography: as many places as PlanetLab had, each
/// as far from every other as PlanetLab's 10th percentile.
const FLAT: (usize, u32) = (490, 30_000);

/// First two bytes of a gzip member (RFC 1952 §2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Round-trip times between sites.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    sites: usize,
    micros: Vec<u32>,
}

impl Matrix {
    /// The set of that name, or the matrix in the file of that name.
    pub(crate) fn open(name: &str) -> Result<Self, String> {
        match name {
            "planetlab" => Self::parse(PLANETLAB),
            "planetlab-later" => Self::parse(PLANETLAB_LATER),
            "wonderproxy" => Self::parse(WONDERPROXY),
            "aws" => Self::parse(AWS),
            "flat" => Ok(Self::flat(FLAT)),
            file => {
                let bytes = std::fs::read(file)
                    .map_err(|error| format!("matrix {file}: {error}; sets: {NAMES:?}"))?;
                Self::parse(&bytes)
            }
        }
        .map_err(|error| format!("matrix {name}: {error}"))
    }

    /// Places in it.
    pub(crate) const fn sites(&self) -> usize {
        self.sites
    }

    /// From one site to another and back, in microseconds.
    pub(crate) fn round_trip(&self, a: usize, b: usize) -> u32 {
        self.micros[a * self.sites + b]
    }

    fn flat((sites, micros): (usize, u32)) -> Self {
        let between = |cell: usize| {
            if cell / sites == cell % sites {
                0
            } else {
                micros
            }
        };
        let micros = (0..sites * sites).map(between).collect();
        Self { sites, micros }
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut text = String::new();
        let read = if bytes.starts_with(&GZIP) {
            GzDecoder::new(bytes).read_to_string(&mut text)
        } else {
            (&mut &*bytes).read_to_string(&mut text)
        };
        read.map_err(|error| error.to_string())?;
        let rows: Vec<Vec<&str>> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| line.split(['\t', ',']).map(str::trim).collect())
            .collect();
        let named = rows.first().is_some_and(|row| row.first() == Some(&""));
        let skip = usize::from(named);
        let sites = rows.len().saturating_sub(skip);
        if sites == 0 {
            return Err("no rows".to_owned());
        }
        let cell = |a: usize, b: usize| {
            let text = rows.get(a + skip)?.get(b + skip)?;
            text.parse::<f64>().ok().filter(|ms| *ms >= 0.0)
        };
        let mut micros = Vec::with_capacity(sites * sites);
        for a in 0..sites {
            for b in 0..sites {
                // A cell nobody measured is taken from the other direction.
                let ms = cell(a, b).or_else(|| cell(b, a));
                let ms = ms.ok_or_else(|| format!("no time from site {a} to site {b}"))?;
                micros.push(whole(ms * 1_000.0));
            }
        }
        Ok(Self { sites, micros })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, which is what an absurd latency deserves"
)]
const fn whole(value: f64) -> u32 {
    value as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_opens_with_the_size_and_middle_its_origin_states() {
        for (name, sites, middle) in [
            ("planetlab", 490, 135),
            ("planetlab-later", 490, 135),
            ("wonderproxy", 217, 138),
            ("aws", 21, 160),
            ("flat", 490, 30),
        ] {
            let matrix = Matrix::open(name).unwrap();
            assert_eq!(matrix.sites(), sites, "{name}");
            let mut all: Vec<_> = (0..sites * sites)
                .map(|cell| (cell / sites, cell % sites))
                .filter(|(a, b)| a != b)
                .map(|(a, b)| matrix.round_trip(a, b) / 1_000)
                .collect();
            all.sort_unstable();
            let found = all[all.len() / 2];
            assert!(found.abs_diff(middle) <= 20, "{name}: median {found} ms");
        }
    }

    #[test]
    fn a_matrix_with_a_hole_is_refused() {
        assert!(Matrix::parse(b"0\t1\n\t0\n").is_ok());
        assert!(Matrix::parse(b"0\tx\ny\t0\n").is_err());
        assert!(Matrix::parse(b"").is_err());
    }
}
