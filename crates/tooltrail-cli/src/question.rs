//! Converts the query arguments of the command line to the library's question.

use tooltrail::{Query, Question, Zone};

use crate::failure::Failure;
use crate::remote::Params;

/// Most days that a query may look back.
pub(crate) const DAYS_MAX: u32 = 3_650;

/// The arguments of every command that queries the trail.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct QuestionArgs {
    /// Which entries: terms, all of which must hold
    ///
    ///   tool=fs.*,shell user!=bob   a field; * is any text, != is not
    ///   args.path=/etc/* arg=*.pem  a member of the arguments, any of them
    ///   duration>500ms chars<=10k   how long it took, its result's length
    ///   last=1h since=2026-11-23    when, instead of --days; until, too;
    ///                               in --zone, or UTC: 2026-11-23T12:00:00Z
    ///   timeout "two words"         a text anywhere, capitals or not
    ///   NOT a (b OR c)              anything but, and one of several
    ///
    /// `tooltrail help query` says all of it. Put the whole in single
    /// quotes, or the shell takes > and * for its own.
    #[arg(value_name = "QUERY", verbatim_doc_comment)]
    query: Vec<String>,

    /// Only this user's entries [default: everybody's]
    #[arg(long, short, value_name = "USER")]
    user: Option<String>,

    /// How many days back from today (UTC), 1 to 3650, where the query names no time and no id
    #[arg(long, short, value_name = "N", default_value_t = 7, value_parser = days)]
    days: u32,

    /// Only entries from this time on, instead of --days [a day, or 2026-11-23T08:15:00Z]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,

    /// Only entries before this time; a day means all of it. An address (unix:PATH, http://…) is a service, as with
    /// --service
    #[arg(long, value_name = "TIME|ADDRESS")]
    to: Vec<String>,

    /// Only entries of the last 30s, 15m, 1h, 7d or 2w, instead of --days
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["from", "to"])]
    last: Option<String>,
}

impl QuestionArgs {
    /// Returns the question. Times without a time zone are in `zone`. Unless `own` is set, tooltrail's own entries
    /// about reads of the trail are left out. The range of the days is checked later, by `Question::check`.
    pub(crate) fn question(&self, zone: &Zone, own: bool) -> Result<Question, Failure> {
        let mut question = Question::new();
        question.query = Query::parse_in(&self.query.join(" "), zone)?;
        question.query = question.query.and(Query::between(self.from.as_deref(), self.until()?, zone)?);
        if let Some(span) = &self.last {
            let last = Query::parse(&format!("last={span}")).ok().filter(|_| span.chars().all(char::is_alphanumeric));
            let last = last.ok_or_else(|| {
                Failure::could_not(format!("--last {span:?}: no such span"), "write 30s, 15m, 1h, 7d or 2w")
            })?;
            question.query = question.query.and(last);
        }
        if !own {
            question.query = question.query.without_own_reads();
        }
        question.user.clone_from(&self.user);
        question.days = self.days;
        Ok(question)
    }
}

impl QuestionArgs {
    /// Returns the end of the range, if it is given.
    ///
    /// # Errors
    /// It is given twice.
    fn until(&self) -> Result<Option<&str>, Failure> {
        let mut times = self.to.iter().filter(|to| !is_address(to));
        match (times.next(), times.next()) {
            (time, None) => Ok(time.map(String::as_str)),
            (_, Some(_)) => Err(Failure::could_not("--to names two times", "give the end of the range once")),
        }
    }

    /// Returns the address of the service in --to.
    pub(crate) fn service(&self) -> Option<&str> {
        self.to.iter().find(|to| is_address(to)).map(String::as_str)
    }

    /// Refuses a service, for commands that read files only.
    ///
    /// # Errors
    /// --to names a service.
    pub(crate) fn check_no_service(&self) -> Result<(), Failure> {
        match self.service() {
            Some(address) => Err(Failure::could_not(
                format!("--to {address}: this command reads the files of a home"),
                "run it as the owner of the home; recent, show, sessions, stats and tail ask a service",
            )),
            None => Ok(()),
        }
    }

    /// Returns the question as parameters for a service, with the same meaning as [`QuestionArgs::question`].
    ///
    /// # Errors
    /// The query or a time is none.
    pub(crate) fn params(&self, zone: &Zone, own: bool) -> Result<Params, Failure> {
        let mut query = self.query.join(" ");
        let parsed = Query::parse_in(&query, zone)?;
        let mut more = self.last.iter().map(|span| format!("last={span}")).collect::<Vec<_>>();
        if !own && parsed.clone().without_own_reads() != parsed {
            more.push("tool!=tooltrail.read".to_owned());
        }
        if !more.is_empty() {
            let before = if query.trim().is_empty() { String::new() } else { format!("({query}) ") };
            query = before + &more.join(" ");
        }
        let params = Params::default().with("q", &query).with("user", self.user.as_deref().unwrap_or_default());
        let params = params.with("from", self.from.as_deref().unwrap_or_default());
        Ok(params.with("to", self.until()?.unwrap_or_default()).with("days", &self.days.to_string()))
    }
}

fn is_address(to: &str) -> bool {
    to.starts_with("unix:") || to.starts_with("http://") || to.starts_with("https://")
}

/// Parses a number of days. Its range is checked later, with the question.
pub(crate) fn days(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "give a number of days from 1 to 3650")
}

#[cfg(test)]
mod tests {
    use tooltrail::Query;

    use crate::query_help::TEXT;

    #[test]
    fn each_query_of_the_help_is_one() {
        let mut section = "";
        let mut queries = Vec::new();
        for line in TEXT.lines() {
            if !line.starts_with(' ') && !line.is_empty() {
                section = line;
            }
            let is_query = match section {
                "FIELDS" | "ARGUMENTS" | "NUMBERS" | "TIME" | "TEXT" | "JOINING" => {
                    // A sentence has two words with one blank between them at its begin; what goes on is further right.
                    line.starts_with("  ")
                        && !line.starts_with("     ")
                        && !line.ends_with([',', '.', ':'])
                        && !["Fields:", "The ", "OR joins", "Without", "parenth", "words "]
                            .iter()
                            .any(|word| line.trim_start().starts_with(word))
                }
                "EXAMPLES" => line.starts_with("      "),
                _ => false,
            };
            if is_query {
                // The explanation stands after several blanks.
                queries.push(line.trim().split("   ").next().unwrap_or_default().trim());
            }
        }
        for query in &queries {
            assert!(Query::parse(query).is_ok(), "{query}: {:?}", Query::parse(query));
        }
        assert!(queries.len() >= 25, "{queries:?}");
    }
}
