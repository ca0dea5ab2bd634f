//! Compares redaction with the AVX2 prefilter and with a search at every byte. Both must give the same result, so that
//! no position that the prefilter skips could have led to a secret. Without AVX2 both engines are the same.

use std::sync::LazyLock;

use proptest::prelude::*;

use crate::redact::rules::names;
use crate::redact::rules::shapes::{PREFIXED, VENDORS};
use crate::redact::scan::leads::leads;
use crate::redact::value::found::FoundSecrets;
use crate::redact::{Redactor, WindowedText};

/// The normal engine, and an engine that looks at every byte.
pub(in crate::redact) static ENGINES: LazyLock<[Redactor; 2]> =
    LazyLock::new(|| [Redactor::new(None), Redactor::thorough(None)]);

/// Redacts a text with both engines, as a whole text and as a cut one, and compares the results.
pub(in crate::redact) fn check(text: &str) {
    for cut in [false, true] {
        let [short, long] = ENGINES.each_ref().map(|engine| {
            let mut seen = WindowedText { text: text.to_owned(), chars: 9_999, cut };
            engine.seen(&mut seen, &mut FoundSecrets::default());
            seen.text
        });
        assert_eq!(short, long, "{text:?}, cut: {cut}");
        let is_clean = ENGINES[0].is_clean(text, cut, &mut Vec::new());
        assert_eq!(is_clean, long == text, "{text:?}, cut: {cut}");
    }
}

/// Generates a piece of a text: a word that the prefilter looks for, a sign that may stand beside it, or a run of
/// characters as in secrets.
fn piece() -> impl Strategy<Value = String> {
    let shapes = || PREFIXED.iter().flat_map(|shape| shape.triggers());
    let vendors = VENDORS.iter().flat_map(|shape| shape.words).map(|word| (*word).to_owned());
    let words = names::TRIGGERS.iter().map(|word| (*word).to_owned());
    let leads = leads().into_iter().map(|(word, _)| word.to_owned());
    let all = shapes().chain(vendors).chain(words).chain(leads).collect::<Vec<_>>();
    let signs = [
        "=",
        ": ",
        ":",
        " = ",
        "\"",
        "\\\"",
        "'",
        "\\n",
        "%2F",
        "%",
        "\\",
        " ",
        "\t",
        "\n",
        ",",
        "|",
        "?",
        "&",
        "@",
        "/",
        ".",
        "-",
        "_",
        "{",
        "}",
        "(",
        "<",
        ">",
        "é",
        "…",
        "$",
        "[redacted:token]",
        "--",
        " is ",
        "value",
    ];
    prop_oneof![
        4 => proptest::sample::select(shapes().collect::<Vec<_>>()),
        4 => proptest::sample::select(all.clone()),
        1 => proptest::sample::select(all).prop_map(|word| word.to_uppercase()),
        8 => proptest::sample::select(signs.map(str::to_owned).to_vec()),
        2 => "[A-Za-z0-9]{10,70}",
        2 => "[A-Za-z0-9_.+/=-]{10,45}",
        1 => "[0-9a-f]{24,40}",
        1 => "[0-9]{1,17}",
        1 => "([0-9]{4}[ -]){3}[0-9]{1,5}",
        1 => ".{0,70}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_redacted_alike(pieces in proptest::collection::vec(piece(), 0..14)) {
        check(&pieces.concat());
    }
}

/// Offsets near the end of a block of 64 bytes, and far from it.
const PLACES: [usize; 9] = [0, 1, 2, 17, 40, 52, 61, 63, 64];

/// Tests every form at its minimum length, after each text that may stand before it, at each of the `PLACES`.
#[test]
fn every_form_is_met_at_every_place() {
    for shape in PREFIXED.iter().chain(VENDORS) {
        let mut token = String::new();
        for piece in shape.pieces() {
            match piece {
                crate::redact::rules::shapes::Piece::Literal(text) => token.push_str(&text),
                crate::redact::rules::shapes::Piece::Choice(texts) => token.push_str(&texts[0]),
                crate::redact::rules::shapes::Piece::Run(bytes, least, _) => {
                    token.extend((0..least).map(|n| char::from(bytes[(n * 7 + 3) % bytes.len()])));
                }
            }
        }
        let word = shape.words.first().map_or(String::new(), |word| format!("{word}_x\" => '"));
        for before in ["", " ", "\\n", "%0a", "a", "é/"] {
            for position in PLACES {
                check(&format!("{}{word}{before}{token}{}", ".".repeat(position), [" tail", ""][position % 2]));
            }
        }
    }
}

/// Tests every name and lead before some random values, at each of the `PLACES`.
#[test]
fn every_word_is_met_at_every_place() {
    let words = names::TRIGGERS.iter().copied().chain(leads().into_iter().map(|(word, _)| word));
    for word in words {
        for position in PLACES {
            let upper = word.to_ascii_uppercase();
            let word = if position % 2 == 0 { word } else { &upper };
            check(&format!("{}{word}=s3cr3tW0rd99 -p hunter2x 482913", " ".repeat(position)));
        }
    }
}
