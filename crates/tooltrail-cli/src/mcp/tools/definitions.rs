//! Reads an answer to `tools/list`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tooltrail::hex;

use crate::mcp::tools::lines::{ToolLists, in_order, may_list, tool_name};

/// The longest line that is looked at for definitions. Larger lists are passed on and not compared.
pub(crate) const LIST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest name of a tool, in bytes. A tool with a longer one counts as one whose name cannot be read.
pub(crate) const NAME_BYTES_MAX: usize = 256;

/// The most bytes at the beginning of a line in which the list must begin to be noticed, if the client has not asked for
/// one: servers write the result first or behind a short head.
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

impl Definition {
    /// Returns the definition with this text, whose members are in order.
    pub(crate) fn new(text: String) -> Self {
        Self { sha256: hex(&Sha256::digest(text.as_bytes())), text }
    }
}

impl ListedTools {
    /// Returns the tools in a line: of a message, or of all messages of a batch together. A line that is no list has none.
    pub(crate) fn in_line(line: &[u8]) -> Option<Self> {
        if line.len() > LIST_BYTES_MAX || !may_list(line) {
            return None;
        }
        let found = ToolLists::of(std::str::from_utf8(line).ok()?)?;
        if found.lists.is_empty() {
            return None;
        }
        let mut texts = BTreeMap::<String, String>::new();
        for tool in found.lists.into_iter().flatten() {
            let Some(name) = tool_name(tool).filter(|name| name.len() <= NAME_BYTES_MAX) else { continue };
            // A client may use either of two tools of one name, so both are the definition.
            texts.entry(name).or_default().push_str(&in_order(tool));
        }
        let tools = texts.into_iter().map(|(name, text)| (name, Definition::new(text))).collect();
        Some(Self { tools, has_more: found.has_more })
    }
}

/// Collects the lines of a stream that may be lists, in bounded memory.
#[derive(Debug, Default)]
pub(crate) struct ListLines {
    line: Vec<u8>,
    /// Whether the rest of the line is of no interest.
    is_dropped: bool,
}

impl ListLines {
    /// Takes in bytes of the stream, and calls `found` with each whole line that may be a list. `is_asked` says whether the
    /// client has asked for a list that has not come yet.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], is_asked: impl Fn() -> bool, mut found: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let end = memchr::memchr(b'\n', bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if !self.is_dropped {
                self.line.extend_from_slice(part);
                let is_long = self.line.len() > HEAD_BYTES;
                if self.line.len() > LIST_BYTES_MAX || is_long && !has_list_in_head(&self.line) && !is_asked() {
                    (self.line, self.is_dropped) = (Vec::new(), true);
                }
            }
            let Some(end) = end else { return };
            if !self.is_dropped {
                found(&self.line);
            }
            self.line.clear();
            self.line.shrink_to(HEAD_BYTES);
            self.is_dropped = false;
            bytes = &bytes[end + 1..];
        }
    }
}

/// Whether a list begins at the beginning of a line.
fn has_list_in_head(line: &[u8]) -> bool {
    may_list(&line[..line.len().min(HEAD_BYTES)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_the_same_whatever_the_order_of_members() {
        let read = |line: &str| ListedTools::in_line(line.as_bytes());
        let a = read(r#"{"id":1,"result":{"tools":[{"name":"a","inputSchema":{"x":1,"y":[2]}}],"nextCursor":"p2"}}"#);
        let b = read(r#"{"result":{"nextCursor":"p2","tools":[{"inputSchema":{"y":[2],"x":1},"name":"a"}]},"id":1}"#);
        assert_eq!(a, b);
        let hash = |line: &str| read(line).map(|list| list.tools["a"].sha256.clone());
        let plain = hash(r#"{"result":{"tools":[{"name":"a"}]}}"#);
        for other in [
            r#"{"result":{"tools":[{"name":"a","x":1}]}}"#,
            r#"{"result":{"tools":[{"name":"a"},{"name":"a","x":1}]}}"#,
            r#"{"result":{"tools":[{"name":"a","x":1}]},"result":{"tools":[{"name":"a"}]}}"#,
            r#"[{"id":1,"result":{"tools":[{"name":"a"}]}},{"id":2,"result":{"tools":[{"name":"a","x":1}]}}]"#,
            r#"{"result":{"tools":[{"name":"a","x":"\ud800"}]}}"#,
        ] {
            assert_ne!(hash(other), plain, "{other}");
        }
        let long =
            format!(r#"{{"result":{{"_meta":"{}","tools":[{{"name":"a"}},{{"name":"{0}"}}]}}}}"#, "x".repeat(70_000));
        assert_eq!((hash(&long), read(&long).map(|list| list.tools.len())), (plain, Some(1)));
        assert_eq!(read("{}"), None);
    }

    #[test]
    fn lines_come_whole_in_any_pieces_and_long_ones_take_no_memory() {
        let list = "{\"result\":{\"tools\":[]}}\n";
        let is_list = |line: &[u8]| ListedTools::in_line(line).is_some();
        let long = format!("{{\"x\":\"{}\",\"tools\":1}}\n", "y".repeat(200_000));
        let text = format!("{list}other\n{long}{list}");
        for size in [1, 7, 100_000, text.len()] {
            let (mut lines, mut found, mut most) = (ListLines::default(), 0, 0);
            for part in text.as_bytes().chunks(size) {
                lines.feed(part, || false, |line| found += usize::from(is_list(line)));
                most = most.max(lines.line.len());
            }
            assert_eq!(found, 2, "{size}");
            assert!(most <= 2 * HEAD_BYTES, "{most}");
        }
        let padded = format!("{{\"result\":{{\"x\":\"{}\",\"tools\":[]}}}}\n", "y".repeat(200_000));
        for (is_asked, expected) in [(true, 1), (false, 0)] {
            let (mut lines, mut found) = (ListLines::default(), 0);
            for part in padded.as_bytes().chunks(50_000) {
                lines.feed(part, || is_asked, |line| found += usize::from(is_list(line)));
            }
            assert_eq!(found, expected);
        }
    }
}
