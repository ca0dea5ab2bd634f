//! Small numbers and texts as bytes, for rollups: written without a fixed width, and read without trust.

use super::numbers::Numbers;
use super::sketch::Sketch;

/// How many decimals a number may have to be written as a whole number: those of our own durations.
const MILLI: f64 = 1_000.0;

/// Whole numbers up to this are exact.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Writes bytes.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    /// Writes a number: seven bits in each byte, the lowest first.
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub(super) fn all<const N: usize>(&mut self, numbers: [u64; N]) {
        numbers.into_iter().for_each(|number| self.number(number));
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// Writes a number ≥ 0: a whole one, one with three decimals, or its eight bytes.
    pub(super) fn float(&mut self, number: f64) {
        let whole = |number: f64| (number.fract() == 0.0 && (0.0..WHOLE_MAX / 4.0).contains(&number)).then_some(number);
        let milli = (number * MILLI).round();
        match (whole(number), whole(milli).filter(|milli| milli / MILLI == number)) {
            (Some(number), _) => self.number((number as u64) << 2),
            (None, Some(milli)) => self.number((milli as u64) << 2 | 1),
            (None, None) => {
                self.number(2);
                self.0.extend(number.to_le_bytes());
            }
        }
    }

    pub(super) fn numbers(&mut self, numbers: &Numbers) {
        match numbers.parts() {
            Ok(exact) => {
                self.number((exact.len() as u64) << 1);
                exact.iter().for_each(|number| self.float(*number));
            }
            Err(sketch) => {
                let (buckets, min, max) = sketch.parts();
                self.number((buckets.len() as u64) << 1 | 1);
                self.float(min);
                self.float(max);
                let mut before = 0;
                for (bucket, count) in buckets {
                    self.number(u64::from(bucket - before));
                    self.number(u64::from(*count));
                    before = *bucket;
                }
            }
        }
    }
}

/// Reads what a [`Writer`] has written. Everything is `None` where the bytes are something else.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        // Most numbers take one byte.
        if let Some((byte @ ..0x80, rest)) = self.0.split_first() {
            self.0 = rest;
            return Some(u64::from(*byte));
        }
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    /// Reads how many items follow. Each takes at least one byte, so that a wrong count takes no memory.
    pub(super) fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= self.0.len())
    }

    pub(super) fn text(&mut self) -> Option<Box<str>> {
        let len = self.count()?;
        std::str::from_utf8(self.bytes(len)?).ok().map(Into::into)
    }

    pub(super) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    pub(super) fn float(&mut self) -> Option<f64> {
        let number = self.number()?;
        match number & 3 {
            0 => Some((number >> 2) as f64),
            1 => Some((number >> 2) as f64 / MILLI),
            _ => {
                let number = f64::from_le_bytes(self.bytes(8)?.try_into().ok()?);
                (number.is_finite() && number >= 0.0).then_some(number)
            }
        }
    }

    pub(super) fn numbers(&mut self) -> Option<Numbers> {
        let head = self.number()?;
        let count = usize::try_from(head >> 1).ok().filter(|count| *count <= self.0.len())?;
        if head & 1 == 0 {
            return (0..count).map(|_| self.float()).collect::<Option<Vec<_>>>().map(|all| Numbers::of_parts(Ok(all)));
        }
        let (min, max) = (self.float()?, self.float()?);
        let (mut before, mut buckets) = (0_u16, Vec::with_capacity(count));
        for _ in 0..count {
            before = before.checked_add(self.small()?.try_into().ok()?)?;
            buckets.push((before, self.small()?));
        }
        Sketch::of_parts(buckets, min, max).map(|sketch| Numbers::of_parts(Err(sketch)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_were() {
        let floats = [0.0, 1.0, 0.001, 12.345, 0.1 + 0.2, 1e-9, 1e15, 1e300, 2_251_799_813_685_247.0, 4e15];
        for float in floats {
            let mut writer = Writer::default();
            writer.float(float);
            assert_eq!(Reader(&writer.0).float(), Some(float), "{float}");
        }
        for number in [0, 127, 128, 300, u64::MAX] {
            let mut writer = Writer::default();
            writer.number(number);
            assert_eq!(Reader(&writer.0).number(), Some(number));
            assert_eq!(Reader(&writer.0[1..]).number().is_none(), number < 128);
        }
        for count in [0, 5, 2_000] {
            let mut numbers = Numbers::default();
            (0..count).for_each(|n| numbers.add(f64::from(n) / 7.0));
            let mut writer = Writer::default();
            writer.numbers(&numbers);
            assert_eq!(Reader(&writer.0).numbers().unwrap().quantiles(), numbers.quantiles());
        }
    }
}
