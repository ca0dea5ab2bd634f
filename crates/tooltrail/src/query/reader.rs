//! Reads the smallest parts of a query: words, values, numbers and times, each with its place.

use super::terms::{Term, instant, unit_ms};
use crate::clock::{Timestamp, Zone};
use crate::error::Error;

/// A reader with its position in the text of a query.
pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// The zone for times without a zone.
    pub(super) zone: &'a Zone,
    /// Whether the previous term names a field.
    pub(super) after_term: bool,
    /// The number of terms and listed values so far.
    pub(super) terms: usize,
}

/// A value after an operator, or a free text: the literal parts between stars.
pub(super) struct Value {
    pub(super) parts: Vec<String>,
    pub(super) at: usize,
}

impl Value {
    /// Returns the value for places where a star has no meaning.
    pub(super) fn plain(self) -> String {
        self.parts.join("*")
    }
}

impl<'a> Parser<'a> {
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    pub(super) fn refuse(&self, at: usize, what: &str, hint: &'static str) -> Error {
        Error::Query { text: self.text.to_owned(), at: self.text[..at].chars().count(), what: what.to_owned(), hint }
    }

    /// Returns the bare word that comes next: up to white space, or a parenthesis that is not opened in the word.
    pub(super) fn word(&self) -> &'a str {
        let rest = self.rest();
        let mut open = 0_usize;
        let end = rest.find(|c: char| match c {
            '(' => {
                open += 1;
                false
            }
            ')' if open == 0 => true,
            ')' => {
                open -= 1;
                false
            }
            c => c.is_whitespace(),
        });
        &rest[..end.unwrap_or(rest.len())]
    }

    /// Reads a time span in milliseconds. With `plain`, a number without a unit is one of milliseconds.
    pub(super) fn duration(&mut self, plain: bool) -> Result<f64, Error> {
        let value = self.value(&[])?;
        let (at, text) = (value.at, value.plain());
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let unit_ms = match unit {
            "" if plain => 1.0,
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            _ => return Err(self.refuse(at, "no such unit of time", "write 500ms, 1.5s, 2m or 1h")),
        };
        let number = text[..text.len() - unit.len()].parse::<f64>();
        number.map(|n| n * unit_ms).map_err(|_| self.refuse(at, "not a number", "write 500ms, 1.5s, 2m or 1h"))
    }

    /// Reads a number of characters, which may be thousands or millions.
    pub(super) fn characters(&mut self) -> Result<f64, Error> {
        let value = self.value(&[])?;
        let (at, text) = (value.at, value.plain());
        let (digits, times) = match text.strip_suffix(['k', 'K']) {
            Some(digits) => (digits, 1_000.0),
            None => text.strip_suffix(['m', 'M']).map_or((&*text, 1.0), |digits| (digits, 1_000_000.0)),
        };
        let is_count = digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' && times > 1.0);
        let number = digits.parse::<f64>().ok().filter(|_| is_count).map(|number| number * times);
        number.ok_or_else(|| {
            self.refuse(at, "not a count", "write whole digits or thousands, as in chars>1000 or chars>10k")
        })
    }

    pub(super) fn last(&mut self) -> Result<Term, Error> {
        let value = self.value(&[])?;
        let (at, text) = (value.at, value.plain());
        let read = || {
            let unit = text.chars().next_back()?;
            unit_ms(unit)?;
            let digits = &text[..text.len() - unit.len_utf8()];
            let count = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
            Some(Term::Last { count, unit })
        };
        read().ok_or_else(|| self.refuse(at, "no such span", "write last=30s, 15m, 1h, 7d or 2w"))
    }

    /// Reads a time, or a date to which it adds `whole_days` days.
    pub(super) fn instant(&mut self, whole_days: i64) -> Result<Timestamp, Error> {
        let value = self.value(&[])?;
        let (at, text) = (value.at, value.plain());
        let hint = "write 2026-11-23 or 2026-11-23T08:15:00Z";
        instant(&text, whole_days, self.zone).ok_or_else(|| self.refuse(at, "no such time", hint))
    }

    /// Reads a bare or quoted value and splits it at its stars. `ends` are further characters that end it.
    pub(super) fn value(&mut self, ends: &[char]) -> Result<Value, Error> {
        if self.rest().starts_with('"') {
            return self.quoted(ends);
        }
        let (start, word) = (self.at, self.word());
        let bare = &word[..word.find(ends).unwrap_or(word.len())];
        if bare.is_empty() {
            let hint = "write it without blanks, as in tool=a,b, or \"\" for an empty value";
            return Err(self.refuse(start, "a value is missing", hint));
        }
        self.at += bare.len();
        Ok(Value { parts: bare.split('*').map(str::to_owned).collect(), at: start })
    }

    /// Reads a quoted value. The current character is the opening quote.
    pub(super) fn quoted(&mut self, ends: &[char]) -> Result<Value, Error> {
        let start = self.at;
        let quoted = &self.rest()[1..];
        let mut parts = vec![String::new()];
        let mut chars = quoted.char_indices();
        while let Some((n, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = start + 1 + n + 1;
                    let is_end = |c: char| c.is_whitespace() || c == ')' || ends.contains(&c);
                    if !self.rest().is_empty() && !self.rest().starts_with(is_end) {
                        return Err(self.refuse(
                            self.at,
                            "text follows a quote",
                            "put a blank after the closing quote",
                        ));
                    }
                    return Ok(Value { parts, at: start });
                }
                '*' => parts.push(String::new()),
                '\\' => match chars.next() {
                    Some((_, c @ ('"' | '\\' | '*'))) => push(&mut parts, c),
                    _ => {
                        return Err(self.refuse(
                            start + 1 + n,
                            "unknown escape",
                            r#"inside quotes write \", \\ or \*"#,
                        ));
                    }
                },
                c => push(&mut parts, c),
            }
        }
        Err(self.refuse(start, "the quote is not closed", "add the closing quote"))
    }
}

/// Appends a character to the last part.
fn push(parts: &mut [String], c: char) {
    if let Some(part) = parts.last_mut() {
        part.push(c);
    }
}
