//! The data of one tool call: what the agent asked for and how the call ended, as received.

use std::time::Duration;

use crate::clock::Timestamp;

/// The length of a salt in bytes: long enough that the content of an erased line cannot be guessed.
pub(crate) const SALT_BYTES: usize = 16;

/// One tool call as a capture passes it to the recorder. It is not redacted yet, and it is never stored in this form.
///
/// A field whose value is unknown stays `None`, and the stored line leaves it out.
///
/// ```
/// use tooltrail::{Call, Status};
///
/// let call = Call::new("alice", "fs.read", r#"{"path":"a.txt"}"#).ok("hello");
/// assert_eq!(call.outcome.unwrap().status, Status::Ok);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Call {
    /// When the outcome was known; `None` means the time of recording.
    pub ts: Option<Timestamp>,
    /// The user whose agent made the call; an empty string is stored as `unknown`.
    pub user: String,
    /// The tool's name as the caller wrote it.
    pub tool: String,
    /// The arguments as JSON text, as they were sent; an empty string means no arguments. Text that is not valid JSON
    /// is stored as plain text.
    pub args: String,
    /// The characters of the whole arguments, if `args` has only their first characters, because a capture does not keep
    /// arguments of any size in memory. Such arguments are stored as clipped text. At least the first 8,192 characters
    /// should be there; the line holds fewer, but a secret may begin before the end of what the line holds.
    pub args_chars: Option<u64>,
    /// How the call ended; `None` is stored as status `error` with reason `interrupted`.
    pub outcome: Option<Outcome>,
    /// How long the call took.
    pub duration_ms: Option<DurationMs>,
    /// The conversation or run that the call belongs to.
    pub session: Option<String>,
    /// An id that the model or the client made unique for this call (`toolu_…`, `call_…`).
    pub call_id: Option<String>,
    /// The call or agent that caused this one.
    pub parent: Option<String>,
    /// The agent's name.
    pub agent: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// The program in which the agent ran.
    pub client: Option<String>,
    /// The server that offers the tool.
    pub server: Option<String>,
    /// The path on which the call arrived.
    pub via: Via,
    /// Whether `user` was verified by a token or only claimed by the caller.
    pub identity: Option<Identity>,
    /// The user named in the request body, if the token named a different one.
    pub claimed_user: Option<String>,
    /// The name of the gate rule that decided about the call.
    pub rule: Option<String>,
    /// W3C trace id: 32 lower-case hex digits. Any other value is moved to `extra`.
    pub trace_id: Option<String>,
    /// W3C span id: 16 lower-case hex digits. Any other value is moved to `extra`.
    pub span_id: Option<String>,
    /// All other received members, as pairs of name and JSON text, in the order received.
    pub extra: Vec<(String, String)>,
    /// The id, if the received line already has one (one of our own entries, or a file import).
    pub id: Option<EntryId>,
    /// The salt of a finished line; see [`Call::is_finished`].
    pub(crate) salt: Option<[u8; SALT_BYTES]>,
}

impl Call {
    /// Returns a call without an outcome; `args` is JSON text.
    #[must_use]
    pub fn new(user: impl Into<String>, tool: impl Into<String>, args: impl Into<String>) -> Self {
        Self { user: user.into(), tool: tool.into(), args: args.into(), ..Self::default() }
    }

    /// Whether the call was read from a line that a recorder has finished, by
    /// [`entry::receive_finished`](crate::entry::receive_finished). It keeps its id and salt and is not clipped again.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.salt.is_some()
    }

    /// Forgets the id, so that the entry gets a new one. It is no finished entry then.
    pub fn forget_id(&mut self) {
        (self.id, self.salt) = (None, None);
    }

    /// Sets the outcome to `ok` with this text as the result.
    #[must_use]
    pub fn ok(self, result: impl Into<String>) -> Self {
        self.ended(Outcome::ok(result))
    }

    /// Sets the outcome to `error` with this error text.
    #[must_use]
    pub fn error(self, text: impl Into<String>) -> Self {
        self.ended(Outcome::error(text))
    }

    /// Sets the outcome to `denied` with this reason.
    #[must_use]
    pub fn denied(self, reason: Reason) -> Self {
        self.ended(Outcome::denied(reason))
    }

    /// Adds another received member, whose value is JSON text, to `extra`. If the name is already used there, the
    /// member is added as `name#2`, `name#3`, ….
    pub fn add_extra(&mut self, name: &str, json: String) {
        let is_taken = |name: &str| self.extra.iter().any(|(known, _)| known == name);
        let mut free = name.to_owned();
        for n in 2.. {
            if !is_taken(&free) {
                break;
            }
            free = format!("{name}#{n}");
        }
        self.extra.push((free, json));
    }

    /// Sets the outcome.
    #[must_use]
    pub fn ended(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }
}

