//! Writes numbers, instants and ids directly into the line, because for a short line the standard formatter takes
//! longer than everything else.

use crate::call::EntryId;
use crate::clock::Timestamp;

/// The number of milliseconds in one day.
const DAY_MS: u64 = 86_400_000;
/// The number of digits of the largest `u64`.
const DIGITS_MAX: usize = 20;

/// Appends a number.
pub(super) fn push_number(out: &mut String, mut number: u64) {
    let (mut digits, mut at) = ([b'0'; DIGITS_MAX], DIGITS_MAX);
    loop {
        at -= 1;
        digits[at] += (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits[at..].iter().for_each(|digit| out.push(char::from(*digit)));
}

/// Appends an instant as `2026-11-23T08:15:00.123Z`.
pub(super) fn push_instant(out: &mut String, instant: Timestamp) {
    // No `Timestamp` is before 1970, so the value is never negative.
    let all = instant.as_millis().unsigned_abs();
    let ms = all % DAY_MS;
    // Converts days to a calendar date. Counts in eras of 400 years from 1 March 0000, which is 719,468 days before
    // 1970.
    let days = all / DAY_MS + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |from: usize, digits: usize, mut number: u64| {
        for place in text[from..from + digits].iter_mut().rev() {
            *place += (number % 10) as u8;
            number /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, month);
    put(8, 2, day_of_year - (153 * shifted + 2) / 5 + 1);
    put(11, 2, ms / 3_600_000);
    put(14, 2, ms / 60_000 % 60);
    put(17, 2, ms / 1_000 % 60);
    put(20, 3, ms % 1_000);
    out.push_str(std::str::from_utf8(&text).unwrap_or_default());
}

/// Appends an id.
pub(super) fn push_id(out: &mut String, id: EntryId) {
    out.push_str(id.encode(&mut [0; 36]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_written_as_the_formatter_writes_it() {
        let mut seed = 7_u64;
        for n in 0..20_000_u32 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = seed >> (n % 64);
            let mut out = String::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string());
            // The values cover many days, and both ends of the range.
            for ms in [number as i64, i64::from(n) * 146_097 * 8_640, i64::from(n) * 86_400_000 - 1, i64::MAX, 0] {
                let instant = Timestamp::from_millis(ms);
                out.clear();
                push_instant(&mut out, instant);
                assert_eq!(out, instant.to_string());
            }
            let id = EntryId::new(Timestamp::from_millis(number as i64), [n as u8; 10]);
            out.clear();
            push_id(&mut out, id);
            assert_eq!(out, id.to_string());
        }
    }
}
