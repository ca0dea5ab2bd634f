//! A small mergeable sketch of many numbers, for answers and caches that hold thousands of them.
//!
//! Numbers are counted in buckets whose limits grow by one percent each, as in DDSketch (Masson, Rim and Lee, 2019). Only
//! the buckets that hold something are stored, so a sketch of few numbers takes few bytes.

/// The factor between the limits of two neighbouring buckets: each number is within half a percent of its bucket's value.
const GROWTH: f64 = 1.01;

/// Its natural logarithm.
const GROWTH_LN: f64 = 0.009_950_330_853_168_083;

/// The smallest number that is distinguished from zero: a microsecond, in milliseconds.
const SMALLEST: f64 = 0.001;

/// The largest number that is distinguished: every length that fits into 64 bits.
const LARGEST: f64 = 18_446_744_073_709_551_616.0;

/// The digits of a quantile of many numbers; more digits would be less accurate than they look.
const DIGITS: i32 = 3;

/// The distribution of numbers ≥ 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sketch {
    /// The buckets that hold numbers, in order, each with how many.
    buckets: Vec<(u16, u32)>,
    count: u64,
    min: f64,
    max: f64,
}

impl Sketch {
    /// Returns how many numbers were added.
    pub(crate) fn len(&self) -> u64 {
        self.count
    }

    /// Adds a number ≥ 0.
    pub(crate) fn add(&mut self, number: f64) {
        self.widen(1, number, number);
        self.put(bucket_of(number), 1);
    }

    /// Returns a quantile by nearest rank, `percent` from 1 to 100, within half a percent and rounded to three digits;
    /// `None` if nothing was added.
    pub(crate) fn quantile(&self, percent: u64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut before = 0;
        let bucket = self.buckets.iter().find(|(_, count)| {
            before += u64::from(*count);
            before >= rank
        });
        let value = bucket.map_or(self.max, |(bucket, _)| value_of(*bucket));
        // The middle of a bucket may lie outside of all numbers.
        Some(rounded(value).clamp(self.min, self.max))
    }

    /// Removes a number that was added. The smallest and the largest number stay as they are.
    pub(crate) fn remove(&mut self, number: f64) {
        if let Ok(at) = self.buckets.binary_search_by_key(&bucket_of(number), |(known, _)| *known) {
            self.buckets[at].1 -= 1;
            self.count -= 1;
            if self.buckets[at].1 == 0 {
                self.buckets.remove(at);
            }
        }
    }

    /// Adds the numbers of another sketch.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.widen(other.count, other.min, other.max);
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
            return;
        }
        // Most buckets are there already.
        let (mut at, mut missing) = (0, Vec::new());
        for (bucket, count) in &other.buckets {
            while self.buckets.get(at).is_some_and(|(known, _)| known < bucket) {
                at += 1;
            }
            match self.buckets.get_mut(at) {
                Some((known, sum)) if known == bucket => *sum = sum.saturating_add(*count),
                _ => missing.push((*bucket, *count)),
            }
        }
        // The others are put in from the end, so that each bucket moves once.
        let mut from = self.buckets.len();
        self.buckets.resize(from + missing.len(), (0, 0));
        let mut to = self.buckets.len();
        while let Some(last) = missing.last().copied() {
            to -= 1;
            if from > 0 && self.buckets[from - 1].0 > last.0 {
                from -= 1;
                self.buckets[to] = self.buckets[from];
            } else {
                self.buckets[to] = last;
                missing.pop();
            }
        }
    }

    /// Returns the buckets that hold numbers, in order, each with how many; and the smallest and the largest number.
    pub(crate) fn parts(&self) -> (&[(u16, u32)], f64, f64) {
        (&self.buckets, self.min, self.max)
    }

    /// Returns the sketch of these parts; `None` if a sketch cannot have them.
    pub(crate) fn of_parts(buckets: Vec<(u16, u32)>, min: f64, max: f64) -> Option<Self> {
        let is_ordered = buckets.is_sorted_by(|a, b| a.0 < b.0) && buckets.iter().all(|(_, count)| *count > 0);
        let is_range = 0.0 <= min && min <= max;
        let count = buckets.iter().map(|(_, count)| u64::from(*count)).sum();
        (is_ordered && is_range).then_some(Self { buckets, count, min, max })
    }

    fn widen(&mut self, count: u64, min: f64, max: f64) {
        self.min = if self.count == 0 { min } else { self.min.min(min) };
        self.max = self.max.max(max);
        self.count += count;
    }

    fn put(&mut self, bucket: u16, count: u32) {
        match self.buckets.binary_search_by_key(&bucket, |(known, _)| *known) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(count),
            Err(at) => self.buckets.insert(at, (bucket, count)),
        }
    }
}

/// Returns the bucket of a number. Bucket 0 holds what is not distinguished from zero.
fn bucket_of(number: f64) -> u16 {
    if number.is_nan() || number < SMALLEST {
        return 0;
    }
    let power = (number.min(LARGEST) / SMALLEST).ln() / GROWTH_LN;
    // The largest power is below 5,200.
    power as u16 + 1
}

/// Returns the number that stands for all numbers of a bucket: it differs from both limits by the same part.
fn value_of(bucket: u16) -> f64 {
    match bucket {
        0 => 0.0,
        bucket => SMALLEST * GROWTH.powi(i32::from(bucket) - 1) * 2.0 * GROWTH / (1.0 + GROWTH),
    }
}

/// Returns a number rounded to the digits that are known.
fn rounded(number: f64) -> f64 {
    if number <= 0.0 {
        return number;
    }
    // Round through text, so that the binary form adds no digits.
    format!("{number:.*e}", (DIGITS - 1) as usize).parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_one_percent() {
        for (least, times) in [(1.0, 1.0), (0.001, 0.37), (1e-9, 1e12), (5e15, 3.0)] {
            let numbers = (0..2_000_u32).map(|n| least + f64::from(n) * times).collect::<Vec<_>>();
            let mut sketch = Sketch::default();
            // Not in order.
            (0..numbers.len()).for_each(|n| sketch.add(numbers[n * 769 % numbers.len()]));
            for percent in [1_usize, 50, 90, 95, 99, 100] {
                let exact = numbers[(2_000 * percent).div_ceil(100) - 1];
                let found = sketch.quantile(percent as u64).unwrap();
                let is_near = (found - exact).abs() <= exact * 0.01 || exact < SMALLEST;
                assert!(is_near, "{percent} of {least} {times}: {found}, not {exact}");
            }
        }
    }

    #[test]
    fn odd_numbers_have_a_place() {
        let mut sketch = Sketch::default();
        assert_eq!(sketch.quantile(50), None);
        for number in [0.0, 0.0, 1e-12, f64::MAX, f64::INFINITY] {
            sketch.add(number);
        }
        assert_eq!(sketch.quantile(50), Some(0.0));
        assert!(sketch.quantile(95).unwrap() > 1e19);
    }
}
