//! Sizes as people write them: `512`, `64KiB`, `10 GiB`.

/// Units with their power of two.
const UNITS: [(&str, u32); 5] = [("", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

/// Parses a size and returns it in bytes.
///
/// # Errors
/// The text says what is wrong, and what to write instead.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let bits = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim_start())).map(|(_, bits)| *bits);
    let bytes = number.parse::<u64>().ok().zip(bits).and_then(|(number, bits)| number.checked_mul(1 << bits));
    bytes.ok_or_else(|| format!("`{text}` is no size: write bytes, or a whole number with KiB, MiB, GiB or TiB"))
}

/// Formats a number of bytes in the largest unit in which the value is at least 1.
pub(crate) fn words(bytes: u64) -> String {
    let (name, bits) = UNITS.iter().rev().find(|(_, bits)| bytes >> bits > 0).unwrap_or(&UNITS[0]);
    match *bits {
        0 => format!("{bytes} bytes"),
        bits => format!("{:.1} {name}", bytes as f64 / f64::from(1u32 << (bits - 10)) / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, words};

    #[test]
    fn sizes_are_read_and_written() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(parse(text).ok(), expected, "{text}");
        check("0", Some(0));
        check("512", Some(512));
        check("64KiB", Some(65_536));
        check(" 10 gib ", Some(10 << 30));
        check("2TiB", Some(2 << 40));
        for bad in ["", "GiB", "-1", "1.5GiB", "10GB", "99999999999TiB", "1 2"] {
            check(bad, None);
        }
        assert_eq!(
            [words(0), words(1023), words(1536), words(10 << 30)],
            ["0 bytes", "1023 bytes", "1.5 KiB", "10.0 GiB"]
        );
    }
}
