//! Converts the query arguments of the command line to the library's question.

use tooltrail::{Query, Question, Zone};

use crate::failure::Failure;

/// Most days that a query may look back.
pub(crate) const DAYS_MAX: u32 = 3_650;

/// The arguments of every command that queries the trail.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct QuestionArgs {
    /// Which entries: terms, all of which must hold
    ///
    ///   tool=fs.* user!=bob         a field; * is any text, != is not
    ///   duration>500ms chars<=10    how long it took, its result's length
    ///   last=1h since=2026-11-23    when, instead of --days; until, too;
    ///                               in --zone, or UTC: 2026-11-23T12:00:00Z
    ///   timeout "two words"         a text anywhere, capitals or not
    ///
    /// Fields: tool, status, user, session, agent, model, client, server,
    /// via, reason, call_id, parent, id, rule, trace_id, identity. Put the
    /// whole in single quotes, or the shell takes > and * for its own.
    #[arg(value_name = "QUERY", verbatim_doc_comment)]
    query: Vec<String>,

    /// Only this user's entries [default: everybody's]
    #[arg(long, short, value_name = "USER")]
    user: Option<String>,

    /// How many days back from today (UTC), 1 to 3650, where the query names no time and no id
    #[arg(long, short, value_name = "N", default_value_t = 7, value_parser = days)]
    days: u32,
}

impl QuestionArgs {
    /// Returns the question. Times without a time zone are in `zone`. Unless `own` is set, tooltrail's own entries
    /// about reads of the trail are left out. The range of the days is checked later, by `Question::check`.
    pub(crate) fn question(&self, zone: &Zone, own: bool) -> Result<Question, Failure> {
        let mut question = Question::new();
        question.query = Query::parse_in(&self.query.join(" "), zone)?;
        if !own {
            question.query = question.query.without_own_reads();
        }
        question.user.clone_from(&self.user);
        question.days = self.days;
        Ok(question)
    }
}

/// Parses a number of days. Its range is checked later, with the question.
pub(crate) fn days(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "give a number of days from 1 to 3650")
}
