//! The published shapes of tokens as tables, and the notation in which their forms are written.
//!
//! A form is literal text with two kinds of variable parts: `<CLASS:COUNT>` is a run of characters, `{one|other}` is a
//! choice. A leading `~` means that the literals match in upper and lower case. Classes: `a` and `A` are letters, `0`
//! is digits, `h`/`H` are hexadecimal digits, `g`/`G` are the same plus the letters `g` and `h`, `3` is the alphabet of
//! base 32, `z` is that of bech32; any other character stands for itself. Counts: `n`, `n-m`, `n+`.

mod prefixed;
mod vendors;

pub(in crate::redact) use prefixed::PREFIXED;
pub(in crate::redact) use vendors::VENDORS;

/// The maximum that stands for an open count such as `20+`. No token is longer. The pattern then has no upper bound.
const RUN_MAX: usize = 4_096;

/// The description of one kind of token.
#[derive(Debug)]
pub(in crate::redact) struct Shape {
    pub(in crate::redact) rule: &'static str,
    /// Names of the vendor. One of them must stand before an assignment of the token. Empty if the form alone is
    /// enough.
    pub(in crate::redact) words: &'static [&'static str],
    /// A literal inside the form by which the token is found, and the number of characters before it. `None`: the token
    /// is found by the literal at its beginning.
    pub(in crate::redact) inner: Option<(&'static str, usize)>,
    pub(in crate::redact) form: &'static str,
    /// The Shannon entropy in bits per character that a token must exceed.
    pub(in crate::redact) entropy: f64,
    /// Whether the form guarantees 64 random bits, so that a token cannot be guessed from its tag.
    pub(in crate::redact) tagged: bool,
}

const fn prefixed(rule: &'static str, form: &'static str, entropy: f64, tagged: bool) -> Shape {
    Shape { rule, words: &[], inner: None, form, entropy, tagged }
}

const fn inner(
    rule: &'static str,
    literal: &'static str,
    before: usize,
    form: &'static str,
    entropy: f64,
    tagged: bool,
) -> Shape {
    Shape { rule, words: &[], inner: Some((literal, before)), form, entropy, tagged }
}

const fn vendor(rule: &'static str, words: &'static [&'static str], form: &'static str, entropy: f64) -> Shape {
    Shape { rule, words, inner: None, form, entropy, tagged: false }
}

/// A piece of a form.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::redact) enum Piece {
    Literal(String),
    /// The characters of the run, and its minimum and maximum length.
    Run(Vec<u8>, usize, usize),
    Choice(Vec<String>),
}

impl Shape {
    /// Returns whether the form matches in upper and lower case.
    pub(in crate::redact) fn either_case(&self) -> bool {
        self.form.starts_with('~')
    }

    /// Returns the pieces of the form.
    pub(in crate::redact) fn pieces(&self) -> Vec<Piece> {
        let mut rest = self.form.strip_prefix('~').unwrap_or(self.form);
        let mut pieces = Vec::new();
        while let Some(first) = rest.bytes().next() {
            let close = match first {
                b'<' => rest.find('>'),
                b'{' => rest.find('}'),
                _ => None,
            };
            if let Some(close) = close {
                let inside = &rest[1..close];
                rest = &rest[close + 1..];
                pieces.push(match inside.rsplit_once(':') {
                    Some((class, count)) if first == b'<' => {
                        let (least, most) = counts(count);
                        Piece::Run(characters(class), least, most)
                    }
                    _ => Piece::Choice(inside.split('|').map(str::to_owned).collect()),
                });
            } else {
                let end = rest[1..].find(['<', '{']).map_or(rest.len(), |at| at + 1);
                pieces.push(Piece::Literal(rest[..end].to_owned()));
                rest = &rest[end..];
            }
        }
        pieces
    }

    /// Returns the literals with which the form can begin, or the literal inside by which it is found.
    pub(in crate::redact) fn triggers(&self) -> Vec<String> {
        if let Some((literal, _)) = self.inner {
            return vec![literal.to_owned()];
        }
        let mut heads = vec![String::new()];
        for piece in self.pieces() {
            match piece {
                Piece::Literal(text) => heads.iter_mut().for_each(|head| head.push_str(&text)),
                Piece::Choice(texts) => {
                    heads =
                        heads.iter().flat_map(|head| texts.iter().map(move |text| format!("{head}{text}"))).collect();
                }
                Piece::Run(..) => break,
            }
        }
        heads
    }

    /// Returns the form as a regular expression, anchored at its beginning.
    pub(in crate::redact) fn pattern(&self) -> String {
        let mut pattern = String::from(if self.either_case() { "(?i-u)^(?:" } else { "(?-u)^(?:" });
        for piece in self.pieces() {
            match piece {
                Piece::Literal(text) => pattern.push_str(&regex::escape(&text)),
                Piece::Choice(texts) => {
                    let texts: Vec<String> = texts.iter().map(|text| regex::escape(text)).collect();
                    pattern.push_str(&format!("(?:{})", texts.join("|")));
                }
                Piece::Run(bytes, least, most) => {
                    pattern.push('[');
                    bytes.iter().for_each(|byte| pattern.push_str(&format!("\\x{byte:02x}")));
                    pattern.push(']');
                    pattern.push_str(&match most {
                        RUN_MAX => format!("{{{least},}}"),
                        _ => format!("{{{least},{most}}}"),
                    });
                }
            }
        }
        pattern.push(')');
        pattern
    }
}

fn counts(count: &str) -> (usize, usize) {
    let number = |digits: &str| digits.parse().unwrap_or(0);
    match (count.strip_suffix('+'), count.split_once('-')) {
        (Some(least), _) => (number(least), RUN_MAX),
        (_, Some((least, most))) => (number(least), number(most)),
        _ => (number(count), number(count)),
    }
}

fn characters(class: &str) -> Vec<u8> {
    let mut set: Vec<u8> = class
        .bytes()
        .flat_map(|code| match code {
            b'a' => (b'a'..=b'z').collect(),
            b'A' => (b'A'..=b'Z').collect(),
            b'0' => (b'0'..=b'9').collect(),
            b'h' => b"0123456789abcdef".to_vec(),
            b'H' => b"0123456789ABCDEF".to_vec(),
            b'g' => b"0123456789abcdefgh".to_vec(),
            b'G' => b"0123456789ABCDEFGH".to_vec(),
            b'3' => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".to_vec(),
            b'z' => b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".to_vec(),
            other => vec![other],
        })
        .collect();
    set.sort_unstable();
    set.dedup();
    set
}
