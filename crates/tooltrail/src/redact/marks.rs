//! The marks that replace secrets, recognised by their shape.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// Maximum characters of the name of a rule.
const RULE_CHARS_MAX: usize = 40;

/// The beginning of every mark.
pub(in crate::redact) const OPENING: &str = "[redacted:";

/// Finds the beginnings of marks.
static SEARCHER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(OPENING));

/// Returns the length of the mark at the start of a text: `[redacted:<rule>]` or `[redacted:<rule>:<number>.<tag>]`.
pub(in crate::redact) fn mark_len(text: &str) -> Option<usize> {
    let rest = text.strip_prefix(OPENING)?;
    let rule = run(rest, |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if rule == 0 || rule > RULE_CHARS_MAX {
        return None;
    }
    let mut at = OPENING.len() + rule;
    if let Some(tagged) = text[at..].strip_prefix(':') {
        let number = run(tagged, |byte| byte.is_ascii_digit());
        let tag = run(tagged.get(number..)?.strip_prefix('.')?, |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if number == 0 || tag != 16 {
            return None;
        }
        at += 1 + number + 1 + tag;
    }
    text[at..].starts_with(']').then_some(at + 1)
}

/// Returns the start and end of each mark in a text.
pub(crate) fn marks(text: &str) -> impl Iterator<Item = (usize, usize)> {
    SEARCHER.find_iter(text.as_bytes()).filter_map(move |at| mark_len(&text[at..]).map(|len| (at, at + len)))
}

/// Returns the number of marks in a text.
pub(crate) fn count_marks(text: &str) -> usize {
    marks(text).count()
}

/// Returns where the mark begins that a cut at `at` would split, or `None` if the cut splits no mark.
pub(crate) fn mark_across(text: &str, at: usize) -> Option<usize> {
    let start = text[..at].rfind('[')?;
    (start + mark_len(&text[start..])? > at).then_some(start)
}

/// Returns the number of bytes at the start of a text for which `fits` is true.
fn run(text: &str, fits: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| fits(*byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_known_by_its_shape() {
        let check = |text: &str, marks: usize| assert_eq!(count_marks(text), marks, "{text}");
        check("[redacted:password]", 1);
        check("a [redacted:jwt:1.0123456789abcdef][redacted:x] b", 2);
        check("[redacted:]", 0);
        check("[redacted:Password]", 0);
        check("[redacted:jwt:1.012345]", 0);
        check("[redacted:jwt", 0);
        check(&format!("[redacted:{}]", "a".repeat(41)), 0);
    }

    #[test]
    fn a_cut_inside_a_mark_moves_before_it() {
        let text = "ab[redacted:jwt]cd";
        assert_eq!(mark_across(text, 2), None);
        assert_eq!(mark_across(text, 3), Some(2));
        assert_eq!(mark_across(text, 15), Some(2));
        assert_eq!(mark_across(text, 16), None);
        assert_eq!(mark_across("a[b", 2), None);
    }
}
