//! Text from the trail, made safe for the page: it is never markup, and characters that could hide text, reverse its
//! direction or break the page are shown as escapes.

use maud::{Render, html};

use crate::output::{escape_of, is_hostile};

/// Longest name, in characters, that fits on one line; only longer names may be broken.
const NAME_CHARS_WHOLE: usize = 24;

/// A text from the trail, shown up to a maximum length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    text: &'a str,
    chars_max: usize,
    lines: bool,
    /// Whether a line may be broken after the characters that join the words of a name.
    name: bool,
}

impl<'a> Shown<'a> {
    /// Shows the text on one line; line breaks are shown as escapes too.
    pub(crate) const fn line(text: &'a str, chars_max: usize) -> Self {
        Self { text, chars_max, lines: false, name: false }
    }

    /// Shows a name without its line breaks; a long name may wrap after `_`, `.`, `/`, `:` and `-`.
    pub(crate) const fn name(text: &'a str, chars_max: usize) -> Self {
        Self { name: true, ..Self::line(text, chars_max) }
    }

    /// Shows the text with its line breaks and tabs.
    pub(crate) const fn block(text: &'a str, chars_max: usize) -> Self {
        Self { text, chars_max, lines: true, name: false }
    }

    /// Whether a character is shown as it is, not as an escape.
    fn plain(&self, c: char) -> bool {
        !is_hostile(c) || (self.lines && matches!(c, '\n' | '\t'))
    }
}

impl Render for Shown<'_> {
    fn render_to(&self, page: &mut String) {
        let end = self.text.char_indices().nth(self.chars_max).map_or(self.text.len(), |(at, _)| at);
        let mut rest = &self.text[..end];
        let breaks = self.name && end > NAME_CHARS_WHOLE;
        while !rest.is_empty() {
            let (plain, after) = rest.split_at(rest.find(|c| !self.plain(c)).unwrap_or(rest.len()));
            let parts = plain.split_inclusive(|c| breaks && matches!(c, '_' | '.' | '/' | ':' | '-'));
            for (place, part) in parts.enumerate() {
                if place > 0 {
                    html! { wbr; }.render_to(page);
                }
                part.render_to(page);
            }
            let (hostile, after) = after.split_at(after.find(|c| self.plain(c)).unwrap_or(after.len()));
            if !hostile.is_empty() {
                let escapes = hostile.chars().map(escape_of).collect::<String>();
                html! { span.escape { (escapes) } }.render_to(page);
            }
            rest = after;
        }
        let cut = self.text[end..].chars().count() as u64;
        if cut > 0 {
            html! { span.cut { " …" (grouped(cut)) " more characters" } }.render_to(page);
        }
    }
}

/// Whether a text needs no escapes, so that it can be used where escapes are not possible, as in suggestions.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.chars().any(is_hostile)
}

/// Returns a count with its digits in groups of three.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a duration in a readable unit.
pub(crate) fn duration(ms: f64) -> String {
    match ms {
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms if ms < 59_950.0 => format!("{:.1} s", ms / 1_000.0),
        ms if ms < 3_599_500.0 => {
            let seconds = (ms / 1_000.0).round();
            format!("{:.0} m {:02.0} s", (seconds / 60.0).floor(), seconds % 60.0)
        }
        ms => format!("{:.1} h", ms / 3_600_000.0),
    }
}

/// Returns a number of bytes in a readable decimal unit.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::{Shown, bytes, duration, grouped};
    use maud::Render as _;

    #[test]
    fn hostile_text_is_text() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Shown::line(text, 100).render().into_string(), expected, "{text:?}");
        };
        check("plain é 漢", "plain é 漢");
        check("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;");
        check("\u{202e}\u{0}evil", "<span class=\"escape\">\\u202e\\u0000</span>evil");
        check("a\nb", "a<span class=\"escape\">\\n</span>b");
        check("", "");
        let name = |text| Shown::name(text, 100).render().into_string();
        assert_eq!(name("mcp__fs__read_file"), "mcp__fs__read_file");
        assert_eq!(
            name("mcp__fs__read_many_files.v2"),
            "mcp_<wbr>_<wbr>fs_<wbr>_<wbr>read_<wbr>many_<wbr>files.<wbr>v2"
        );
        assert_eq!(Shown::block("a\n\tb\r", 100).render().into_string(), "a\n\tb<span class=\"escape\">\\r</span>");
        let cut = "abc<span class=\"cut\"> …2 more characters</span>";
        assert_eq!(Shown::line("abcde", 3).render().into_string(), cut);
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        for (ms, expected) in [
            (0.0, "0.0 ms"),
            (9.96, "10 ms"),
            (999.6, "1.0 s"),
            (59_940.0, "59.9 s"),
            (59_990.0, "1 m 00 s"),
            (125_000.0, "2 m 05 s"),
            (7_200_000.0, "2.0 h"),
        ] {
            assert_eq!(duration(ms), expected);
        }
        assert_eq!([12, 1_500, 2_500_000].map(bytes), ["12 B", "1.5 kB", "2.5 MB"]);
    }
}
