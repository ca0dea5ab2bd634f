//! Requests to a service.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use ureq::http::Response;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, Body};

use crate::client::address::ServiceAddress;
use crate::client::unix::UnixConnector;
use crate::failure::Failure;
use crate::regular_file;

/// The longest file of a token, in bytes.
const TOKEN_BYTES_MAX: u64 = 4 * 1024;

/// The most bytes of an answer that is read as a whole: a page of the largest lines, and what is around it.
const ANSWER_BYTES_MAX: u64 = 32 << 20;

/// A client of one service, with a token.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    address: ServiceAddress,
    agent: Agent,
    token: String,
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct RequestError(pub(crate) String);

impl Client {
    /// Returns a client of the service at an address. `time` is the longest time of a request; `None` for streams.
    pub(crate) fn new(address: ServiceAddress, token: String, time: Option<Duration>) -> Self {
        let config =
            Agent::config_builder().timeout_global(time).http_status_as_error(false).max_redirects(0).proxy(None);
        let agent = match &address {
            ServiceAddress::Unix(path) => {
                Agent::with_parts(config.build(), UnixConnector(path.clone()), DefaultResolver::default())
            }
            ServiceAddress::Http(_) => config.build().new_agent(),
        };
        Self { address, agent, token }
    }

    /// Checks the address of a service.
    ///
    /// # Errors
    /// What is wrong with it, as a message.
    pub(crate) fn check_address(address: &str) -> Result<(), String> {
        address.parse::<ServiceAddress>().map(drop)
    }

    /// Returns the token in a file.
    ///
    /// # Errors
    /// The file cannot be read or has no token.
    pub(crate) fn token_in(file: &Path) -> Result<String, Failure> {
        let mut text = String::new();
        let read = regular_file::open(file).and_then(|file| file.take(TOKEN_BYTES_MAX).read_to_string(&mut text));
        read.map_err(|error| Failure::io("read", file.display(), &error))?;
        let token = text.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::could_not(
                format!("{} holds no token", file.display()),
                "put the text there that `tooltrail token add` printed",
            ));
        }
        Ok(token.to_owned())
    }

    pub(crate) const fn address(&self) -> &ServiceAddress {
        &self.address
    }

    /// Asks for a path with these parameters.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) fn get<'a>(
        &self,
        path: &str,
        params: impl Iterator<Item = (&'static str, &'a str)>,
    ) -> Result<Answer, RequestError> {
        let request = self.agent.get(self.url(path)).header("Authorization", self.authorization());
        let answer = params.fold(request, |request, (name, value)| request.query(name, value)).call();
        read(answer.map_err(|error| self.failed(&error))?)
    }

    /// Asks for a path whose answer is read as it comes. Returns the status and the body.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) fn stream<'a>(
        &self,
        path: &str,
        params: impl Iterator<Item = (&'static str, &'a str)>,
        last_id: Option<&str>,
    ) -> Result<(u16, impl Read + 'static), RequestError> {
        let request = self.agent.get(self.url(path)).header("Authorization", self.authorization());
        let mut request = params.fold(request, |request, (name, value)| request.query(name, value));
        if let Some(id) = last_id {
            request = request.header("Last-Event-ID", id);
        }
        let answer = request.call().map_err(|error| self.failed(&error))?;
        Ok((answer.status().as_u16(), answer.into_body().into_reader()))
    }

    /// Sends a JSON object and asks for a JSON answer.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) fn post_json(&self, path: &str, body: &[u8]) -> Result<Answer, RequestError> {
        let request = self.agent.post(self.url(path)).header("Authorization", self.authorization());
        let request = request.header("Content-Type", "application/json");
        // Servers of MCP want to be asked for both.
        let answer = request.header("Accept", "application/json, text/event-stream").send(body);
        read(answer.map_err(|error| self.failed(&error))?)
    }

    /// Sends entries, one JSON object a line.
    ///
    /// # Errors
    /// There is no answer. The entries may have arrived all the same.
    pub(crate) fn send(&self, lines: &[u8]) -> Result<Answer, RequestError> {
        let request = self.agent.post(self.url("/api/audit/entries")).header("Authorization", self.authorization());
        let answer = request.header("Content-Type", "application/x-ndjson").send(lines);
        read(answer.map_err(|error| self.failed(&error))?)
    }

    fn url(&self, path: &str) -> String {
        match &self.address {
            // The name is not looked up.
            ServiceAddress::Unix(_) => format!("http://127.0.0.1{path}"),
            ServiceAddress::Http(authority) => format!("http://{authority}{path}"),
        }
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn failed(&self, error: &ureq::Error) -> RequestError {
        RequestError(format!("{} does not answer: {error}", self.address))
    }
}

fn read(answer: Response<Body>) -> Result<Answer, RequestError> {
    let status = answer.status().as_u16();
    let body = answer.into_body().into_with_config().limit(ANSWER_BYTES_MAX).read_to_string();
    Ok(Answer { status, body: body.map_err(|error| RequestError(format!("the answer ended early: {error}")))? })
}
