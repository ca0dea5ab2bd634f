//! Reads an answer to `tools/list`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tooltrail::hex;

/// The longest line that is looked at for definitions. Larger lists are passed on and not compared.
pub(crate) const LIST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most bytes at the beginning of a line in which the list must begin to be noticed: servers write the result first
/// or behind a short head.
const HEAD_BYTES: usize = 64 * 1024;

/// What a server says of one tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Definition {
    /// SHA-256 of the definition with its members in order, in hex.
    pub(crate) sha256: String,
    /// The definition as JSON, with its members in order.
    pub(crate) text: String,
}

/// One page of the tools of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListedTools {
    pub(crate) tools: BTreeMap<String, Definition>,
    /// Whether a further page follows.
    pub(crate) has_more: bool,
}

#[derive(Deserialize)]
struct Message {
    result: Option<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    tools: Option<Vec<Value>>,
    #[serde(rename = "nextCursor")]
    next: Option<Value>,
}

impl ListedTools {
    /// Returns the pages in a line: of a message, or of each message of a batch. Lines that are no lists have none.
    pub(crate) fn in_line(line: &[u8]) -> Vec<Self> {
        if line.len() > LIST_BYTES_MAX || !may_list(line) {
            return Vec::new();
        }
        let is_batch = line.trim_ascii_start().starts_with(b"[");
        let messages = match is_batch {
            true => serde_json::from_slice::<Vec<Message>>(line).unwrap_or_default(),
            false => serde_json::from_slice::<Message>(line).into_iter().collect(),
        };
        let listed = messages.into_iter().filter_map(|message| message.result);
        listed
            .filter_map(|listed| Some(Self::of(listed.tools?, listed.next.is_some_and(|next| !next.is_null()))))
            .collect()
    }

    fn of(tools: Vec<Value>, has_more: bool) -> Self {
        let mut texts = BTreeMap::<String, String>::new();
        for mut tool in tools {
            let Some(name) = tool["name"].as_str().map(str::to_owned) else { continue };
            // Servers may write the members in another order each time.
            tool.sort_all_objects();
            // A client may use either of two tools of one name, so both are the definition.
            texts.entry(name).or_default().push_str(&tool.to_string());
        }
        let definition = |text: String| Definition { sha256: hex(&Sha256::digest(text.as_bytes())), text };
        Self { tools: texts.into_iter().map(|(name, text)| (name, definition(text))).collect(), has_more }
    }
}

/// Whether a line may be an answer to `tools/list`.
fn may_list(line: &[u8]) -> bool {
    let head = &line[..line.len().min(HEAD_BYTES)];
    memchr::memmem::find(head, b"\"tools\"").is_some() || memchr::memmem::find(head, b"\\u00").is_some()
}

/// Collects the lines of a stream that may be lists, in bounded memory.
#[derive(Debug, Default)]
pub(crate) struct ListLines {
    line: Vec<u8>,
    /// Whether the rest of the line is of no interest.
    is_dropped: bool,
}

impl ListLines {
    /// Takes in bytes of the stream, and calls `found` with each whole line that may be a list.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut found: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let end = memchr::memchr(b'\n', bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if !self.is_dropped {
                self.line.extend_from_slice(part);
                let is_long = self.line.len() > HEAD_BYTES;
                if self.line.len() > LIST_BYTES_MAX || is_long && !may_list(&self.line) {
                    (self.line, self.is_dropped) = (Vec::new(), true);
                }
            }
            let Some(end) = end else { return };
            if !self.is_dropped && may_list(&self.line) {
                found(&self.line);
            }
            self.line.clear();
            self.line.shrink_to(HEAD_BYTES);
            self.is_dropped = false;
            bytes = &bytes[end + 1..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_members_is_no_difference() {
        let read = |line: &str| ListedTools::in_line(line.as_bytes());
        let a = read(r#"{"id":1,"result":{"tools":[{"name":"a","inputSchema":{"x":1,"y":[2]}}],"nextCursor":"p2"}}"#);
        let b = read(r#"{"result":{"nextCursor":"p2","tools":[{"inputSchema":{"y":[2],"x":1},"name":"a"}]},"id":1}"#);
        assert_eq!((a.len(), &a), (1, &b));
        assert!(a[0].has_more);
        let other = read(r#"{"id":1,"result":{"tools":[{"name":"a","inputSchema":{"x":1,"y":[3]}}]}}"#);
        assert_ne!(a[0].tools["a"].sha256, other[0].tools["a"].sha256);
        assert!(!other[0].has_more);
        let twice = read(r#"{"id":1,"result":{"tools":[{"name":"a"},{"name":"a","description":"x"},{"other":1},5]}}"#);
        assert_eq!(twice[0].tools.len(), 1);
        assert_eq!(read(r#"[{"id":1,"result":{"tools":[]}},{"id":2,"result":{}},{"method":"x"}]"#).len(), 1);
        for no in
            [r#"{"id":1,"result":{"content":[{"tools":1}]}}"#, "\"tools\"", "{\"tools\":[]}", "not json \"tools\""]
        {
            assert_eq!(read(no), [], "{no}");
        }
    }

    #[test]
    fn lines_come_whole_in_any_pieces_and_long_ones_take_no_memory() {
        let list = "{\"result\":{\"tools\":[]}}\n";
        let long = format!("{{\"x\":\"{}\",\"tools\":1}}\n", "y".repeat(200_000));
        let text = format!("{list}other\n{long}{list}");
        for size in [1, 7, 100_000, text.len()] {
            let (mut lines, mut found, mut most) = (ListLines::default(), 0, 0);
            for part in text.as_bytes().chunks(size) {
                lines.feed(part, |line| {
                    assert_eq!(line, list.trim_end().as_bytes());
                    found += 1;
                });
                most = most.max(lines.line.len());
            }
            assert_eq!(found, 2, "{size}");
            assert!(most <= 2 * HEAD_BYTES, "{most}");
        }
    }
}
