//! What an agent asked of a tool, and how it ended: plain data, as received.

use std::time::Duration;

use crate::clock::Timestamp;

/// One call of a tool, as a capture hands it to the recorder: not yet redacted, never stored in this form.
///
/// Fields that are unknown stay `None`; the line then leaves them out.
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
    /// When the outcome was known; `None` is the moment of recording.
    pub ts: Option<Timestamp>,
    /// Whose agent made the call; empty is stored as `unknown`.
    pub user: String,
    /// The tool's name as called.
    pub tool: String,
    /// The arguments as JSON text, as they were sent; empty is none. Text that is not JSON is stored as such.
    pub args: String,
    /// How the call ended; `None` is stored as `error`, `interrupted`.
    pub outcome: Option<Outcome>,
    /// How long the call took.
    pub duration_ms: Option<DurationMs>,
    /// The conversation or run it belongs to.
    pub session: Option<String>,
    /// An id that the model or the client made unique for this call (`toolu_…`, `call_…`).
    pub call_id: Option<String>,
    /// The call or agent that caused this one.
    pub parent: Option<String>,
    /// The agent's name.
    pub agent: Option<String>,
    /// The model's name.
    pub model: Option<String>,
    /// The program the agent ran in.
    pub client: Option<String>,
    /// The server that offers the tool.
    pub server: Option<String>,
    /// By which path the call arrived.
    pub via: Via,
    /// Whether `user` comes from a token or from the caller's word.
    pub identity: Option<Identity>,
    /// The user the body named, where the token named another.
    pub claimed_user: Option<String>,
    /// The gate rule that decided.
    pub rule: Option<String>,
    /// W3C trace id: 32 lower-case hex digits, else it is kept in `extra`.
    pub trace_id: Option<String>,
    /// W3C span id: 16 lower-case hex digits, else it is kept in `extra`.
    pub span_id: Option<String>,
    /// What else was received: name and JSON text, in the order received.
    pub extra: Vec<(String, String)>,
    /// The id of a line that has one already (our own form, or a file import).
    pub id: Option<EntryId>,
}

impl Call {
    /// Returns a call with its arguments as JSON text and no outcome yet.
    #[must_use]
    pub fn new(user: impl Into<String>, tool: impl Into<String>, args: impl Into<String>) -> Self {
        Self { user: user.into(), tool: tool.into(), args: args.into(), ..Self::default() }
    }

    /// Sets the outcome to `ok` with a text result.
    #[must_use]
    pub fn ok(self, result: impl Into<String>) -> Self {
        self.ended(Outcome::ok(result))
    }

    /// Sets the outcome to `error` with its text.
    #[must_use]
    pub fn error(self, text: impl Into<String>) -> Self {
        self.ended(Outcome::error(text))
    }

    /// Sets the outcome to `denied` with the reason.
    #[must_use]
    pub fn denied(self, reason: Reason) -> Self {
        self.ended(Outcome::denied(reason))
    }

    /// Adds what else was received, as JSON text; under `#2`, `#3`, … where something has the name already.
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

/// How a call ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// `ok`, `error` or `denied`.
    pub status: Status,
    /// Why it is not ok, where known.
    pub reason: Option<Reason>,
    /// What the tool returned.
    pub result: Option<Payload>,
    /// The error text; it wins over the result where both exist.
    pub error: Option<String>,
    /// `result_chars` and snippet of a line that was already cut by somebody else (our own form, the seed's).
    pub kept: Option<ClippedResult>,
}

impl Outcome {
    /// The tool returned this text.
    #[must_use]
    pub fn ok(result: impl Into<String>) -> Self {
        Self { status: Status::Ok, result: Some(Payload::Text(result.into())), ..Self::default() }
    }

    /// The tool returned a value that is no string, as JSON text.
    #[must_use]
    pub fn ok_json(result: impl Into<String>) -> Self {
        Self { status: Status::Ok, result: Some(Payload::Json(result.into())), ..Self::default() }
    }

    /// The tool failed with this text (`tool_error`).
    #[must_use]
    pub fn error(text: impl Into<String>) -> Self {
        Self::failed(Reason::ToolError, text)
    }

    /// The call failed for a known reason, with a text that may be empty.
    #[must_use]
    pub fn failed(reason: Reason, text: impl Into<String>) -> Self {
        Self { status: Status::Error, reason: Some(reason), error: Some(text.into()), ..Self::default() }
    }

    /// The call was refused before it ran.
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

/// The outcome of a line whose result was cut before we saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the seed's two result fields, for ever")]
pub struct ClippedResult {
    /// Characters of the whole result.
    pub result_chars: u64,
    /// Its beginning.
    pub result_snippet: String,
}

/// Defines an enum whose every variant is one word of the line.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order of the documents.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the word that stands in the line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Returns the value of a word, `None` for any other.
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
    /// How a call ended, in one word.
    Status {
        /// The tool returned.
        Ok = "ok",
        /// It failed, or nobody knows how it ended.
        Error = "error",
        /// It was refused before it ran.
        Denied = "denied",
    }
}

