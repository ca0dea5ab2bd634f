//! The entries of the log: heads of day files, and records of what was erased, pruned, restored or newly keyed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::json::{Json, push_string};
use crate::seal::checkpoint::parse_hash;
use crate::seal::note::VerifierKey;
use crate::seal::tree::Hash;

/// The most bytes of an entry: what the length in a bundle of `tlog-tiles` can say.
pub(crate) const ENTRY_BYTES_MAX: usize = 65_535;

/// The most characters of a text in a record, so that a record always fits into an entry.
const TEXT_CHARS_MAX: usize = 1_000;

/// The most lines or files in one record: 8,000 bytes of room are left for the texts.
pub(crate) const LINES_MAX: usize = 200;
pub(crate) const FILES_MAX: usize = 1_000;

/// The first byte of a head.
const HEAD: u8 = 1;

/// The bytes of a head without and with a new tree.
const HEAD_BYTES: (usize, usize) = (98, 122);

const ADOPTED: u8 = 1;
const NEW_TREE: u8 = 2;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Head(Head),
    Event(LogEvent),
}

/// How many lines a day file had, and their root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The keyed name of the file.
    pub(crate) name: Hash,
    pub(crate) root: Hash,
    /// The number of lines in the tree.
    pub(crate) entries: u64,
    /// The offset in the file after the last of these lines.
    pub(crate) bytes: u64,
    /// The index of the previous head of this name.
    pub(crate) prev: Option<u64>,
    /// The time of sealing, in milliseconds since 1970.
    pub(crate) at: u64,
    /// Whether the file had lines before tooltrail sealed it.
    pub(crate) is_adopted: bool,
    /// Where the tree begins, if it is not the first tree of the file.
    pub(crate) tree: Tree,
}

/// Where a tree begins in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tree {
    pub(crate) first_line: u64,
    pub(crate) first_byte: u64,
    /// The head that did not match the file any more; `None` for the first tree.
    pub(crate) broken: Option<u64>,
}

/// Something that happened to the log or to files that it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogEvent {
    /// In milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) by: String,
    pub(crate) why: String,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Lines were replaced.
    ErasedLines(Vec<ErasedLine>),
    /// Files of these keyed names were removed because somebody asked for it.
    ErasedFiles(Vec<Hash>),
    /// Files of these keyed names were removed because they were older than the retention.
    Pruned(Vec<Hash>),
    /// The log begins anew; the last checkpoint before.
    Restored(String),
    /// From here on this key signs. `lost`: the key before could not sign any more.
    Key { key: Box<VerifierKey>, lost: bool },
}

/// A line that was replaced by another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ErasedLine {
    /// The keyed name of its file.
    pub(crate) name: Hash,
    /// Its number in the file, from 0.
    pub(crate) line: u64,
    /// The leaf of the line before and after.
    pub(crate) old: Hash,
    pub(crate) new: Hash,
    /// The id of the entry, where it had one.
    pub(crate) id: Option<String>,
}

impl Record {
    /// Returns the bytes of the entry.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Head(head) => head.encode(),
            Self::Event(event) => event.encode().into_bytes(),
        }
    }

    /// Reads an entry; `None` if it has another form.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? {
            &HEAD => Head::decode(bytes).map(Self::Head),
            b'{' if !bytes.contains(&b'\n') => LogEvent::decode(std::str::from_utf8(bytes).ok()?).map(Self::Event),
            _ => None,
        }
    }
}

impl Head {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES.1);
        let new_tree = if self.tree.broken.is_some() { NEW_TREE } else { 0 };
        bytes.extend([HEAD, if self.is_adopted { ADOPTED } else { 0 } | new_tree]);
        bytes.extend(self.name);
        bytes.extend(self.root);
        for number in [self.entries, self.bytes, self.prev.unwrap_or(u64::MAX), self.at] {
            bytes.extend(number.to_be_bytes());
        }
        if let Some(broken) = self.tree.broken {
            for number in [self.tree.first_line, self.tree.first_byte, broken] {
                bytes.extend(number.to_be_bytes());
            }
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let flags = *bytes.get(1)?;
        let has_tree = flags & NEW_TREE != 0;
        let len = if has_tree { HEAD_BYTES.1 } else { HEAD_BYTES.0 };
        if bytes.len() != len || flags & !(ADOPTED | NEW_TREE) != 0 {
            return None;
        }
        let hash = |at: usize| -> Hash { std::array::from_fn(|n| bytes[at + n]) };
        let number = |at: usize| u64::from_be_bytes(std::array::from_fn(|n| bytes[at + n]));
        let tree = || Tree { first_line: number(98), first_byte: number(106), broken: Some(number(114)) };
        Some(Self {
            name: hash(2),
            root: hash(34),
            entries: number(66),
            bytes: number(74),
            prev: Some(number(82)).filter(|prev| *prev != u64::MAX),
            at: number(90),
            is_adopted: flags & ADOPTED != 0,
            tree: if has_tree { tree() } else { Tree::default() },
        })
    }
}