/// The outcome of a call: its status, and its result or error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// `ok`, `error` or `denied`.
    pub status: Status,
    /// Why the call is not ok, if known.
    pub reason: Option<Reason>,
    /// The value that the tool returned.
    pub result: Option<Payload>,
    /// The error text; it is stored instead of the result if both are present.
    pub error: Option<String>,
    /// The length and snippet of the result, if another program already cut the result (one of our own entries, or an
    /// entry in the seed format).
    pub kept: Option<ClippedResult>,
}

impl Outcome {
    /// Returns the outcome of a tool that returned this text.
    #[must_use]
    pub fn ok(result: impl Into<String>) -> Self {
        Self { status: Status::Ok, result: Some(Payload::Text(result.into())), ..Self::default() }
    }

    /// Returns the outcome of a tool that returned a JSON value other than a string, given as JSON text.
    #[must_use]
    pub fn ok_json(result: impl Into<String>) -> Self {
        Self { status: Status::Ok, result: Some(Payload::Json(result.into())), ..Self::default() }
    }

    /// Returns the outcome of a tool that failed with this text (reason `tool_error`).
    #[must_use]
    pub fn error(text: impl Into<String>) -> Self {
        Self::failed(Reason::ToolError, text)
    }

    /// Returns the outcome of a call that failed for a known reason; the text may be empty.
    #[must_use]
    pub fn failed(reason: Reason, text: impl Into<String>) -> Self {
        Self { status: Status::Error, reason: Some(reason), error: Some(text.into()), ..Self::default() }
    }

    /// Returns the outcome of a call that was refused before the tool ran.
    #[must_use]
    pub fn denied(reason: Reason) -> Self {
        Self { status: Status::Denied, reason: Some(reason), ..Self::default() }
    }
}

/// A result as received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "JSON knows strings and everything else")]
pub enum Payload {
    /// A string.
    Text(String),
    /// Any other JSON value, as JSON text.
    Json(String),
}

/// A result that another program had already cut before the library received it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the seed's two result fields, for ever")]
pub struct ClippedResult {
    /// The length of the complete result in characters.
    pub result_chars: u64,
    /// The beginning of the result.
    pub result_snippet: String,
}

/// Defines an enum in which each variant is stored as one fixed word.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// All values, in the order in which the documentation lists them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the word that is written to the stored line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Returns the value for a word, or `None` if the word is unknown.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Whether a call succeeded, failed or was refused.
    Status {
        /// The tool returned.
        Ok = "ok",
        /// The call failed, or its end is unknown.
        Error = "error",
        /// The call was refused before the tool ran.
        Denied = "denied",
    }
}

impl Default for Status {
    /// Returns `Error`, because a call without an outcome counts as failed.
    fn default() -> Self {
        Self::Error
    }
}

words! {
    /// Why a call is not ok.
    Reason {
        /// The tool returned an error.
        ToolError = "tool_error",
        /// The protocol between client and server failed.
        ProtocolError = "protocol_error",
        /// The arguments do not match the tool's schema.
        InvalidArgs = "invalid_args",
        /// This caller has no tool of that name.
        UnknownTool = "unknown_tool",
        /// The call took longer than its time limit.
        Timeout = "timeout",
        /// The caller cancelled the call while the process was running.
        Cancelled = "cancelled",
        /// The tool panicked.
        Panicked = "panicked",
        /// The process ended before the call did, or no outcome was ever received.
        Interrupted = "interrupted",
        /// A gate rule refused the call.
        Policy = "policy",
        /// A person refused the call.
        UserRefused = "user_refused",
        /// A hook refused the call.
        Hook = "hook",
        /// The caller made too many calls.
        RateLimited = "rate_limited",
    }
}

