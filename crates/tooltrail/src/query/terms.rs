//! The terms of a query.

use super::first_uses::FirstKind;
use crate::call::{EntryId, Via};
use crate::clock::{Date, Timestamp, Zone};
use crate::error::Error;
use crate::glob::Glob;

/// The tool name of our own events about who read the trail.
const OWN_READS: &str = "tooltrail.read";

/// The days by which an entry's time may differ from the time in its id, because ids of other writers may have been
/// created elsewhere.
const ID_SLACK_DAYS: i64 = 1;

/// Terms, all of which must hold. A query without terms matches every entry.
///
/// ```
/// use tooltrail::Query;
///
/// let query = Query::parse(r#"tool=fs.*,shell status=error (duration>500ms OR args.path="/etc/*") "free text""#).unwrap();
/// assert_eq!(Query::parse(&query.to_string()).unwrap(), query);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    pub(super) terms: Vec<Term>,
}

impl Query {
    /// Returns the query for entries that contain a text anywhere, in any case and with any characters.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self { terms: vec![Term::Text(text.to_owned())] }
    }

    /// Whether it has no terms, so that every entry matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Returns the query for entries from one instant on and before another one. A text is a time or a date; `to` a date
    /// means all of that day. Without a zone they are read in `zone`.
    ///
    /// # Errors
    /// [`Error::Input`] if a text is no time, or if `from` is not before `to`.
    pub fn between(from: Option<&str>, to: Option<&str>, zone: &Zone) -> Result<Self, Error> {
        let hint = "write 2026-11-23 or 2026-11-23T08:15:00Z";
        let read = |name: &str, text: &str, whole_days| {
            instant(text, whole_days, zone).ok_or_else(|| Error::input(format!("{name} {text:?}: no such time"), hint))
        };
        let from = from.map(|text| read("from", text, 0)).transpose()?.map(Term::Since);
        let to = to.map(|text| read("to", text, 1)).transpose()?.map(Term::Until);
        let query = Self { terms: from.into_iter().chain(to).collect() };
        if query.is_reversed() {
            return Err(Error::input("the range ends before it begins", "give a from that is before to"));
        }
        Ok(query)
    }

    /// Returns the query for entries that match this one and also `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.terms.extend(other.terms);
        self
    }

    /// Whether it asks for our own events by name (`tool=tooltrail.*`, `via=tooltrail`), also inside of an OR.
    #[must_use]
    pub fn names_own_events(&self) -> bool {
        positive(&self.terms).any(|(place, globs)| match place {
            Place::Field("tool") => globs.iter().any(|glob| glob.parts()[0].starts_with("tooltrail.")),
            Place::Field("via") => globs.iter().any(|glob| glob.exact() == Some(Via::Tooltrail.as_str())),
            _ => false,
        })
    }

    /// Returns the same query without our own events about who read the trail, unless it asks for own events by name.
    #[must_use]
    pub fn without_own_reads(mut self) -> Self {
        if !self.names_own_events() {
            let globs = vec![Glob::new(vec![OWN_READS.to_owned()])];
            self.terms.push(Term::Value { place: Place::Field("tool"), globs, negated: true });
        }
        self
    }

    /// Returns the first and the last UTC date that its terms allow; `None` for an end that they leave open.
    ///
    /// Our own ids contain the time of their entry.
    pub(crate) fn window(&self, now: Timestamp) -> (Option<Date>, Option<Date>) {
        let (from, to) = range(&self.terms, now);
        let date = |ms: i64| Timestamp::from_millis(ms).date();
        (from.map(date), to.map(|to| date(to.saturating_sub(1))))
    }

    /// Returns the earliest day that one of the branches of an OR names, although others name none.
    pub(super) fn earliest(&self, now: Timestamp) -> Option<Date> {
        earliest(&self.terms, now).map(|ms| Timestamp::from_millis(ms).date())
    }

    /// Returns the first instant that its terms allow, and the first one after them, in milliseconds since 1970.
    pub(crate) fn range(&self, now: Timestamp) -> (Option<i64>, Option<i64>) {
        range(&self.terms, now)
    }

    /// Whether it asks for nothing but users, tools, status and a range of time, so that calls that have these in common
    /// match or do not match together.
    pub(crate) fn is_countable(&self) -> bool {
        fn is_name(term: &Term) -> bool {
            match term {
                Term::Value { place, .. } => matches!(place, Place::Field("user" | "tool" | "status")),
                Term::Any(branches) => branches.iter().flatten().all(is_name),
                Term::Not(terms) => terms.iter().all(is_name),
                _ => false,
            }
        }
        let is_time = |term: &Term| matches!(term, Term::Since(_) | Term::Until(_) | Term::Last { .. });
        self.terms.iter().all(|term| is_time(term) || is_name(term))
    }

    /// Whether one of its terms is about this field, also inside of an OR.
    pub(crate) fn is_about(&self, field: &str) -> bool {
        fn names(term: &Term, field: &str) -> bool {
            match term {
                Term::Value { place: Place::Field(name), .. } => *name == field,
                Term::Any(branches) => branches.iter().flatten().any(|term| names(term, field)),
                Term::Not(terms) => terms.iter().any(|term| names(term, field)),
                _ => false,
            }
        }
        self.terms.iter().any(|term| names(term, field))
    }

    /// Whether it asks for first uses, also inside of an OR.
    pub(crate) fn asks_for_firsts(&self) -> bool {
        fn is_first(term: &Term) -> bool {
            match term {
                Term::First(_) => true,
                Term::Any(branches) => branches.iter().flatten().any(is_first),
                Term::Not(terms) => terms.iter().any(is_first),
                _ => false,
            }
        }
        self.terms.iter().any(is_first)
    }

    /// Refuses a query for the first uses of tools where not the whole trail is known.
    ///
    /// # Errors
    /// [`Error::Input`] if it asks for them.
    pub(crate) fn check_no_firsts(&self, what: &str) -> Result<(), Error> {
        if self.asks_for_firsts() {
            let hint = "ask recent, stats or export for it";
            return Err(Error::input(format!("first=tool: {what} does not know the first uses of tools"), hint));
        }
        Ok(())
    }

    /// Whether its range ends before it starts.
    pub(super) fn is_reversed(&self) -> bool {
        let since = self.terms.iter().filter_map(|term| if let Term::Since(ts) = term { Some(ts) } else { None });
        let until = self.terms.iter().filter_map(|term| if let Term::Until(ts) = term { Some(ts) } else { None });
        matches!((since.max(), until.min()), (Some(since), Some(until)) if since >= until)
    }

    /// Returns the user whose entries alone can match, if it asks for one by the whole name.
    #[must_use]
    pub fn only_user(&self) -> Option<&str> {
        self.terms.iter().find_map(|term| match term {
            Term::Value { place: Place::Field("user"), globs, negated: false } => match &**globs {
                [glob] => glob.exact(),
                _ => None,
            },
            _ => None,
        })
    }

    /// Returns all users that it asks for by the whole name, also inside of an OR.
    pub fn whole_users(&self) -> impl Iterator<Item = &str> {
        let users = positive(&self.terms).filter(|(place, _)| **place == Place::Field("user"));
        users.flat_map(|(_, globs)| globs.iter().filter_map(Glob::exact))
    }
}

