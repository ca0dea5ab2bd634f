//! Quantiles of numbers that are never kept: a mergeable sketch, half a percent exact.

use sketches_ddsketch::{Config, DDSketch};

/// How far a quantile may be off, as a share of it.
const ERROR: f64 = 0.005;

/// Most buckets: enough for sixteen decades.
const BUCKETS_MAX: u32 = 4_096;

/// The smallest number told from zero: a microsecond, in milliseconds.
const SMALLEST: f64 = 0.001;

/// Four quantiles, each within half a percent.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Quantiles {
    /// Half of the values are at most this.
    pub p50: f64,
    /// Nine in ten.
    pub p90: f64,
    /// Nineteen in twenty.
    pub p95: f64,
    /// Ninety-nine in a hundred.
    pub p99: f64,
}

/// Numbers, remembered by their distribution.
#[derive(Clone)]
pub(super) struct Sketch(DDSketch);

impl Default for Sketch {
    fn default() -> Self {
        Self(DDSketch::new(Config::new(ERROR, BUCKETS_MAX, SMALLEST)))
    }
}

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sketch of {}", self.0.count())
    }
}

impl Sketch {
    /// Adds a number ≥ 0.
    pub(super) fn add(&mut self, number: f64) {
        self.0.add(number);
    }

    /// Adds what another has seen.
    pub(super) fn merge(&mut self, other: &Self) {
        // Every sketch has one configuration, so nothing can be refused.
        let _same = self.0.merge(&other.0);
    }

    /// Returns the quantiles, `None` if nothing was added.
    pub(super) fn quantiles(&self) -> Option<Quantiles> {
        let (least, most) = (self.0.min()?, self.0.max()?);
        let at = |share| Some(self.0.quantile(share).ok()??.clamp(least, most));
        Some(Quantiles { p50: at(0.5)?, p90: at(0.9)?, p95: at(0.95)?, p99: at(0.99)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_halves_are_the_whole_within_half_a_percent() {
        let (mut odd, mut even) = (Sketch::default(), Sketch::default());
        assert_eq!(odd.quantiles(), None);
        for n in 0..=10_000_u32 {
            if n % 2 == 0 { even.add(f64::from(n)) } else { odd.add(f64::from(n)) }
        }
        odd.merge(&even);
        let found = odd.quantiles().unwrap();
        for (found, exact) in [(found.p50, 5_000.0), (found.p90, 9_000.0), (found.p95, 9_500.0), (found.p99, 9_900.0)] {
            assert!((found - exact).abs() <= exact * 0.006, "{found} {exact}");
        }
    }
}