impl LogEvent {
    /// Returns the event with texts short enough for an entry.
    pub(crate) fn new(at: u64, by: &str, why: &str, what: What) -> Self {
        let short = |text: &str| text.chars().take(TEXT_CHARS_MAX).collect();
        Self { at, by: short(by), why: short(why), what }
    }

    /// Returns the JSON object.
    pub(crate) fn encode(&self) -> String {
        let kind = match &self.what {
            What::ErasedLines(_) | What::ErasedFiles(_) => "erase",
            What::Pruned(_) => "prune",
            What::Restored(_) => "restore",
            What::Key { .. } => "key",
        };
        let mut json = format!("{{\"type\":\"{kind}\",\"at\":{},\"by\":", self.at);
        push_string(&mut json, &self.by);
        json.push_str(",\"why\":");
        push_string(&mut json, &self.why);
        match &self.what {
            What::ErasedLines(lines) => {
                let lines = lines.iter().map(ErasedLine::encode).collect::<Vec<_>>();
                json.push_str(&format!(",\"lines\":[{}]", lines.join(",")));
            }
            What::ErasedFiles(files) | What::Pruned(files) => {
                let files = files.iter().map(|name| format!("\"{}\"", STANDARD.encode(name))).collect::<Vec<_>>();
                json.push_str(&format!(",\"files\":[{}]", files.join(",")));
            }
            What::Restored(checkpoint) => {
                json.push_str(",\"checkpoint\":");
                push_string(&mut json, checkpoint);
            }
            What::Key { key, lost } => {
                json.push_str(",\"key\":");
                push_string(&mut json, &key.to_string());
                json.push_str(if *lost { ",\"lost\":true" } else { "" });
            }
        }
        json.push('}');
        json
    }

    fn decode(text: &str) -> Option<Self> {
        let Ok(Json::Object(members)) = Json::read(text, crate::json::DEPTH_MAX) else { return None };
        if members.iter().any(|(_, value)| is_too_deep(value)) {
            return None;
        }
        let members = Members(&members);
        let what = match members.text("type")? {
            "erase" => match (members.get("lines"), members.get("files")) {
                (Some(Json::Array(lines)), None) => {
                    What::ErasedLines(lines.iter().map(ErasedLine::decode).collect::<Option<_>>()?)
                }
                (None, Some(files)) => What::ErasedFiles(names(files)?),
                _ => return None,
            },
            "prune" => What::Pruned(names(members.get("files")?)?),
            "restore" => What::Restored(members.text("checkpoint")?.to_owned()),
            "key" => {
                let lost = match members.get("lost") {
                    None => false,
                    Some(Json::Bool(true)) => true,
                    Some(_) => return None,
                };
                What::Key { key: Box::new(VerifierKey::parse(members.text("key")?)?), lost }
            }
            _ => return None,
        };
        let (by, why) = (members.text("by")?.to_owned(), members.text("why")?.to_owned());
        Some(Self { at: members.number("at")?, by, why, what })
    }
}

impl ErasedLine {
    fn encode(&self) -> String {
        let [name, old, new] = [self.name, self.old, self.new].map(|hash| STANDARD.encode(hash));
        let mut json = format!("{{\"name\":\"{name}\",\"line\":{},\"old\":\"{old}\",\"new\":\"{new}\"", self.line);
        if let Some(id) = &self.id {
            json.push_str(",\"id\":");
            push_string(&mut json, id);
        }
        json.push('}');
        json
    }

