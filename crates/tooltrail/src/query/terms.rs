//! The terms of a query.

use crate::call::{EntryId, Via};
use crate::clock::{Date, Timestamp};
use crate::glob::Glob;

/// The tool name of our own events about who read the trail.
const OWN_READS: &str = "tooltrail.read";

/// The days by which an entry's time may differ from the time in its id, because ids of other writers may have been
/// created elsewhere.
const ID_SLACK_DAYS: i64 = 1;

/// Terms joined by AND. A query without terms matches every entry.
///
/// ```
/// use tooltrail::Query;
///
/// let query = Query::parse(r#"tool=fs.* status=error last=1h duration>500ms "free text""#).unwrap();
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

    /// Whether it asks for our own events by name (`tool=tooltrail.*`, `via=tooltrail`).
    #[must_use]
    pub fn names_own_events(&self) -> bool {
        self.terms.iter().any(|term| match term {
            Term::Name { field: "tool", glob, negated: false } => glob.parts()[0].starts_with("tooltrail."),
            Term::Name { field: "via", glob, negated: false } => glob.exact() == Some(Via::Tooltrail.as_str()),
            _ => false,
        })
    }

    /// Returns the same query without our own events about who read the trail, unless it asks for own events by name.
    #[must_use]
    pub fn without_own_reads(mut self) -> Self {
        if !self.names_own_events() {
            let glob = Glob::new(vec![OWN_READS.to_owned()]);
            self.terms.push(Term::Name { field: "tool", glob, negated: true });
        }
        self
    }

    /// Returns the first and the last UTC date that its terms allow; `None` for an end that they leave open.
    ///
    /// Our own ids contain the time of their entry.
    pub(crate) fn window(&self, now: Timestamp) -> (Option<Date>, Option<Date>) {
        let (mut first, mut last) = (None::<Date>, None::<Date>);
        let mut narrow = |from: Option<Date>, to: Option<Date>| {
            first = first.max(from);
            last = [last, to].into_iter().flatten().min();
        };
        for term in &self.terms {
            match term {
                Term::Since(ts) => narrow(Some(ts.date()), None),
                // The end of the range is exclusive.
                Term::Until(ts) => narrow(None, Some(Timestamp::from_millis(ts.as_millis().saturating_sub(1)).date())),
                Term::Last { count, unit } => {
                    let span = unit_ms(*unit).unwrap_or(0).saturating_mul(i64::from(*count));
                    narrow(Some(Timestamp::from_millis(now.as_millis().saturating_sub(span)).date()), None);
                }
                Term::Name { field: "id", glob, negated: false } => {
                    // An id of another writer may belong to any time.
                    match glob.exact().and_then(EntryId::parse).map(|id| id.time().date()) {
                        Some(day) => narrow(Some(day.plus_days(-ID_SLACK_DAYS)), Some(day.plus_days(ID_SLACK_DAYS))),
                        None => narrow(None, Some(Timestamp::from_millis(i64::MAX).date())),
                    }
                }
                _ => {}
            }
        }
        (first, last)
    }

    /// Whether its range ends before it starts.
    pub(super) fn is_reversed(&self) -> bool {
        let since = self.terms.iter().filter_map(|term| if let Term::Since(ts) = term { Some(ts) } else { None });
        let until = self.terms.iter().filter_map(|term| if let Term::Until(ts) = term { Some(ts) } else { None });
        matches!((since.max(), until.min()), (Some(since), Some(until)) if since >= until)
    }

    /// Returns the first user that it asks for by the whole name, if any.
    #[must_use]
    pub fn only_user(&self) -> Option<&str> {
        self.whole_users().next()
    }

    /// Returns all users that it asks for by the whole name. If they differ, no entry matches.
    pub fn whole_users(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().filter_map(|term| match term {
            Term::Name { field: "user", glob, negated: false } => glob.exact(),
            _ => None,
        })
    }
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    /// A text anywhere in the entry, in any case.
    Text(String),
    /// A string field that matches a pattern, or does not match it if `negated`.
    Name { field: &'static str, glob: Glob, negated: bool },
    /// A comparison of a number; an entry without the number never matches.
    Number { field: Quantity, comparison: Comparison, value: f64 },
    /// At or after a time.
    Since(Timestamp),
    /// Before a time.
    Until(Timestamp),
    /// Within a time span before now.
    Last { count: u32, unit: char },
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
