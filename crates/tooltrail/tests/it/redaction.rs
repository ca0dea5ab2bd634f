//! Redaction from call to disk: which secrets of synthetic test data can be read in stored entries, and which harmless
//! values stay unchanged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use tooltrail::{Call, Options, Random, Recorder};

/// Maximum characters of a result, and of a string in args, that are stored.
const SNIPPET_CHARS: usize = 300;
const ARG_CHARS: usize = 500;
/// Minimum bytes of a secret that is searched in files, because a shorter number can occur in an id by chance.
const CANARY_BYTES: usize = 8;
/// The length of the beginning of a secret that could remain after a cut.
const HEAD_CHARS: usize = 12;

/// The kinds of rows, each with the minimum share of rows that must be stored as expected.
const FLOORS: [(&str, f64); 4] =
    [("secret", 0.98), ("secret_variant", 0.95), ("secret_beyond_rules", 0.95), ("benign_natural", 0.97)];

/// A random source that returns the same bits in every run.
#[derive(Debug)]
struct Zeros;

impl Random for Zeros {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

fn rows() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/secrets.jsonl.zst");
    let bytes = zstd::stream::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    String::from_utf8(bytes).unwrap().split_terminator('\n').map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { files(&entry, found) } else { found.push(entry) }
    }
}

/// Records a call for every row and returns the stored entries in order.
fn stored(rows: &[Value], home: &Path) -> Vec<Value> {
    let mut options = Options::new(home);
    options.random = Arc::new(Zeros);
    let recorder = options.open().unwrap();
    record(rows, &recorder);
    recorder.close().unwrap();
    let mut files = Vec::new();
    self::files(&home.join("holly"), &mut files);
    files.sort();
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn record(rows: &[Value], recorder: &Recorder) {
    for row in rows {
        let call = Call::new("holly", row["tool"].as_str().unwrap(), row["args"].to_string());
        let result = row["result"].as_str().unwrap_or("");
        recorder.record(&if row["variant"] == "error_text" { call.error(result) } else { call.ok(result) });
    }
}

/// Appends every string, key and number of a value.
fn readable(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => out.push_str(text),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::Array(elements) => elements.iter().for_each(|element| readable(element, out)),
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            out.push_str(key);
            out.push('\n');
            readable(value, out);
        }),
        Value::Null | Value::Bool(_) => {}
    }
    out.push('\n');
}

fn secrets(row: &Value) -> Vec<&str> {
    let also = row["also_secret"].as_array().into_iter().flatten();
    std::iter::once(&row["secret"]).chain(also).filter_map(Value::as_str).collect()
}

/// Returns a value as it is stored if nothing is redacted.
fn clipped(value: &Value) -> Value {
    match value {
        Value::String(text) if text.chars().count() > ARG_CHARS => {
            let kept: String = text.chars().take(ARG_CHARS).collect();
            Value::String(format!("{kept} …[{} chars total]", text.chars().count()))
        }
        Value::Array(elements) => elements.iter().map(clipped).collect(),
        Value::Object(members) => {
            members.iter().map(|(key, value)| (key.clone(), clipped(value))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

fn is_untouched(row: &Value, entry: &Value) -> bool {
    let result: String = row["result"].as_str().unwrap_or("").chars().take(SNIPPET_CHARS).collect();
    entry["args"] == clipped(&row["args"]) && entry["result_snippet"] == result && entry.get("redacted").is_none()
}

fn is_hidden(row: &Value, entry: &Value) -> bool {
    let mut text = String::new();
    readable(&entry["args"], &mut text);
    readable(&entry["result_snippet"], &mut text);
    let across = row["variant"].as_str().is_some_and(|variant| variant.starts_with("straddles"));
    let head = |secret: &str| secret.chars().take(HEAD_CHARS).collect::<String>();
    !secrets(row).iter().any(|secret| text.contains(secret) || across && text.contains(&head(secret)))
}

#[test]
fn secrets_are_hidden_and_all_else_is_stored_as_it_was() {
    let (rows, home) = (rows(), tempfile::tempdir().unwrap());
    let entries = stored(&rows, home.path());
    assert_eq!(entries.len(), rows.len());
    let mut counts = BTreeMap::<_, (u32, u32)>::new();
    for (row, entry) in rows.iter().zip(&entries) {
        let kind = row["kind"].as_str().unwrap();
        let good = if kind.starts_with("benign") { is_untouched(row, entry) } else { is_hidden(row, entry) };
        let count = counts.entry(kind).or_default();
        *count = (count.0 + u32::from(good), count.1 + 1);
        if !good && kind != "benign_near_miss" {
            eprintln!("{kind} {} {}: {}", row["rule"], row["context"], entry["args"]);
        }
    }
    for (kind, (good, all)) in &counts {
        let what = if kind.starts_with("benign") { "untouched" } else { "recall" };
        eprintln!("{kind}: {what} {good} of {all} = {:.3}", f64::from(*good) / f64::from(*all));
    }
    for (kind, least) in FLOORS {
        let (good, all) = counts[kind];
        assert!(f64::from(good) >= least * f64::from(all), "{kind}: {good} of {all}");
    }
    canary(&rows, home.path());
}

/// Checks that no file below the home contains a secret, plain or escaped as JSON.
fn canary(rows: &[Value], home: &Path) {
    let mut files = Vec::new();
    self::files(home, &mut files);
    assert!(files.len() >= 2, "{files:?}");
    let contents: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    for secret in rows.iter().filter(|row| !row["kind"].as_str().unwrap().starts_with("benign")).flat_map(secrets) {
        let quoted = serde_json::to_string(secret).unwrap();
        for form in [secret, quoted.trim_matches('"')] {
            let found = contents.iter().position(|bytes| memchr::memmem::find(bytes, form.as_bytes()).is_some());
            let short = form.len() < CANARY_BYTES;
            assert!(short || found.is_none(), "{form} stands in {}", files[found.unwrap_or(0)].display());
        }
    }
}

#[test]
fn a_secret_found_in_one_string_of_a_call_is_hidden_in_all() {
    let home = tempfile::tempdir().unwrap();
    let row = serde_json::json!({
        "tool": "vault.read", "variant": "plain",
        "args": {"password": "Gr4nite-Harbor", "note": "try Gr4nite-Harbor first", "Gr4nite-Harbor": 1},
        "result": "logged in with Gr4nite-Harbor",
    });
    let entries = stored(&[row], home.path());
    assert_eq!(entries[0]["args"]["note"], "try [redacted:password] first");
    assert_eq!(entries[0]["args"]["[redacted:password]"], 1);
    assert_eq!(entries[0]["result_snippet"], "logged in with [redacted:password]");
    assert_eq!(entries[0]["redacted"], 4);
    // A secret found in the result is also redacted in the arguments; a short or common word is redacted only where it
    // was found.
    let row = |args: Value, result: &str| serde_json::json!({"tool": "t", "variant": "plain", "args": args, "result": result});
    let home = tempfile::tempdir().unwrap();
    let rows = [
        row(serde_json::json!({"line": "use k7Qz-91mm-Xw2p now"}), "password: k7Qz-91mm-Xw2p"),
        row(serde_json::json!({"password": "sunshine", "note": "a day of sunshine"}), "ok"),
        row(serde_json::json!({"password": "a1b2", "note": "a1b2"}), "ok"),
    ];
    let entries = stored(&rows, home.path());
    assert_eq!(entries[0]["args"]["line"], "use [redacted:password] now");
    assert_eq!(entries[1]["args"]["note"], "a day of sunshine");
    assert_eq!(entries[2]["args"]["note"], "a1b2");
}