impl Default for Status {
    /// A call without an outcome counts as failed.
    fn default() -> Self {
        Self::Error
    }
}

words! {
    /// Why a call is not ok.
    Reason {
        /// The tool said so.
        ToolError = "tool_error",
        /// The protocol between client and server failed.
        ProtocolError = "protocol_error",
        /// The arguments do not fit the tool's schema.
        InvalidArgs = "invalid_args",
        /// No tool of that name for this caller.
        UnknownTool = "unknown_tool",
        /// It took longer than allowed.
        Timeout = "timeout",
        /// The caller gave up while the process lived.
        Cancelled = "cancelled",
        /// The tool panicked.
        Panicked = "panicked",
        /// The process died, or no outcome was ever received.
        Interrupted = "interrupted",
        /// A gate rule refused it.
        Policy = "policy",
        /// A person refused it.
        UserRefused = "user_refused",
        /// A hook refused it.
        Hook = "hook",
        /// Too many calls.
        RateLimited = "rate_limited",
    }
}

words! {
    /// The path by which a call arrived, in the order in which `stats` trusts sightings of one call.
    Via {
        /// The toolbox of this project.
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
        /// Our own events; no capture can set it.
        Tooltrail = "tooltrail",
    }
}

impl Default for Via {
    /// Whoever builds a [`Call`] by hand uses the library.
    fn default() -> Self {
        Self::Library
    }
}

words! {
    /// Whose word the user's name is.
    Identity {
        /// A token's.
        Verified = "verified",
        /// The caller's.
        Claimed = "claimed",
    }
}

/// Longest duration as text: as much as any other field of a line may hold, and no clock gives more.
const DURATION_BYTES_MAX: usize = 200;

/// Milliseconds ≥ 0, with the digits as they were received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationMs(String);

impl DurationMs {
    /// Returns a measured time: at most three decimals, no trailing zeros.
    #[must_use]
    pub fn measured(duration: Duration) -> Self {
        let micros = duration.as_micros();
        let (whole, part) = (micros / 1_000, micros % 1_000);
        if part == 0 {
            return Self(whole.to_string());
        }
        Self(format!("{whole}.{part:03}").trim_end_matches('0').to_owned())
    }

    /// Returns a received JSON number with its digits, `None` if it is no number, below zero, over 200 bytes long or beyond
    /// the largest float.
    ///
    /// `-0` counts as below zero: it is no length of time that a clock measured.
    #[must_use]
    pub fn received(number: &str) -> Option<Self> {
        let fits = number.len() <= DURATION_BYTES_MAX && !number.starts_with('-');
        let is_finite = || number.parse::<f64>().is_ok_and(f64::is_finite);
        (fits && crate::json::is_number(number) && is_finite()).then(|| Self(number.to_owned()))
    }

    /// Returns the digits as they stand in the line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A UUID of version 7 in lower case with hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(uuid::Uuid);

impl EntryId {
    /// Returns the id of an instant with 74 of these 80 bits.
    ///
    /// The first bits are used: 12 of `rand_a`, then 62 of `rand_b` (RFC 9562, section 5.7).
    #[must_use]
    pub fn new(ts: Timestamp, bits: [u8; 10]) -> Self {
        // The 74 bits stand one after another; the version and variant bits are put between them.
        let wide = bits.iter().fold(0_u128, |all, byte| all << 8 | u128::from(*byte)) >> 6;
        let rand_a = wide >> 62;
        let rand_b = wide & ((1 << 62) - 1);
        let millis = u128::from(ts.as_millis().unsigned_abs()) & ((1 << 48) - 1);
        Self(uuid::Uuid::from_u128(millis << 80 | 7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b))
    }

    /// Returns the instant that it holds.
    #[must_use]
    pub fn time(self) -> Timestamp {
        Timestamp::from_millis((self.0.as_u128() >> 80) as i64)
    }

    pub(crate) fn to_bits(self) -> u128 {
        self.0.as_u128()
    }

    /// What [`EntryId::to_bits`] gave.
    pub(crate) fn from_bits(bits: u128) -> Self {
        Self(uuid::Uuid::from_u128(bits))
    }

    /// Returns the id written as a UUID of version 7, `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = uuid::Uuid::try_parse(text).ok()?;
        (id.get_version_num() == 7 && id.hyphenated().to_string() == text).then_some(Self(id))
    }

    /// Writes the id into a buffer.
    pub(crate) fn encode(self, buffer: &mut [u8; 36]) -> &str {
        self.0.hyphenated().encode_lower(buffer)
    }
}

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.hyphenated())
    }
}
