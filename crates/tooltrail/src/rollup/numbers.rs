//! Quantiles of numbers: exact for few numbers; for many numbers, a mergeable sketch with an error of half a percent.

use super::sketch::Sketch;

/// The most numbers that are kept unchanged; beyond it only their distribution is kept.
const EXACT_MAX: usize = 1_000;

/// Four quantiles by nearest rank, and the largest number. They are exact for fewer than 1,000 numbers; otherwise they
/// are within half a percent and rounded to three digits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Quantiles {
    /// Half of the values are at most this.
    pub p50: f64,
    /// 90 percent of the values are at most this.
    pub p90: f64,
    /// 95 percent of the values are at most this.
    pub p95: f64,
    /// 99 percent of the values are at most this.
    pub p99: f64,
    /// The largest value, exact.
    pub max: f64,
}

/// A collection of numbers ≥ 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    exact: Vec<f64>,
    sketch: Option<Sketch>,
    max: f64,
}

impl Numbers {
    /// Adds a number ≥ 0.
    pub(crate) fn add(&mut self, number: f64) {
        self.max = self.max.max(number);
        match &mut self.sketch {
            Some(sketch) => sketch.add(number),
            None => self.exact.push(number),
        }
        if self.exact.len() >= EXACT_MAX {
            self.sketched();
        }
    }

    /// Adds the numbers of another collection.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.max = self.max.max(other.max);
        if let Some(other) = &other.sketch {
            self.sketched().merge(other);
        }
        other.exact.iter().for_each(|number| self.add(*number));
    }

    /// Removes a number that was added.
    pub(crate) fn remove(&mut self, number: f64) {
        match &mut self.sketch {
            Some(sketch) => sketch.remove(number),
            None => {
                if let Some(at) = self.exact.iter().position(|known| known.total_cmp(&number).is_eq()) {
                    self.exact.swap_remove(at);
                }
                self.max = self.exact.iter().copied().fold(0.0, f64::max);
            }
        }
    }

    /// Adds all numbers to a sketch.
    pub(crate) fn add_to(&self, sketch: &mut Sketch) {
        match &self.sketch {
            Some(numbers) => sketch.merge(numbers),
            None => self.exact.iter().for_each(|number| sketch.add(*number)),
        }
    }

    /// Whether only the distribution of the numbers is known.
    pub(crate) fn is_approximate(&self) -> bool {
        self.sketch.is_some()
    }

    /// Returns how many numbers it has.
    pub(crate) fn len(&self) -> u64 {
        self.sketch.as_ref().map_or(self.exact.len() as u64, Sketch::len)
    }

    /// Returns the numbers if they are known, otherwise their sketch.
    pub(crate) fn parts(&self) -> Result<&[f64], &Sketch> {
        self.sketch.as_ref().map_or(Ok(&self.exact), Err)
    }

    /// Returns the collection of these numbers, or of a sketch.
    pub(crate) fn of_parts(numbers: Result<Vec<f64>, Sketch>) -> Self {
        match numbers {
            Ok(exact) => Self { max: exact.iter().copied().fold(0.0, f64::max), exact, sketch: None },
            Err(sketch) => Self { max: sketch.parts().2, exact: Vec::new(), sketch: Some(sketch) },
        }
    }

    /// Keeps only the distribution.
    pub(crate) fn approximate(&mut self) {
        self.sketched();
    }

    /// Returns the quantiles, `None` if nothing was added.
    pub(crate) fn quantiles(mut self) -> Option<Quantiles> {
        let max = self.max;
        if let Some(sketch) = &self.sketch {
            let at = |percent| sketch.quantile(percent);
            return Some(Quantiles { p50: at(50)?, p90: at(90)?, p95: at(95)?, p99: at(99)?, max });
        }
        self.exact.sort_by(f64::total_cmp);
        let count = self.exact.len();
        // Nearest rank: the smallest number that is not exceeded by `percent` percent of the numbers.
        let at = |percent: usize| self.exact.get((count * percent).div_ceil(100).saturating_sub(1)).copied();
        Some(Quantiles { p50: at(50)?, p90: at(90)?, p95: at(95)?, p99: at(99)?, max })
    }

    fn sketched(&mut self) -> &mut Sketch {
        let exact = std::mem::take(&mut self.exact);
        let sketch = self.sketch.get_or_insert_default();
        exact.into_iter().for_each(|number| sketch.add(number));
        sketch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_halves_are_the_whole_within_half_a_percent() {
        let (mut odd, mut even) = (Numbers::default(), Numbers::default());
        assert_eq!(odd.clone().quantiles(), None);
        for n in 0..=10_000_u32 {
            if n % 2 == 0 { even.add(f64::from(n)) } else { odd.add(f64::from(n)) }
        }
        odd.merge(&even);
        let found = odd.quantiles().unwrap();
        for (found, exact) in [(found.p50, 5_000.0), (found.p90, 9_000.0), (found.p95, 9_500.0), (found.p99, 9_900.0)] {
            assert!((found - exact).abs() <= exact * 0.01, "{found} {exact}");
            assert!(found % 10.0 == 0.0, "{found} has digits that nobody knows");
        }
        assert_eq!(found.max, 10_000.0);
    }

    #[test]
    fn one_huge_number_leaves_the_others_as_they_are() {
        for huge in [1e15, 1e300] {
            let mut all = Numbers::default();
            (0..2_000).for_each(|n| all.add(f64::from(n % 10)));
            all.add(huge);
            let found = all.quantiles().unwrap();
            assert_eq!((found.p50.round(), found.p99.round(), found.max), (5.0, 9.0, huge));
        }
    }

    #[test]
    fn few_numbers_have_the_quantiles_of_nearest_rank() {
        let check = |numbers: &[f64], expected: [f64; 5]| {
            let mut all = Numbers::default();
            numbers.iter().for_each(|number| all.add(*number));
            let found = all.quantiles().unwrap();
            assert_eq!([found.p50, found.p90, found.p95, found.p99, found.max], expected, "{numbers:?}");
        };
        check(&[7.0], [7.0; 5]);
        check(&[1.0, 9_000.0], [1.0, 9_000.0, 9_000.0, 9_000.0, 9_000.0]);
        check(&[3.0, 1.0, 2.0], [2.0, 3.0, 3.0, 3.0, 3.0]);
        check(&[0.123_456_789, 0.0], [0.0, 0.123_456_789, 0.123_456_789, 0.123_456_789, 0.123_456_789]);
        let hundred = (1..=100).map(f64::from).collect::<Vec<_>>();
        check(&hundred, [50.0, 90.0, 95.0, 99.0, 100.0]);
        // Two parts, merged, give the same result.
        let (mut left, mut right) = (Numbers::default(), Numbers::default());
        hundred[..30].iter().for_each(|number| left.add(*number));
        hundred[30..].iter().for_each(|number| right.add(*number));
        left.merge(&right);
        assert_eq!(left.quantiles().unwrap().p99, 99.0);
    }
}