    fn decode(json: &Json) -> Option<Self> {
        let Json::Object(members) = json else { return None };
        let members = Members(members);
        let hash = |name| parse_hash(members.text(name)?);
        let id = match members.get("id") {
            None => None,
            Some(Json::String(id)) => Some(id.clone()),
            Some(_) => return None,
        };
        Some(Self { name: hash("name")?, line: members.number("line")?, old: hash("old")?, new: hash("new")?, id })
    }
}

/// The members of an object.
pub(super) struct Members<'a>(pub(super) &'a [(String, Json)]);

impl<'a> Members<'a> {
    pub(super) fn get(&self, name: &str) -> Option<&'a Json> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        match self.get(name)? {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        match self.get(name)? {
            Json::Number(digits) => crate::seal::checkpoint::parse_number(digits),
            _ => None,
        }
    }
}

/// Whether lists and objects are nested deeper than the reader keeps them apart.
fn is_too_deep(json: &Json) -> bool {
    match json {
        Json::Deep(_) => true,
        Json::Array(elements) => elements.iter().any(is_too_deep),
        Json::Object(members) => members.iter().any(|(_, value)| is_too_deep(value)),
        _ => false,
    }
}

fn names(json: &Json) -> Option<Vec<Hash>> {
    let Json::Array(names) = json else { return None };
    let name = |json: &Json| match json {
        Json::String(name) => parse_hash(name),
        _ => None,
    };
    names.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::note::{KeyKind, SignerKey};

    #[test]
    fn records_are_read_as_they_were_written() {
        let head = Head {
            name: [1; 32],
            root: [2; 32],
            entries: 7,
            bytes: 700,
            prev: None,
            at: 1_764_000_000_000,
            is_adopted: true,
            tree: Tree::default(),
        };
        let tree = Tree { first_line: 9, first_byte: 900, broken: Some(4) };
        let later = Head { prev: Some(4), is_adopted: false, tree, ..head.clone() };
        let line = ErasedLine { name: [1; 32], line: 3, old: [4; 32], new: [5; 32], id: Some("0\"1".to_owned()) };
        let key = SignerKey::new("a", KeyKind::Log, &[1; 32]).verifier();
        let events = [
            What::ErasedLines(vec![line.clone(), ErasedLine { id: None, ..line }]),
            What::ErasedFiles(vec![[1; 32], [2; 32]]),
            What::Pruned(vec![[3; 32]]),
            What::Restored("a\n0\n\n".to_owned()),
            What::Key { key: Box::new(key.clone()), lost: false },
            What::Key { key: Box::new(key), lost: true },
        ];
        let events = events.map(|what| Record::Event(LogEvent::new(1, "me", "because \u{7}", what)));
        for record in [vec![Record::Head(head), Record::Head(later)], events.to_vec()].concat() {
            let bytes = record.encode();
            assert_eq!(Record::decode(&bytes), Some(record), "{}", String::from_utf8_lossy(&bytes));
            assert!((0..bytes.len()).all(|len| Record::decode(&bytes[..len]).is_none()));
        }
    }

    #[test]
    fn the_largest_records_fit_into_an_entry() {
        let id = Some("0".repeat(36));
        let line = ErasedLine { name: [1; 32], line: u64::MAX, old: [4; 32], new: [5; 32], id };
        let text = "\u{1}".repeat(2_000);
        for what in [What::ErasedLines(vec![line; LINES_MAX]), What::Pruned(vec![[1; 32]; FILES_MAX])] {
            assert!(LogEvent::new(1, &text, &text, what).encode().len() <= ENTRY_BYTES_MAX);
        }
    }

    #[test]
    fn other_forms_are_no_records() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"type":"erase","at":1,"by":"","why":"","lines":[],"files":[]}"#,
            r#"{"type":"prune","at":1,"by":"","why":"","files":["AAAA"]}"#,
            r#"{"type":"prune","at":-1,"by":"","why":"","files":[]}"#,
            r#"{"type":"other","at":1,"by":"","why":""}"#,
            r#"{"type":"prune","at":1,"at":2,"by":"","why":"","files":[]}"#,
        ] {
            assert!(Record::decode(text.as_bytes()).is_none(), "{text}");
        }
    }
}