/// Returns the values that terms ask for, at any depth, but not those that they leave out.
fn positive(terms: &[Term]) -> Box<dyn Iterator<Item = (&Place, &[Glob])> + '_> {
    Box::new(terms.iter().flat_map(|term| -> Box<dyn Iterator<Item = (&Place, &[Glob])> + '_> {
        match term {
            Term::Value { place, globs, negated: false } => Box::new(std::iter::once((place, &**globs))),
            Term::Any(branches) => Box::new(branches.iter().flat_map(|branch| positive(branch))),
            _ => Box::new(std::iter::empty()),
        }
    }))
}

/// A range of milliseconds since 1970: its begin, and its exclusive end; `None` for an end that is left open.
type Range = (Option<i64>, Option<i64>);

/// Returns the range of instants that all of these terms allow.
fn range(terms: &[Term], now: Timestamp) -> Range {
    let (mut begin, mut end) = (None::<i64>, None::<i64>);
    for term in terms {
        let (from, to) = match term {
            Term::Since(ts) => (Some(ts.as_millis()), None),
            Term::Until(ts) => (None, Some(ts.as_millis())),
            Term::Last { count, unit } => {
                let span = unit_ms(*unit).unwrap_or(0).saturating_mul(i64::from(*count));
                (Some(now.as_millis().saturating_sub(span)), None)
            }
            Term::Value { place: Place::Field("id"), globs, negated: false } => either(globs.iter().map(days_of_id)),
            Term::Any(branches) => either(branches.iter().map(|branch| range(branch, now))),
            _ => (None, None),
        };
        begin = begin.max(from);
        end = [end, to].into_iter().flatten().min();
    }
    (begin, end)
}

