//! How much the engine finds in synthetic material, and how much else it leaves alone.
#![allow(clippy::print_stdout, reason = "a measure is printed")]
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::shapes::{PREFIXED, Piece, VENDORS};
use super::{Redactor, Seen, Tree};
use crate::json::Json;

fn strings(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::String(text) => vec![text.clone()],
        serde_json::Value::Array(elements) => elements.iter().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

fn readable(tree: &Tree, out: &mut String) {
    match tree {
        Tree::String(seen) | Tree::Deep(seen) => out.push_str(&seen.text),
        Tree::Number(digits) => out.push_str(digits),
        Tree::Array(elements) => elements.iter().for_each(|element| readable(element, out)),
        Tree::Object(members) => members.iter().for_each(|(key, value)| {
            out.push_str(&key.text);
            out.push('\n');
            readable(value, out);
        }),
        Tree::Null | Tree::Bool(_) => {}
    }
    out.push('\n');
}

#[test]
fn recall_and_what_stays_untouched() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/secrets.jsonl.zst");
    let bytes = zstd::stream::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    let redactor = Redactor::new(None);
    let mut counts: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for line in String::from_utf8(bytes).unwrap().lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let before = Tree::of(Json::read(&row["args"].to_string(), 64).unwrap(), 200, 500);
        let mut tree = before.clone();
        redactor.tree(&mut tree, &mut Default::default());
        let result = row["result"].as_str().unwrap_or("");
        let mut seen = Seen::window(result.to_owned(), 300);
        redactor.seen(&mut seen, &mut Default::default());
        let mut out = seen.text.clone();
        out.push('\n');
        readable(&tree, &mut out);
        let kind = row["kind"].as_str().unwrap().to_owned();
        let secrets: Vec<String> = strings(&row["secret"]).into_iter().chain(strings(&row["also_secret"])).collect();
        let good = if kind.starts_with("benign") {
            tree == before && seen.text == result
        } else {
            !secrets.iter().any(|secret| out.contains(secret.as_str()))
        };
        let count = counts.entry(kind.clone()).or_default();
        count.0 += u32::from(good);
        count.1 += 1;
        if !good && kind != "benign_near_miss" {
            println!("{kind} {} {} {:?}", row["rule"], row["context"], out.chars().take(160).collect::<String>());
        }
    }
    for (kind, (good, all)) in &counts {
        println!("{kind}: {good} of {all} = {:.3}", f64::from(*good) / f64::from(*all));
    }
    for (kind, least) in
        [("secret", 0.95), ("secret_variant", 0.9), ("secret_beyond_rules", 0.8), ("benign_natural", 0.97)]
    {
        let (good, all) = counts[kind];
        assert!(f64::from(good) >= least * f64::from(all), "{kind}: {good} of {all}");
    }
}

/// A token of a form, drawn by a small generator of numbers.
fn draw(pieces: &[Piece], state: &mut u64) -> String {
    let mut next = |below: usize| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(*state >> 33).unwrap() % below
    };
    let mut token = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(text) => token.push_str(text),
            Piece::Choice(texts) => token.push_str(&texts[next(texts.len())]),
            Piece::Run(bytes, least, most) => {
                let most = (*most).min(least + 20);
                (0..least + next(most - least + 1)).for_each(|_| token.push(char::from(bytes[next(bytes.len())])));
            }
        }
    }
    token
}

#[test]
fn every_form_of_the_table_is_hidden_in_every_context() {
    let redactor = Redactor::new(None);
    let (mut state, mut missed, mut all) = (20_261_124, Vec::new(), 0);
    for shape in PREFIXED.iter().chain(VENDORS) {
        let word = shape.words.first().copied().unwrap_or("acme");
        for _ in 0..4 {
            let token = draw(&shape.pieces(), &mut state);
            if super::benign::entropy(&token) <= shape.entropy {
                continue;
            }
            for text in [
                format!("export {}_TOKEN=\"{token}\" && run", word.to_uppercase()),
                format!("{{\"{word}_key\": \"{token}\"}}"),
                format!("{{\\\"{word}_key\\\": \\\"{token}\\\"}}"),
                format!("ctl login --{word}-token='{token}' --yes"),
                format!("ctl login --{word}-token {token} --yes"),
                format!("X-{word}-Token: {token}\nAccept: */*"),
                format!("2026-01-01 DEBUG {word}_key: {token}\nnext"),
                format!("{word} = '{token}'"),
            ] {
                all += 1;
                if redactor.text(&text).contains(&token) {
                    missed.push((shape.rule, text.clone()));
                }
                let once = redactor.text(&text);
                assert_eq!(redactor.text(&once), once, "redacting twice");
            }
        }
    }
    missed.iter().for_each(|(rule, text)| println!("{rule}: {text:.200}"));
    assert!(missed.len() * 100 <= all, "{} of {all} missed", missed.len());
}

