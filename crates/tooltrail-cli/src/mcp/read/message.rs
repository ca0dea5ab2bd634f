//! What is kept of one JSON-RPC message.

use crate::mcp::read::buffers::{ArgsText, HashedText, Kept, ResultText};

/// The id of a JSON-RPC request. A text and a number are never equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Id {
    /// A string, decoded.
    Text(String),
    /// A number: its digits as sent, so that large numbers stay apart.
    Number(String),
}

impl Id {
    /// Reads an id from its JSON text; `None` if it is neither a string nor a number.
    pub(crate) fn parse(json: &str) -> Option<Self> {
        let json = json.trim();
        match json.as_bytes().first()? {
            b'"' => serde_json::from_str(json).ok().map(Self::Text),
            b'-' | b'0'..=b'9' => Some(Self::Number(integer(json).unwrap_or_else(|| json.to_owned()))),
            _ => None,
        }
    }

    /// Returns the id as JSON text.
    pub(crate) fn json(&self) -> String {
        match self {
            Self::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Self::Number(digits) => digits.clone(),
        }
    }
}

/// The largest exponent of an id that is written out.
const EXPONENT_MAX: usize = 30;

/// Returns the digits of a number that is a whole one although it is written with a fraction or an exponent: servers
/// answer `1` to `1.0`, and `10` to `1e1`.
fn integer(number: &str) -> Option<String> {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("-", digits));
    if digits == "0" {
        return Some("0".to_owned());
    }
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let exponent =
        exponent.strip_prefix('+').unwrap_or(exponent).parse::<usize>().ok().filter(|e| *e <= EXPONENT_MAX)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > exponent {
        return None;
    }
    let zeros = "0".repeat(exponent - fraction.len());
    let all = format!("{whole}{fraction}{zeros}");
    let all = all.trim_start_matches('0');
    Some(if all.is_empty() { "0".to_owned() } else { format!("{sign}{all}") })
}

/// What is kept of one JSON-RPC message: a request, a notification or an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) id: Option<Id>,
    pub(crate) method: Option<String>,
    pub(crate) params: Params,
    pub(crate) outcome: Option<Answer>,
    /// Whether different readers may take the message for different methods, because the member that names it comes
    /// twice or with capital letters.
    pub(crate) ambiguous_method: bool,
    /// Whether they may take it for calls of different tools, if it is a call.
    pub(crate) ambiguous_tool: bool,
}

/// What is kept of the parameters of a request or notification.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params {
    /// The tool, in `tools/call`.
    pub(crate) name: Option<String>,
    pub(crate) arguments: Option<ArgsText>,
    /// `_meta` as JSON text.
    pub(crate) meta: Kept,
    /// `clientInfo` as JSON text, in `initialize`.
    pub(crate) client_info: Kept,
    /// The request that `notifications/cancelled` names.
    pub(crate) request_id: Option<Id>,
    /// Why it was cancelled.
    pub(crate) reason: Option<String>,
    /// The task that `tasks/…` names, and its status in a notification.
    pub(crate) task_id: Option<String>,
    pub(crate) status: Option<String>,
    /// The hash of `requestState`, by which a call that was asked for input is repeated.
    pub(crate) request_state: Option<[u8; 32]>,
    /// Whether the call gives the answers that the server asked for.
    pub(crate) has_input: bool,
}

/// What is kept of an answer: of its `result`, or of its `error`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) text: ResultText,
    /// `structuredContent` as compact JSON text.
    pub(crate) structured: Kept,
    pub(crate) is_error: bool,
    /// `complete`, `input_required` or `task`; absent in 2025-11-25.
    pub(crate) result_type: Option<String>,
    pub(crate) request_state: Option<[u8; 32]>,
    /// `serverInfo` and `_meta` as JSON text.
    pub(crate) server_info: Kept,
    pub(crate) meta: Kept,
    pub(crate) task_id: Option<String>,
    pub(crate) status: Option<String>,
    /// The message of the error of a task that failed.
    pub(crate) task_error: Option<String>,
    /// The code and message of a JSON-RPC error.
    pub(crate) error: Option<(i64, String)>,
}

/// One content block of a result while it is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    pub(super) kind: Kept,
    pub(super) text: Kept,
    pub(super) mime: Kept,
    /// The characters of `data` or `blob`, which are base64.
    pub(super) data_chars: Option<u64>,
    /// Whether `text` is the block's own and not that of a resource in it.
    pub(super) has_text: bool,
}

impl Answer {
    /// Takes in a content block that was read to its end.
    pub(super) fn add(&mut self, block: &Block) {
        let kind = block.kind.text();
        if kind == "text" && block.has_text {
            return self.text.add_text(&block.text);
        }
        let mime = block.mime.text();
        let label = if mime.is_empty() { if kind.is_empty() { "content".to_owned() } else { kind } } else { mime };
        let bytes = block.data_chars.map(|chars| chars * 3 / 4);
        let text = (block.text.chars > 0).then_some(block.text.chars);
        self.text.add_other(&label, bytes.or(text));
    }
}

/// The parts of a message that are texts or JSON while they are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    pub(super) id: Kept,
    pub(super) method: Kept,
    pub(super) name: Kept,
    pub(super) request_id: Kept,
    pub(super) reason: Kept,
    pub(super) task_id: Kept,
    pub(super) status: Kept,
    pub(super) request_state: HashedText,
    pub(super) flag: Kept,
    pub(super) result_type: Kept,
    pub(super) code: Kept,
    pub(super) error_message: Kept,
    pub(super) block: Block,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_texts_or_numbers_and_keep_their_digits() {
        let check = |json: &str, expected: Option<&str>| {
            assert_eq!(Id::parse(json).map(|id| id.json()).as_deref(), expected, "{json}")
        };
        check("1", Some("1"));
        check("1.0", Some("1"));
        check("-0", Some("0"));
        check("1e1", Some("10"));
        check("1.50e2", Some("150"));
        check("1.5", Some("1.5"));
        check("1e400", Some("1e400"));
        check("-2.0", Some("-2"));
        check("\"1\"", Some("\"1\""));
        check("\"\\u0061\"", Some("\"a\""));
        check("9007199254740993", Some("9007199254740993"));
        check("-3", Some("-3"));
        check("null", None);
        check("[1]", None);
        assert_ne!(Id::parse("1"), Id::parse("\"1\""));
        assert_ne!(Id::parse("9007199254740993"), Id::parse("9007199254740992"));
    }
}
