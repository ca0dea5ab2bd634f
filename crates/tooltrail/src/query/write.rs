//! Writes a query as text that is read as the same query.

use std::fmt;

use super::foreign;
use super::terms::{Comparison, Place, Quantity, Query, Term};
use crate::glob::Glob;

impl fmt::Display for Query {
    /// Writes a text that [`Query::parse`] reads as the same query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.terms {
            // Around the whole query, no parentheses are needed.
            [Term::Any(branches)] => write_branches(f, branches),
            terms => write_terms(f, terms),
        }
    }
}

fn write_terms(f: &mut fmt::Formatter<'_>, terms: &[Term]) -> fmt::Result {
    for (n, term) in terms.iter().enumerate() {
        if n > 0 {
            f.write_str(" ")?;
        }
        write_term(f, term)?;
    }
    Ok(())
}

fn write_branches(f: &mut fmt::Formatter<'_>, branches: &[Vec<Term>]) -> fmt::Result {
    for (n, branch) in branches.iter().enumerate() {
        if n > 0 {
            f.write_str(" OR ")?;
        }
        write_terms(f, branch)?;
    }
    Ok(())
}

fn write_term(f: &mut fmt::Formatter<'_>, term: &Term) -> fmt::Result {
    match term {
        Term::Text(text) => write_value(f, std::slice::from_ref(text), foreign::is_plain),
        Term::Value { place, globs, negated } => {
            write_place(f, place)?;
            f.write_str(if *negated { "!=" } else { "=" })?;
            write_globs(f, globs)
        }
        Term::Number { field, comparison, value } => {
            let sign = Comparison::ALL.into_iter().find(|(known, _)| known == comparison).map_or("", |(_, sign)| sign);
            match field {
                Quantity::Duration => write!(f, "duration{sign}{value}ms"),
                Quantity::Chars => write!(f, "chars{sign}{value}"),
            }
        }
        Term::First(kind) => write!(f, "first={}", kind.as_str()),
        Term::Since(ts) => write!(f, "since={ts}"),
        Term::Until(ts) => write!(f, "until={ts}"),
        Term::Last { count, unit } => write!(f, "last={count}{unit}"),
        Term::Any(branches) => {
            f.write_str("(")?;
            write_branches(f, branches)?;
            f.write_str(")")
        }
        Term::Not(terms) => match &**terms {
            [term] => {
                f.write_str("NOT ")?;
                write_term(f, term)
            }
            terms => {
                f.write_str("NOT (")?;
                write_terms(f, terms)?;
                f.write_str(")")
            }
        },
    }
}

fn write_place(f: &mut fmt::Formatter<'_>, place: &Place) -> fmt::Result {
    match place {
        Place::Field(name) => f.write_str(name),
        Place::AnyArg => f.write_str("arg"),
        Place::Host => f.write_str("host"),
        Place::Member(root, path) => {
            f.write_str(root)?;
            for name in path {
                f.write_str(".")?;
                let is_plain =
                    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '@'));
                if is_plain {
                    f.write_str(name)?;
                } else {
                    write!(f, "\"{}\"", escaped(name))?;
                }
            }
            Ok(())
        }
    }
}

fn write_globs(f: &mut fmt::Formatter<'_>, globs: &[Glob]) -> fmt::Result {
    for (n, glob) in globs.iter().enumerate() {
        if n > 0 {
            f.write_str(",")?;
        }
        write_value(f, glob.parts(), |value| foreign::value(value).is_none())?;
    }
    Ok(())
}

/// Writes a value without quotes if it is read back as the same value, otherwise in quotes.
fn write_value(f: &mut fmt::Formatter<'_>, parts: &[String], is_plain: impl Fn(&str) -> bool) -> fmt::Result {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '@');
    let bare = parts.join("*");
    if parts.iter().all(|part| part.chars().all(plain)) && parts.iter().any(|part| !part.is_empty()) && is_plain(&bare)
    {
        return f.write_str(&bare);
    }
    write!(f, "\"{}\"", parts.iter().map(|part| escaped(part)).collect::<Vec<_>>().join("*"))
}

/// Returns a text as it stands between quotes, where no character has another meaning.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', r#"\""#).replace('*', r"\*")
}
