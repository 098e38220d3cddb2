//! A day of requests in the shape that CoralCDN's had (2009-01-20), with crawlers mixed in.
//!
//! 596,000 URLs and 9.74 million requests: the first URL has 4.6 % of them, the first 60 have 38 % and
//! the first hundredth 80 %; seven URLs of ten are asked for once. Between those points the counts
//! follow power laws. Sizes are log-normal around means that give the published working sets. Three
//! crawlers ask for 100,000 URLs each that nobody else wants, one request in two while they run.

use common::rng::Generator;

const URLS: usize = 596_000;
const REQUESTS: f64 = 9.74e6;
const CRAWLED: u32 = 100_000;

/// How the day goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taste {
    /// Each URL is as likely at any time.
    Steady,
    /// Six in ten are asked for within a twentieth of the day: flash crowds.
    Crowds,
}

/// Requests, each the number of a URL, and the bytes of each URL.
pub(crate) struct Trace {
    pub(crate) requests: Vec<u32>,
    pub(crate) bytes: Vec<u32>,
}

/// The day of this seed, scaled down by `share`.
pub(crate) fn day(seed: u64, share: f64, taste: Taste) -> Trace {
    let mut rng = Generator::from_seed(seed);
    let (urls, top) = (scaled(URLS, share), scaled(5_960, share));
    let mut bytes: Vec<u32> = (0..urls)
        .map(|rank| size(&mut rng, mean(rank, top)))
        .collect();
    let mut timed = Vec::new();
    for (url, count) in (0..).zip(counts(share)) {
        let crowd = taste == Taste::Crowds && rng.below(10) < 6;
        let begins = unit(&mut rng) * 1.05 - 0.05;
        for _ in 0..count {
            let at = unit(&mut rng);
            timed.push((if crowd { begins + at * 0.05 } else { at }, url));
        }
    }
    timed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let requests = with_crawlers(timed, &mut rng, scaled(CRAWLED as usize, share), &mut bytes);
    Trace { requests, bytes }
}

fn with_crawlers(
    timed: Vec<(f64, u32)>,
    rng: &mut Generator,
    crawled: usize,
    bytes: &mut Vec<u32>,
) -> Vec<u32> {
    let starts = [3, 5, 7].map(|tenth| timed.len() * tenth / 10);
    let mut left = 0;
    let mut requests = Vec::with_capacity(timed.len() + 3 * crawled);
    for (n, (_, url)) in timed.into_iter().enumerate() {
        if starts.contains(&n) {
            left += crawled;
        }
        requests.push(url);
        if left > 0 {
            left -= 1;
            requests.push(u32::try_from(bytes.len()).unwrap());
            bytes.push(size(rng, 50e3));
        }
    }
    requests
}

/// How often each URL is asked for, the most popular first.
fn counts(share: f64) -> Vec<u32> {
    let total = REQUESTS * share;
    let ends = [60, 5_960, 178_000].map(|end| scaled(end, share));
    let mut counts = Vec::new();
    let mut first = 0.046 * total;
    let mut from = 0;
    for (end, mass) in ends.into_iter().zip([0.38, 0.42, 0.157]) {
        let law = power_law(first, from, end, mass * total);
        first = *law.last().unwrap();
        counts.extend(law);
        from = end;
    }
    counts.resize(scaled(URLS, share), 1.0);
    counts.into_iter().map(rounded).collect()
}

/// Counts of ranks `from..end` that begin at `first` and sum up to `mass`.
fn power_law(first: f64, from: usize, end: usize, mass: f64) -> Vec<f64> {
    let at = |rank: usize, slope: f64| first * (real(rank + 1) / real(from + 1)).powf(-slope);
    let (mut flat, mut steep) = (0.0, 5.0);
    for _ in 0..50 {
        let middle = f64::midpoint(flat, steep);
        let sum: f64 = (from..end).map(|rank| at(rank, middle)).sum();
        if sum > mass {
            flat = middle;
        } else {
            steep = middle;
        }
    }
    (from..end).map(|rank| at(rank, flat)).collect()
}

/// Mean size by rank: the published working sets of the first 0.01 % and 1 %.
const fn mean(rank: usize, top: usize) -> f64 {
    if rank < top / 100 {
        870e3
    } else if rank < top {
        300e3
    } else {
        50e3
    }
}

fn size(rng: &mut Generator, mean: f64) -> u32 {
    const SIGMA: f64 = 1.5;
    // Box and Muller.
    let (u, v) = (unit(rng).max(1e-12), unit(rng));
    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    let bytes = (mean.ln() - SIGMA * SIGMA / 2.0 + SIGMA * normal).exp();
    rounded(bytes.clamp(2_048.0, 50e6))
}

fn unit(rng: &mut Generator) -> f64 {
    real(rng.below(1 << 53)) / real(1 << 53)
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
const fn real(n: usize) -> f64 {
    n as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes and counts below 2^32, at least 1"
)]
fn rounded(x: f64) -> u32 {
    x.round().max(1.0) as u32
}

fn scaled(n: usize, share: f64) -> usize {
    rounded(real(n) * share) as usize
}
