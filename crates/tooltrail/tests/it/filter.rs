//! Checks that the two halves of a filter agree: a line that the prefilter rejects by its bytes never matches by its
//! fields.

use proptest::prelude::*;
use tooltrail::{Call, Query, Recorder, check_filter};

use crate::reading::random;

/// Words from which both lines and queries are made, so that they often match. They contain every spelling that a line
/// can have.
const WORDS: [&str; 16] = [
    "fs.read",
    "FS.Read",
    "größe",
    "設定",
    "😀",
    "a/b",
    "\"quoted\"",
    "back\\slash",
    "tab\there",
    "nul\u{0}",
    "rtl\u{202e}",
    "8080",
    "-1.5e3",
    "ſ",
    "K",
    "",
];

fn word(state: &mut u64) -> &'static str {
    WORDS[random(state, WORDS.len() as u64) as usize]
}

/// Returns a query with some words: complete, in part, as patterns, or negated.
fn query(state: &mut u64) -> Query {
    let term = |state: &mut u64| {
        let word = word(state);
        let chars: Vec<_> = word.chars().collect();
        let from = random(state, chars.len() as u64 + 1) as usize;
        let part: String = if random(state, 2) == 0 { word.to_owned() } else { chars[from..].iter().collect() };
        let quoted = part.replace('\\', "\\\\").replace('"', "\\\"").replace('*', "\\*");
        let field = ["tool", "session", "agent", "model"][random(state, 4) as usize];
        match random(state, 7) {
            0..=2 if !part.is_empty() => {
                format!("\"{}\"", if random(state, 2) == 0 { quoted.to_uppercase() } else { quoted })
            }
            3 => format!("{field}=\"{quoted}\""),
            4 => format!("{field}=\"*{quoted}*\""),
            5 => format!("{field}!=\"{quoted}\""),
            _ => format!("status={}", ["ok", "error", "denied"][random(state, 3) as usize]),
        }
    };
    let terms: Vec<_> = (0..=random(state, 2)).map(|_| term(state)).collect();
    Query::parse(&terms.join(" ")).unwrap()
}

/// Returns the same JSON with some characters as `\u` escapes in either case, and with white space between tokens.
fn respelt(line: &str, state: &mut u64) -> String {
    let (mut out, mut inside, mut escaped, mut digits) = (String::new(), false, false, 0);
    for c in line.chars() {
        let plain = inside && !escaped && digits == 0 && !matches!(c, '"' | '\\');
        // The digits of an escape are not changed.
        digits = if escaped && c == 'u' { 4 } else { i32::max(digits - 1, 0) };
        match random(state, 6) {
            0 | 1 if plain => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            2 if plain => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
            }
            3 if plain && c == '/' => out.push_str("\\/"),
            4 if !inside && matches!(c, ':' | ',') => out.extend([c, ' ']),
            _ => out.push(c),
        }
        if c == '"' && !escaped {
            inside = !inside;
        }
        escaped = inside && c == '\\' && !escaped;
    }
    out
}

/// Records calls made of these words and returns their lines.
fn lines(state: &mut u64) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    for _ in 0..400 {
        let value = serde_json::json!({ word(state): [word(state), { "k": word(state) }, 8080], "path": word(state) });
        let tool = format!("{}{}", word(state), word(state));
        let mut call = Call::new("u", tool, value.to_string());
        call = if random(state, 3) == 0 { call.error(word(state)) } else { call.ok(word(state)) };
        call.session = Some(word(state).to_owned()).filter(|word| !word.is_empty());
        call.agent = Some(format!("{}{}", word(state), "x".repeat(random(state, 300) as usize)));
        recorder.record(&call);
    }
    recorder.close().unwrap();
    let folder = home.path().join("u/tool_audit");
    let files = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    files.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn bytes_and_fields_agree_over_recorded_lines_in_any_spelling() {
    let mut state = 11;
    let lines = lines(&mut state);
    assert_eq!(lines.len(), 400);
    let (mut answers, mut ruled_out) = (0, 0);
    for _ in 0..150 {
        let query = query(&mut state);
        for line in &lines {
            let other = respelt(line, &mut state);
            let (stored, respelt) = (check_filter(line, &query), check_filter(&other, &query));
            assert!(stored.0 || !stored.1, "{query} {line}");
            assert!(respelt.0 || !respelt.1, "{query} {other}");
            assert_eq!(stored.1, respelt.1, "one line, two answers: {query} {line} {other}");
            answers += usize::from(stored.1);
            ruled_out += usize::from(!stored.0);
        }
    }
    // Both halves were really tested.
    assert!(answers > 3_000 && ruled_out > 3_000, "{answers} answers, {ruled_out} ruled out");
}

proptest! {
    #[test]
    fn any_text_of_any_line_is_found_by_its_bytes(text in "\\PC{1,12}", before in "\\PC{0,4}", seed in any::<u64>()) {
        let tool = serde_json::Value::from(format!("{before}{text}"));
        let line = format!(r#"{{"ts":"2026-11-23T08:15:00.000Z","user":"u","tool":{tool},"args":{{}},"status":"ok"}}"#);
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"").replace('*', "\\*");
        for question in [format!("\"{quoted}\""), format!("tool=\"*{quoted}\"")] {
            let query = Query::parse(&question).unwrap();
            prop_assert_eq!(check_filter(&line, &query), (true, true), "{}", line);
            let mut state = seed;
            let other = respelt(&line, &mut state);
            prop_assert_eq!(check_filter(&other, &query), (true, true), "{}", other);
        }
    }
}