words! {
    /// The path on which a call arrived. If several captures report the same call, `stats` prefers the report that is
    /// listed first here.
    Via {
        /// The toolbox crate of this project.
        Toolbox = "toolbox",
        /// The MCP proxy.
        Proxy = "proxy",
        /// An agent's hook.
        Hook = "hook",
        /// `POST /api/audit/entries`.
        Http = "http",
        /// OpenTelemetry.
        Otlp = "otlp",
        /// `tooltrail import`.
        Import = "import",
        /// A program that uses the library.
        Library = "library",
        /// Tooltrail's own events; no capture can set this value.
        Tooltrail = "tooltrail",
    }
}

impl Default for Via {
    /// Returns `Library`, because a program that builds a [`Call`] itself uses the library.
    fn default() -> Self {
        Self::Library
    }
}

words! {
    /// How the user's name is known.
    Identity {
        /// A token proves the name.
        Verified = "verified",
        /// The caller claims the name.
        Claimed = "claimed",
    }
}

/// The longest text of a duration, in bytes. Other fields of a line have the same limit, and no clock produces a longer
/// number.
const DURATION_BYTES_MAX: usize = 200;

/// A duration in milliseconds, at least 0, that keeps the digits as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationMs(String);

impl DurationMs {
    /// Returns a measured duration with at most three decimals and no trailing zeros.
    #[must_use]
    pub fn measured(duration: Duration) -> Self {
        let micros = duration.as_micros();
        let (whole, part) = (micros / 1_000, micros % 1_000);
        if part == 0 {
            return Self(whole.to_string());
        }
        Self(format!("{whole}.{part:03}").trim_end_matches('0').to_owned())
    }

    /// Returns a received JSON number with its digits. Returns `None` if the text is not a JSON number, is negative, is
    /// longer than 200 bytes or is larger than the largest `f64`.
    ///
    /// `-0` counts as negative, because no clock measures such a duration.
    #[must_use]
    pub fn received(number: &str) -> Option<Self> {
        let fits = number.len() <= DURATION_BYTES_MAX && !number.starts_with('-');
        let is_finite = || number.parse::<f64>().is_ok_and(f64::is_finite);
        (fits && crate::json::is_number(number) && is_finite()).then(|| Self(number.to_owned()))
    }

    /// Returns the digits as they are written to the stored line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id of an entry: a UUID of version 7, written in lower case with hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(uuid::Uuid);

impl EntryId {
    /// Returns an id made from an instant and the first 74 of the 80 given bits.
    ///
    /// The bits fill `rand_a` (12 bits), then `rand_b` (62 bits); see RFC 9562, section 5.7.
    #[must_use]
    pub fn new(ts: Timestamp, bits: [u8; 10]) -> Self {
        // `wide` holds the 74 bits in sequence; the version and variant bits are inserted between the two parts below.
        let wide = bits.iter().fold(0_u128, |all, byte| all << 8 | u128::from(*byte)) >> 6;
        let rand_a = wide >> 62;
        let rand_b = wide & ((1 << 62) - 1);
        let millis = u128::from(ts.as_millis().unsigned_abs()) & ((1 << 48) - 1);
        Self(uuid::Uuid::from_u128(millis << 80 | 7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b))
    }

    /// Returns the instant that is part of the id.
    #[must_use]
    pub fn time(self) -> Timestamp {
        Timestamp::from_millis((self.0.as_u128() >> 80) as i64)
    }

    pub(crate) fn to_bits(self) -> u128 {
        self.0.as_u128()
    }

    /// Returns the id from the value of [`EntryId::to_bits`].
    pub(crate) fn from_bits(bits: u128) -> Self {
        Self(uuid::Uuid::from_u128(bits))
    }

    /// Parses an id. Returns `None` unless the text is a UUID of version 7 in lower case with hyphens.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = uuid::Uuid::try_parse(text).ok()?;
        (id.get_version_num() == 7 && id.hyphenated().to_string() == text).then_some(Self(id))
    }

    /// Writes the id into a buffer and returns it as text.
    pub(crate) fn encode(self, buffer: &mut [u8; 36]) -> &str {
        self.0.hyphenated().encode_lower(buffer)
    }
}

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.hyphenated())
    }
}
