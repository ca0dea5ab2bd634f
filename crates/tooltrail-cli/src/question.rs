//! What a person asks on the command line, as the library's question.

use tooltrail::{Query, Question};

use crate::failure::Failure;

/// The arguments of every command that asks.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Asked {
    /// Which entries, such as 'tool=fs.* status=error "free text"'; several words are joined
    #[arg(value_name = "QUERY")]
    query: Vec<String>,

    /// Only this user's entries [default: everybody's]
    #[arg(long, short, value_name = "USER")]
    user: Option<String>,

    /// How many days back from today (UTC), 1 to 3650
    #[arg(long, short, value_name = "N", default_value_t = 7)]
    days: u32,
}

impl Asked {
    /// Returns the question; days out of range are found by its `check`.
    pub(crate) fn question(&self) -> Result<Question, Failure> {
        let mut question = Question::new();
        question.query = Query::parse(&self.query.join(" "))?;
        question.user.clone_from(&self.user);
        question.days = self.days;
        Ok(question)
    }
}
