//! Asks a service.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tooltrail::{Date, Nothing, Page};

use crate::client::{Answer, Client, ServiceAddress};
use crate::failure::Failure;
use crate::remote::answers::{names, scanned, skipped};
use crate::remote::question::Params;

/// The longest time of a question: the service answers within its own bounds, which are shorter.
const TIME: Duration = Duration::from_secs(30);

/// Which service is asked instead of the home.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ServiceArgs {
    /// Ask this service instead of reading the home: unix:PATH or http://127.0.0.1:PORT
    #[arg(long, value_name = "ADDRESS", requires = "token_file")]
    pub(crate) service: Option<String>,

    /// The file with a token for it, of role user or admin
    #[arg(long, value_name = "FILE", env = "TOOLTRAIL_TOKEN_FILE", hide_env_values = true)]
    pub(crate) token_file: Option<PathBuf>,
}

/// A service that is asked.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    client: Client,
    streams: Client,
}

impl ServiceArgs {
    /// Returns the service that is named here, or by `to`, the address in an option --to.
    ///
    /// # Errors
    /// The address is none, or there is no token.
    pub(crate) fn remote(&self, to: Option<&str>) -> Result<Option<Remote>, Failure> {
        let Some((address, token)) = self.address_and_token(to)? else { return Ok(None) };
        let streams = Client::new(Clone::clone(&address), token.clone(), None);
        Ok(Some(Remote { client: Client::new(address, token, Some(TIME)), streams }))
    }

    /// Returns a client of the service that is named, with the longest time of a request.
    ///
    /// # Errors
    /// As [`ServiceArgs::remote`].
    pub(crate) fn client(&self, to: Option<&str>, time: Duration) -> Result<Option<Client>, Failure> {
        let found = self.address_and_token(to)?;
        Ok(found.map(|(address, token)| Client::new(address, token, Some(time))))
    }

    fn address_and_token(&self, to: Option<&str>) -> Result<Option<(ServiceAddress, String)>, Failure> {
        let Some(address) = to.or(self.service.as_deref()) else { return Ok(None) };
        let parsed =
            address.parse().map_err(|error: String| Failure::could_not(format!("{address}: {error}"), "mend it"))?;
        let file = self.token_file.as_ref().ok_or_else(|| {
            Failure::could_not(
                format!("{address} answers nobody without a token"),
                "name a file with one of role user or admin: --token-file FILE, or TOOLTRAIL_TOKEN_FILE",
            )
        })?;
        Ok(Some((parsed, Client::token_in(file)?)))
    }
}

/// A page of entries as the service sends it.
#[derive(Deserialize)]
struct RemotePage<'a> {
    #[serde(borrow)]
    entries: Vec<&'a RawValue>,
    next: Option<String>,
    complete: bool,
    skipped: Value,
    scanned: Value,
    #[serde(default)]
    unreadable_names: Value,
    nothing: Option<RemoteNothing>,
}

#[derive(Deserialize)]
struct RemoteNothing {
    from: String,
    to: String,
    newest: Option<String>,
}

impl Remote {
    /// Returns the address of the service.
    pub(crate) fn address(&self) -> String {
        self.client.address().to_string()
    }

    pub(super) const fn streams(&self) -> &Client {
        &self.streams
    }

    /// Asks for a page of entries, whose lines are as they are stored.
    ///
    /// # Errors
    /// The service does not answer, or refuses the question.
    pub(crate) fn recent(&self, params: &Params) -> Result<Page, Failure> {
        let body = self.body("/api/audit/recent", params)?;
        let found: RemotePage<'_> = serde_json::from_str(&body).map_err(|_| not_understood())?;
        let mut page = Page::default();
        page.lines = found.entries.iter().map(|line| line.get().to_owned()).collect();
        (page.next, page.complete) = (found.next, found.complete);
        (page.skipped, page.scanned) = (skipped(&found.skipped), scanned(&found.scanned));
        page.unreadable_names = names(&found.unreadable_names);
        page.nothing = found.nothing.and_then(|nothing| {
            let date = |text: &str| Date::parse(text);
            Some(Nothing::new(date(&nothing.from)?, date(&nothing.to)?, nothing.newest.as_deref().and_then(date)))
        });
        Ok(page)
    }

    /// Asks for a JSON object.
    ///
    /// # Errors
    /// As [`Remote::recent`].
    pub(crate) fn json(&self, path: &str, params: &Params) -> Result<Value, Failure> {
        serde_json::from_str(&self.body(path, params)?).map_err(|_| not_understood())
    }

    fn body(&self, path: &str, params: &Params) -> Result<String, Failure> {
        let answer = self.client.get(path, params.pairs());
        let Answer { status, body } = answer.map_err(|error| Failure::could_not(error.0, AWAY))?;
        if status == 200 { Ok(body) } else { Err(refused(status, &body)) }
    }
}

/// The hint if the service does not answer.
const AWAY: &str = "see that it runs, and that the address is right";

fn not_understood() -> Failure {
    Failure::could_not("the answer of the service is not understood", "it may be a newer one: upgrade this one")
}

/// Returns the failure for an answer that is none.
pub(super) fn refused(status: u16, body: &str) -> Failure {
    let problem = serde_json::from_str::<Value>(body).unwrap_or_default();
    let text = |name: &str| problem[name].as_str().map(str::to_owned);
    let what = text("detail").or_else(|| text("title")).unwrap_or_default();
    let what = if what.is_empty() { format!("the service answered {status}") } else { what };
    let hint = text("hint").unwrap_or_else(|| "the log of the service may tell more".to_owned());
    Failure::could_not(what, hint)
}

/// Returns the failure of a stream that does not begin.
pub(super) fn away(why: String) -> Failure {
    Failure::could_not(why, AWAY)
}
