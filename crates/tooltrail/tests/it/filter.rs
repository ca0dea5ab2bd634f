//! Checks that the two halves of a filter agree: a line that the prefilter rejects by its bytes never matches by its
//! fields.

use proptest::prelude::*;
use tooltrail::{Call, Query, Recorder, check_filter};
use unicode_normalization::UnicodeNormalization as _;

use crate::dice::Dice;

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

fn word(dice: &mut Dice) -> &'static str {
    WORDS[dice.below(WORDS.len() as u64) as usize]
}

/// Returns a query with some words: complete, in part, as patterns, or negated.
fn query(dice: &mut Dice) -> Query {
    let term = |dice: &mut Dice| {
        let word = word(dice);
        let chars: Vec<_> = word.chars().collect();
        let from = dice.below(chars.len() as u64 + 1) as usize;
        let part: String = if dice.below(2) == 0 { word.to_owned() } else { chars[from..].iter().collect() };
        let quoted = part.replace('\\', "\\\\").replace('"', "\\\"").replace('*', "\\*");
        let field = ["tool", "session", "agent", "model"][dice.below(4) as usize];
        match dice.below(10) {
            7 => format!("args.path=\"*{quoted}*\""),
            8 => format!("arg=\"{quoted}\",x"),
            9 => format!("{field}=\"{quoted}\",\"{quoted}*\""),
            0..=2 if !part.is_empty() => {
                format!("\"{}\"", if dice.below(2) == 0 { quoted.to_uppercase() } else { quoted })
            }
            3 => format!("{field}=\"{quoted}\""),
            4 => format!("{field}=\"*{quoted}*\""),
            5 => format!("{field}!=\"{quoted}\""),
            _ => format!("status={}", ["ok", "error", "denied"][dice.below(3) as usize]),
        }
    };
    let terms: Vec<_> = (0..=dice.below(2)).map(|_| term(dice)).collect();
    let joined = match dice.below(6) {
        0 => format!("({}) OR NOT ({})", terms.join(" "), term(dice)),
        1 => format!("{} ({} OR {})", terms[0], term(dice), term(dice)),
        _ => terms.join(" "),
    };
    Query::parse(&joined).unwrap()
}

/// Returns the same JSON with some characters as `\u` escapes in either case, and with white space between tokens.
fn respelt(line: &str, dice: &mut Dice) -> String {
    let (mut out, mut inside, mut escaped, mut digits) = (String::new(), false, false, 0);
    for c in line.chars() {
        let plain = inside && !escaped && digits == 0 && !matches!(c, '"' | '\\');
        // The digits of an escape are not changed.
        digits = if escaped && c == 'u' { 4 } else { i32::max(digits - 1, 0) };
        match dice.below(6) {
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
fn lines(dice: &mut Dice) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    for _ in 0..400 {
        let value = serde_json::json!({ word(dice): [word(dice), { "k": word(dice) }, 8080], "path": word(dice) });
        let tool = format!("{}{}", word(dice), word(dice));
        let mut call = Call::new("u", tool, value.to_string());
        call = if dice.below(3) == 0 { call.error(word(dice)) } else { call.ok(word(dice)) };
        call.session = Some(word(dice).to_owned()).filter(|word| !word.is_empty());
        call.agent = Some(format!("{}{}", word(dice), "x".repeat(dice.below(300) as usize)));
        recorder.record(&call);
    }
    recorder.close().unwrap();
    let folder = home.path().join("u/tool_audit");
    let files = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    files.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn bytes_and_fields_agree_over_recorded_lines_in_any_spelling() {
    let mut dice = Dice(11);
    let lines = lines(&mut dice);
    assert_eq!(lines.len(), 400);
    let (mut answers, mut ruled_out) = (0, 0);
    for _ in 0..150 {
        let query = query(&mut dice);
        for line in &lines {
            let other = respelt(line, &mut dice);
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
        // A mark at the beginning of the text may become one letter with the letter before it. Then the text is not there.
        let whole = format!("{before}{text}").nfc().collect::<String>();
        prop_assume!(whole == before.nfc().chain(text.nfc()).collect::<String>());
        let tool = serde_json::Value::from(format!("{before}{text}"));
        let line = format!(r#"{{"ts":"2026-11-23T08:15:00.000Z","user":"u","tool":{tool},"args":{{}},"status":"ok"}}"#);
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"").replace('*', "\\*");
        for question in [format!("\"{quoted}\""), format!("tool=\"*{quoted}\"")] {
            let query = Query::parse(&question).unwrap();
            prop_assert_eq!(check_filter(&line, &query), (true, true), "{}", line);
            let mut dice = Dice(seed);
            let other = respelt(&line, &mut dice);
            prop_assert_eq!(check_filter(&other, &query), (true, true), "{}", other);
        }
    }
}
