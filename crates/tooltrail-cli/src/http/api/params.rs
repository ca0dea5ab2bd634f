//! The parameters of a query: each name must be known, given once and in range; otherwise an error says what to send.

use axum::http::Uri;
use tooltrail::{Cursor, Query, Question, Zone};

use crate::http::status::Problem;

/// The prefix of each cursor over users; it is the version of the format.
const USER_CURSOR: &str = "u1.";

/// The parameters of one request, in the order received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Parses the query of a URI; each name must be in `known`.
    pub(crate) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        Self::parse(uri.query().unwrap_or_default(), known)
    }

    /// Parses the body of a form; each name must be in `known`.
    pub(crate) fn of_form(body: &[u8], known: &[&str]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(|_| Problem::unclear("the form is not UTF-8", "send UTF-8"))?;
        Self::parse(text, known)
    }

    /// Parses `name=value` pairs that are separated by `&`.
    fn parse(text: &str, known: &[&str]) -> Result<Self, Problem> {
        let mut params: Vec<(String, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name, true)?, decoded(value, true)?);
            if !known.contains(&name.as_str()) {
                let hint = match known {
                    [] => "this path takes none".to_owned(),
                    known => format!("this path takes {}", known.join(", ")),
                };
                return Err(Problem::unclear(format!("unknown parameter {name:?}"), hint));
            }
            if params.iter().any(|(earlier, _)| *earlier == name) {
                return Err(Problem::unclear(format!("parameter {name:?} is given twice"), "give it once"));
            }
            params.push((name, value));
        }
        Ok(Self(params))
    }

    /// Returns the value of a parameter, which must be one of `words`.
    pub(crate) fn choice<'c>(&self, name: &str, words: &[&'c str]) -> Result<Option<&'c str>, Problem> {
        let Some(value) = self.text(name) else { return Ok(None) };
        let known = words.iter().find(|word| **word == value).copied();
        known
            .map(Some)
            .ok_or_else(|| Problem::unclear(format!("{name} is {value:?}"), format!("use {}", words.join(" or "))))
    }

    /// Returns the value of a parameter, which must be one of these words.
    pub(crate) fn one_of<T: Copy>(&self, name: &str, known: &[(T, &'static str)]) -> Result<Option<T>, Problem> {
        let words = known.iter().map(|(_, word)| *word).collect::<Vec<_>>();
        let chosen = self.choice(name, &words)?;
        Ok(chosen.and_then(|chosen| known.iter().find(|(_, word)| *word == chosen)).map(|(value, _)| *value))
    }

    /// Returns the query that the parameters describe. Times without a time zone are in `zone`. Parameters that are not
    /// given keep their defaults.
    pub(crate) fn question(&self, zone: &Zone) -> Result<Question, Problem> {
        let mut question = Question::new();
        question.user = self.text("user").map(str::to_owned);
        if let Some(days) = self.days()? {
            question.days = days;
        }
        if let Some(limit) = self.number("limit", 1_000)? {
            question.limit = limit as usize;
        }
        let refused = |error: tooltrail::Error| Problem::reading(&error);
        if let Some(query) = self.text("q") {
            question.query = Query::parse_in(query, zone).map_err(refused)?;
        }
        let range = Query::between(self.text("from"), self.text("to"), zone).map_err(refused)?;
        question.query = question.query.and(range);
        if let Some(cursor) = self.text("cursor") {
            question.cursor = Some(Cursor::parse(cursor).map_err(refused)?);
        }
        question.check().map_err(refused)?;
        Ok(question)
    }

    /// Returns how many days to look back, if given.
    pub(crate) fn days(&self) -> Result<Option<u32>, Problem> {
        self.number("days", 3_650)
    }

    /// Returns the user after which a page of users begins, from the cursor.
    pub(crate) fn user_cursor(&self) -> Result<Option<String>, Problem> {
        let Some(cursor) = self.text("cursor") else { return Ok(None) };
        let user = cursor.strip_prefix(USER_CURSOR).and_then(|digits| {
            let bytes = digits.as_bytes().chunks(2).map(|pair| match pair {
                [high, low] => Some((hex_digit(*high)? << 4) | hex_digit(*low)?),
                _ => None,
            });
            String::from_utf8(bytes.collect::<Option<Vec<_>>>()?).ok()
        });
        user.map(Some).ok_or_else(|| Problem::unclear("the cursor is none of ours", "send `next` of the page before"))
    }

    /// Returns the parameters as text for the trail, without the cursor, so that all pages of one query have the same
    /// text.
    pub(crate) fn asked(&self) -> String {
        let pairs = self.0.iter().filter(|(name, _)| name != "cursor").map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// Returns the value of a parameter. An empty value, as a form sends it, counts as not given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Returns the value of a parameter as a whole number from 1 to `max`.
    fn number(&self, name: &str, max: u32) -> Result<Option<u32>, Problem> {
        let Some((_, value)) = self.0.iter().find(|(known, _)| known == name) else { return Ok(None) };
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        match value.parse::<u32>() {
            Ok(number) if digits && (1..=max).contains(&number) => Ok(Some(number)),
            _ => Err(Problem::unclear(format!("{name} is {value:?}"), format!("give a whole number from 1 to {max}"))),
        }
    }
}

/// Returns the cursor of the page of users that begins after this user.
pub(crate) fn user_cursor(user: &str) -> String {
    user.bytes().fold(USER_CURSOR.to_owned(), |cursor, byte| cursor + &format!("{byte:02x}"))
}

/// Returns the value of a hex digit.
fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Refuses a URI whose path or query, percent-decoded, is not UTF-8 or contains NUL.
pub(crate) fn check(uri: &Uri) -> Result<(), Problem> {
    decoded(uri.path(), false)?;
    decoded(uri.query().unwrap_or_default(), true)?;
    Ok(())
}

/// Returns the text with percent escapes decoded, and, if `form` is set, with `+` decoded as a space.
fn decoded(text: &str, form: bool) -> Result<String, Problem> {
    let refuse = |detail| Err(Problem::unclear(detail, "percent-encode UTF-8 text, and % itself as %25"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' if form => b' ',
            b'%' => {
                let (Some(high), Some(low)) = (rest.next().and_then(hex_digit), rest.next().and_then(hex_digit)) else {
                    return refuse("the address holds a % without two hex digits");
                };
                (high << 4) | low
            }
            byte => byte,
        });
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.contains('\0') => refuse("the address holds a NUL"),
        Ok(text) => Ok(text),
        Err(_) => refuse("the address is not UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Params, decoded};

    const KNOWN: &[&str] = &["user", "days", "from", "to", "limit", "q", "cursor"];

    #[test]
    fn parameters_are_known_single_and_in_bounds() {
        let check = |text: &str, expected: Option<(Option<&str>, u32, usize)>| {
            let question = Params::parse(text, KNOWN).and_then(|params| params.question(&tooltrail::Zone::UTC)).ok();
            let got = question.as_ref().map(|question| (question.user.as_deref(), question.days, question.limit));
            assert_eq!(got, expected, "{text}");
        };
        check("", Some((None, 7, 200)));
        check("&&", Some((None, 7, 200)));
        check("user=&q=&cursor=", Some((None, 7, 200)));
        check("user=alice&days=3650&limit=1000", Some((Some("alice"), 3_650, 1_000)));
        check("user=a%20b%2Bc+d", Some((Some("a b+c d"), 7, 200)));
        check("us%65r=x", Some((Some("x"), 7, 200)));
        check("days=1&limit=1", Some((None, 1, 1)));
        check("days=007", Some((None, 7, 200)));
        for refused in [
            "days=0",
            "days=3651",
            "days=",
            "days",
            "days=+7",
            "days=%2B7",
            "days=-1",
            "days=7.0",
            "days=%207",
            "days=٧",
            "days=99999999999999999999",
            "limit=0",
            "limit=1001",
            "limit=ten",
            "day=7",
            "User=x",
            "days=7&days=7",
            "user=x&us%65r=x",
            "user=%00",
            "user=%ff",
            "user=%c3",
            "user=%",
            "user=%4",
            "user=%zz",
            "=",
            "=x",
            "offset=0",
        ] {
            check(refused, None);
        }
    }

    #[test]
    fn a_question_is_noted_without_its_page() {
        let params = Params::parse("user=a&q=tool%3Dx&cursor=abc", KNOWN).unwrap();
        assert_eq!(params.asked(), "user=a&q=tool=x");
    }

    #[test]
    fn a_cursor_over_users_comes_back() {
        for user in ["alice", "Ünal & Söhne", "a\u{0}b"] {
            let params = Params::parse(&format!("cursor={}", super::user_cursor(user)), KNOWN).unwrap();
            assert_eq!(params.user_cursor().unwrap().as_deref(), Some(user));
        }
        for cursor in ["x", "u1.6", "u1.zz", "u1.ff", "u2.61", "é"] {
            assert!(Params::parse(&format!("cursor={cursor}"), KNOWN).unwrap().user_cursor().is_err(), "{cursor}");
        }
        assert_eq!(Params::parse("cursor=", KNOWN).unwrap().user_cursor(), Ok(None));
    }

    #[test]
    fn only_a_form_has_blanks_as_plus() {
        assert_eq!(decoded("a+b", false).unwrap(), "a+b");
        assert_eq!(decoded("a+b", true).unwrap(), "a b");
    }
}