fn earliest(terms: &[Term], now: Timestamp) -> Option<i64> {
    let branches = terms.iter().filter_map(|term| match term {
        Term::Any(branches) => {
            branches.iter().filter_map(|branch| range(branch, now).0.or_else(|| earliest(branch, now))).min()
        }
        _ => None,
    });
    branches.min()
}

/// Returns the days of the entries that an id can name.
fn days_of_id(glob: &Glob) -> Range {
    match glob.exact().and_then(EntryId::parse).map(|id| id.time().date()) {
        Some(day) => {
            let (from, to) = (day.plus_days(-ID_SLACK_DAYS).start(), day.plus_days(ID_SLACK_DAYS + 1).start());
            (Some(from.as_millis()), Some(to.as_millis()))
        }
        // An id of another writer may belong to any time.
        None => (None, Some(i64::MAX)),
    }
}

/// Returns the range of entries that are in at least one of several ranges.
fn either(ranges: impl Iterator<Item = Range>) -> Range {
    ranges
        .reduce(|(from, to), (other_from, other_to)| {
            let from = from.zip(other_from).map(|(a, b)| a.min(b));
            (from, to.zip(other_to).map(|(a, b)| a.max(b)))
        })
        .unwrap_or_default()
}

/// Reads a time, or a date to which it adds `whole_days` days.
pub(super) fn instant(text: &str, whole_days: i64, zone: &Zone) -> Option<Timestamp> {
    match Date::parse(text) {
        Some(date) => {
            let date = date.plus_days(whole_days);
            Some(Timestamp::parse(&format!("{date}T00:00:00"), zone).unwrap_or(date.start()))
        }
        None => Timestamp::parse(text, zone).ok(),
    }
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    /// A text anywhere in the entry, in any case.
    Text(String),
    /// A value that matches one of several patterns, or none of them if `negated`.
    Value { place: Place, globs: Vec<Glob>, negated: bool },
    /// A comparison of a number; an entry without the number never matches.
    Number { field: Quantity, comparison: Comparison, value: f64 },
    /// The first use of its tool, server or client by its user.
    First(FirstKind),
    /// At or after a time.
    Since(Timestamp),
    /// Before a time.
    Until(Timestamp),
    /// Within a time span before now.
    Last { count: u32, unit: char },
    /// At least one of several branches; all terms of a branch must hold. There are at least two branches, and none is
    /// empty.
    Any(Vec<Vec<Self>>),
    /// Not all of these terms, of which there is at least one.
    Not(Vec<Self>),
}

/// Where the values are that a term compares with its patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A string field of the entry.
    Field(&'static str),
    /// The value at a path inside of `args` or `extra`: names of members and positions in arrays.
    Member(&'static str, Vec<String>),
    /// Each string inside of `args`, at any depth.
    AnyArg,
    /// The host of each address inside of the strings of `args`, in lower case.
    Host,
}

/// A number field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// `duration_ms`.
    Duration,
    /// `result_chars`.
    Chars,
}

/// A comparison operator for numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

impl Comparison {
    /// All comparisons with their signs. A longer sign comes before a sign that is its prefix.
    pub(super) const ALL: [(Self, &'static str); 5] =
        [(Self::AtMost, "<="), (Self::AtLeast, ">="), (Self::Less, "<"), (Self::More, ">"), (Self::Equal, "=")];

    /// Whether the comparison holds.
    pub(super) fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Equal => left == right,
            Self::AtLeast => left >= right,
            Self::More => left > right,
        }
    }
}

/// Returns the milliseconds of a time unit of `last`.
pub(super) const fn unit_ms(unit: char) -> Option<i64> {
    match unit {
        's' => Some(1_000),
        'm' => Some(60_000),
        'h' => Some(3_600_000),
        'd' => Some(86_400_000),
        'w' => Some(604_800_000),
        _ => None,
    }
}

/// The string fields that a query can name.
pub(super) const NAMES: [&str; 16] = [
    "tool", "status", "user", "session", "agent", "model", "client", "server", "via", "reason", "call_id", "parent",
    "id", "rule", "trace_id", "identity",
];