#[test]
fn time_grows_with_the_text_and_no_faster() {
    let redactor = Redactor::new(None);
    for unit in [
        "a",
        "=",
        "\"",
        "key=",
        "password=",
        "EAAC",
        "eyJ.",
        "-----BEGIN PRIVATE KEY",
        "://",
        "data:",
        "ghp_a",
        "curl -u ",
    ] {
        let time = |bytes: usize| {
            let text = unit.repeat(bytes / unit.len());
            (0..3)
                .map(|_| {
                    let begun = std::time::Instant::now();
                    std::hint::black_box(redactor.text(&text));
                    begun.elapsed()
                })
                .min()
                .unwrap()
        };
        let (small, large) = (time(16_384), time(131_072));
        assert!(large < small * 40 + std::time::Duration::from_millis(20), "{unit}: {small:?} and {large:?}");
    }
}

fn check(text: &str, expected: &str) {
    assert_eq!(Redactor::new(None).text(text), expected);
}

#[test]
fn secrets_in_their_surroundings() {
    check("postgres://app:pa%24s@db:5432/app", "postgres://app:[redacted:url-password]@db:5432/app");
    check("pay with 4111 1111 1111 1111 now", "pay with [redacted:card-number] now");
    check("Authorization: Basic dTpwYXNzd29yZA==\r\n", "Authorization: Basic [redacted:authorization]\r\n");
    check("mysql -uroot -phunter2 -e x", "mysql -uroot -p[redacted:flag] -e x");
    check("https://a.test/?page=2&key=ab12cd34ef&x=1", "https://a.test/?page=2&key=[redacted:api-key]&x=1");
    check("<password>hunter2</password>", "<password>[redacted:password]</password>");
    check("mnemonic: apple pear plum\nnext", "mnemonic: [redacted:seed-phrase]\nnext");
    check("password: [redacted:password]", "password: [redacted:password]");
}

#[test]
fn what_only_looks_secret_stays() {
    for text in [
        "password = get_password()",
        "DB_PASSWORD=${DB_PASSWORD}",
        "token: str = None",
        "API_KEY=%API_KEY%",
        "integrity sha512-q9mE7vXkq1P3dQ==",
        "max_tokens: 4096, session_id=ab12cd34ef",
        "const apiKey = options?.apiKey || getApiKey(model)",
        "PWD=/home/acme",
    ] {
        check(text, text);
    }
}

#[test]
fn a_token_cut_by_the_window_is_hidden_to_the_end() {
    let mut seen = Seen { text: "see ghp_0a1B2c3D4e5F".to_owned(), chars: 99, cut: true };
    Redactor::new(None).seen(&mut seen, &mut Default::default());
    assert_eq!(seen.text, "see [redacted:github-pat]");
}

proptest! {
    #[test]
    fn any_text_is_redacted_once_and_for_all(
        parts in proptest::collection::vec(
            prop_oneof![
                ".{0,12}",
                proptest::sample::select(vec![
                    "password", "=", ": ", "\"", "\\\"", "'", "?key=", "Bearer ", "curl -u ", "a:b", "kind: Secret", "data:",
                    "://", "@", "-----BEGIN PRIVATE KEY-----", "-----END", "[redacted:token]", "[redacted:", "]", "token",
                    "4111111111111111", "ab12cd34ef56gh78", "\n", "é", "sshpass -p ", "Cookie: ", ",", "value",
                ]).prop_map(str::to_owned),
            ],
            0..12,
        )
    ) {
        let redactor = Redactor::new(None);
        let text = parts.concat();
        let once = redactor.text(&text).into_owned();
        prop_assert_eq!(&redactor.text(&once), &once);
    }
}
