//! The state of a page, which is stored in its address. A link to another state is a [`View`] formatted as an address.

use std::fmt::Write as _;

use tooltrail::{Cursor, Error, Query, Question, Status};

/// Days that a view looks back if its address does not say; the same default as in the API.
pub(crate) const DAYS_DEFAULT: u32 = 7;

/// Most calls on one page: several screens, and still fast to render on a phone.
pub(crate) const ROWS_MAX: usize = 100;

/// The state of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// The query, as it was typed.
    pub(crate) query: String,
    /// Only calls with this status.
    pub(crate) status: Option<Status>,
    /// Only tools that match this pattern; `\*` matches a star.
    pub(crate) tool: Option<String>,
    /// Only calls of this user.
    pub(crate) user: Option<String>,
    /// How many days the view looks back.
    pub(crate) days: u32,
    /// Whether the reads of the trail are shown too.
    pub(crate) reads: bool,
    /// The cursor at which the previous page ended.
    pub(crate) cursor: Option<String>,
    /// The key of the opened call.
    pub(crate) open: Option<String>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            query: String::new(),
            status: None,
            tool: None,
            user: None,
            days: DAYS_DEFAULT,
            reads: false,
            cursor: None,
            open: None,
        }
    }
}

impl View {
    /// Returns the address of this view under a path.
    pub(crate) fn href(&self, path: &str) -> String {
        let days = self.days.to_string();
        let pairs = [
            ("q", Some(self.query.as_str()).filter(|query| !query.is_empty())),
            ("status", self.status.map(Status::as_str)),
            ("tool", self.tool.as_deref()),
            ("user", self.user.as_deref()),
            ("days", (self.days != DAYS_DEFAULT).then_some(days.as_str())),
            ("reads", self.reads.then_some("1")),
            ("cursor", self.cursor.as_deref()),
            ("open", self.open.as_deref()),
        ];
        address(path, &pairs)
    }

    /// Returns the first page of this view.
    pub(crate) fn first(&self) -> Self {
        Self { cursor: None, open: None, ..self.clone() }
    }

    /// Returns the first page of this view with another status.
    pub(crate) fn with_status(&self, status: Option<Status>) -> Self {
        Self { status, ..self.first() }
    }

    /// Returns the first page of this view, restricted to one tool.
    pub(crate) fn with_tool(&self, name: &str) -> Self {
        Self { tool: Some(name.replace('\\', "\\\\").replace('*', "\\*")), ..self.first() }
    }

    /// Returns the first page of this view, restricted to one user.
    pub(crate) fn with_user(&self, user: &str) -> Self {
        Self { user: Some(user.to_owned()), ..self.first() }
    }

    /// Returns the view of all calls whose field has this value.
    pub(crate) fn with_field(&self, field: &str, value: &str) -> Self {
        let query = format!("{field}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('*', "\\*"));
        Self { query, status: None, tool: None, ..self.first() }
    }

    /// Returns this view with the call of this key opened, or with no opened call.
    pub(crate) fn with_open(&self, key: Option<&str>) -> Self {
        Self { open: key.map(str::to_owned), ..self.clone() }
    }

    /// Whether the view differs from the default, for example by a filter.
    pub(crate) fn is_narrowed(&self) -> bool {
        let everything = Self { cursor: None, open: None, ..self.clone() };
        everything != Self::default()
    }

    /// Returns the query of this view.
    pub(crate) fn question(&self) -> Result<Question, Error> {
        // The typed query is parsed alone, so that an error message refers to the typed text.
        let typed = Query::parse(&self.query)?;
        let names_own_events = typed.names_own_events();
        let mut question = Question::new();
        question.query = typed.and(Query::parse(&self.filters())?);
        if !(self.reads || names_own_events) {
            question.query = question.query.without_own_reads();
        }
        question.user.clone_from(&self.user);
        question.days = self.days;
        question.limit = ROWS_MAX;
        question.cursor = self.cursor.as_deref().map(Cursor::parse).transpose()?;
        question.check()?;
        Ok(question)
    }

    /// Returns the address of the stream of new entries in this view.
    pub(crate) fn stream_href(&self, question: &Question) -> String {
        let query = question.query.to_string();
        let query = Some(query.as_str()).filter(|query| !query.is_empty());
        address("/api/audit/stream", &[("q", query), ("user", question.user.as_deref())])
    }

    /// Returns the status and tool filters as a query.
    fn filters(&self) -> String {
        let mut text = String::new();
        if let Some(status) = self.status {
            text += " status=";
            text += status.as_str();
        }
        if let Some(tool) = &self.tool {
            text += &format!(" tool=\"{}\"", pattern(tool));
        }
        text
    }
}

/// Returns a pattern escaped for use between the quotes of the query grammar.
fn pattern(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 8);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('\\', Some(next @ ('*' | '\\'))) => {
                quoted.extend(['\\', *next]);
                rest.next();
            }
            ('\\' | '"', _) => quoted.extend(['\\', c]),
            _ => quoted.push(c),
        }
    }
    quoted
}

/// Returns an address with the parameters that have a value.
fn address(path: &str, pairs: &[(&str, Option<&str>)]) -> String {
    let mut text = path.to_owned();
    for (name, value) in pairs {
        let Some(value) = value else { continue };
        text.push(if text.contains('?') { '&' } else { '?' });
        let _ = write!(text, "{name}=");
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
                byte => {
                    let _ = write!(text, "%{byte:02X}");
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::View;
    use tooltrail::{Query, Status};

    #[test]
    fn a_view_is_an_address() {
        let view = View {
            query: "a=\"b c\" 50%&+é".to_owned(),
            status: Some(Status::Denied),
            user: Some("Ünal & Söhne".to_owned()),
            days: 30,
            ..View::default()
        };
        let href = "/?q=a%3D%22b%20c%22%2050%25%26%2B%C3%A9&status=denied&user=%C3%9Cnal%20%26%20S%C3%B6hne&days=30";
        assert_eq!(view.href("/"), href);
        assert_eq!(View::default().href("/stats"), "/stats");
    }

    #[test]
    fn filters_and_the_query_are_one_question() {
        let check = |view: View, expected: &str| {
            let question = view.question().unwrap();
            assert_eq!(question.query, Query::parse(expected).unwrap(), "{view:?}");
        };
        let view = |query: &str, tool: Option<&str>| View {
            query: query.to_owned(),
            tool: tool.map(str::to_owned),
            ..View::default()
        };
        check(view("", None), "tool!=tooltrail.read");
        check(View { reads: true, ..View::default() }, "");
        check(view("tool=tooltrail.read", None), "tool=tooltrail.read");
        check(view("", Some("tooltrail.*")), "tool=tooltrail.*");
        check(view("last=1h", Some("fs.*")), "last=1h tool=fs.* tool!=tooltrail.read");
        check(View { status: Some(Status::Ok), ..view("x", None) }, "x status=ok tool!=tooltrail.read");
        for name in ["a*b", "a\\*b", "a\"b", "\\", "*", "a b\\", "\" status=ok \""] {
            let question = View::default().with_tool(name).question().unwrap();
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"").replace('*', "\\*");
            let expected = Query::parse(&format!("tool=\"{quoted}\" tool!=tooltrail.read")).unwrap();
            assert_eq!(question.query, expected, "{name}");
        }
        assert!(view("\"open", Some("x")).question().is_err());
        assert!(view("nonsense=1", None).question().is_err());
        assert!(View { days: 0, ..View::default() }.question().is_err());
        assert!(View { cursor: Some("x".to_owned()), ..View::default() }.question().is_err());
    }
}
