//! Reads the time of a stored line from its beginning, without parsing the rest of the line.

use crate::clock::{Date, Timestamp, Zone};

/// The beginning of our own lines; the seed's writer puts a space after the colon.
const HEAD: &[u8] = br#"{"ts":"2026-11-23T08:15:00.123Z""#;

/// Maximum bytes of a time at the beginning of a line.
const TS_BYTES_MAX: usize = 64;

/// Returns the time of a line that begins exactly like our own lines.
pub(crate) fn head(line: &[u8]) -> Option<Timestamp> {
    let head = line.get(..HEAD.len())?;
    let punctuation = [0..7, 11..12, 14..15, 17..18, 20..21, 23..24, 26..27, 30..32];
    if !punctuation.into_iter().all(|range| head[range.clone()] == HEAD[range]) {
        return None;
    }
    let number = |from: usize, to: usize| {
        head[from..to]
            .iter()
            .try_fold(0_i64, |all, byte| byte.is_ascii_digit().then(|| all * 10 + i64::from(byte - b'0')))
    };
    let date = Date::parse(std::str::from_utf8(&head[7..17]).ok()?)?;
    let (hour, minute, second, ms) = (number(18, 20)?, number(21, 23)?, number(24, 26)?, number(27, 30)?);
    // A leap second is left to the full parser.
    (hour < 24 && minute < 60 && second < 60)
        .then(|| Timestamp::from_millis(date.start().as_millis() + ((hour * 60 + minute) * 60 + second) * 1_000 + ms))
}

/// Returns the time of a line whose first member is `ts`, written by any program.
pub(crate) fn foreign_head(line: &[u8], zone: &Zone) -> Option<Timestamp> {
    let after = |text: &mut &[u8], token: &[u8]| {
        *text = text.trim_ascii_start().strip_prefix(token)?;
        Some(())
    };
    let mut rest = line;
    for token in [&b"{"[..], br#""ts""#, b":", b"\""] {
        after(&mut rest, token)?;
    }
    let end = memchr::memchr(b'"', &rest[..rest.len().min(TS_BYTES_MAX + 1)])?;
    Timestamp::parse(std::str::from_utf8(&rest[..end]).ok()?, zone).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, ours: bool, expected: Option<&str>) {
        let expected = expected.map(|ts| Timestamp::parse(ts, &Zone::UTC).unwrap());
        assert_eq!(head(line.as_bytes()), expected.filter(|_| ours), "{line}");
        assert_eq!(foreign_head(line.as_bytes(), &Zone::UTC), expected, "{line}");
    }

    #[test]
    fn a_line_begins_with_its_instant() {
        let ts = Some("2026-11-23T08:15:00.123Z");
        check(r#"{"ts":"2026-11-23T08:15:00.123Z","user":"a"}"#, true, ts);
        check(r#"{"ts": "2026-11-23T08:15:00.123456", "user": "a"}"#, false, ts);
        check(r#" { "ts" : "2026-11-23T09:15:00.123+01:00"}"#, false, ts);
        for none in ["", "{}", r#"{"user":"a","ts":"2026-11-23T08:15:00Z"}"#, r#"{"ts":"2026"#, r#"{"ts":8}"#] {
            check(none, false, None);
        }
    }
}
