//! Patterns for whole names: `*` means any text. Matching takes linear time.

use memchr::memmem;

/// A pattern, stored as the literal parts between its stars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    /// The parts; never empty. One part means that there is no star. Only the first and the last part may be empty.
    parts: Vec<String>,
}

impl Glob {
    /// Returns the pattern of these parts, with a star between each two.
    pub(crate) fn new(mut parts: Vec<String>) -> Self {
        // Two stars in a row mean the same as one.
        let last = parts.len().saturating_sub(1);
        let mut n = 0;
        parts.retain(|part| {
            n += 1;
            !part.is_empty() || n == 1 || n == last + 1
        });
        if parts.is_empty() {
            parts.push(String::new());
        }
        Self { parts }
    }

    /// Returns the literal parts in order.
    pub(crate) fn parts(&self) -> &[String] {
        &self.parts
    }

    /// Returns the only name that matches, if there is no star.
    pub(crate) fn exact(&self) -> Option<&str> {
        if let [only] = &*self.parts { Some(only) } else { None }
    }

    /// Whether the whole name matches.
    pub(crate) fn fits(&self, name: &str) -> bool {
        match &*self.parts {
            [first, middle @ .., last] => fits(first, middle.iter().map(String::as_str), last, name),
            _ => self.exact() == Some(name),
        }
    }
}

/// Returns whether a pattern matches a whole name. `*` means any text, and no other character is special.
///
/// The time is linear in the length of both.
///
/// ```
/// assert!(tooltrail::glob_matches("fs.*", "fs.read"));
/// assert!(!tooltrail::glob_matches("fs.*", "nfs.read"));
/// ```
#[must_use]
pub fn glob_matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    fits(first, middle.split('*'), last, name)
}

/// Whether a name starts with `first` and ends with `last`, with the middle parts in order between them.
///
/// Each middle part is matched at its first occurrence; a later one never helps the parts after it.
fn fits<'a>(first: &str, middle: impl Iterator<Item = &'a str>, last: &str, name: &str) -> bool {
    let Some(mut rest) = name.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else {
        return false;
    };
    for part in middle {
        let Some(at) = memmem::find(rest.as_bytes(), part.as_bytes()) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, fits: &[&str], others: &[&str]) {
        let glob = Glob::new(pattern.split('*').map(str::to_owned).collect());
        for name in fits {
            assert!(glob.fits(name) && glob_matches(pattern, name), "{pattern} {name}");
        }
        for name in others {
            assert!(!glob.fits(name) && !glob_matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn whole_names_fit() {
        check("fs.read", &["fs.read"], &["fs.rea", "fs.read2", "xfs.read", "FS.READ", ""]);
        check("fs.*", &["fs.", "fs.read"], &["fs", "xfs.read"]);
        check("*", &["", "x"], &[]);
        check("**", &["", "x"], &[]);
        check("a**b", &["ab", "axb"], &["a", "b"]);
        check("*a*b*", &["ab", "xaxbx"], &["ba"]);
        check("aa*aa", &["aaaa", "aaxaa"], &["aaa", "aa"]);
        check("", &[""], &["x"]);
        check("é*設", &["é設", "éx設"], &["e設"]);
        check("*.read", &["fs.read"], &["fs.read.x"]);
        check("a*a", &["aa"], &["a"]);
        check("a*b*c", &["a-b-b-c"], &["acb"]);
        check("*ab*ab*", &["abab"], &["aab"]);
        check("fs.?", &["fs.?"], &["fs.x"]);
        check("[a-z]*", &["[a-z]x"], &["b"]);
    }

    #[test]
    fn many_stars_stay_linear() {
        let (pattern, name) = ("a*".repeat(2_000), "a".repeat(100_000));
        check(&pattern, &[&name], &[]);
        check(&format!("{pattern}b"), &[], &[&name]);
    }
}
