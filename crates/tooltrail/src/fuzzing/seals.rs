//! The readers of the proof: notes, checkpoints, tiles, records, proofs of entries and requests to witnesses.

use crate::seal::fuzzed;

/// Calls `read` with the bytes, if they are a text.
fn text(bytes: &[u8], read: fn(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        read(text);
    }
}

pub(super) fn note(bytes: &[u8]) {
    text(bytes, fuzzed::note);
}

pub(super) fn checkpoint(bytes: &[u8]) {
    text(bytes, fuzzed::checkpoint);
}

pub(super) fn tile(bytes: &[u8]) {
    text(bytes, fuzzed::tile);
}

pub(super) fn record(bytes: &[u8]) {
    fuzzed::record(bytes);
}

pub(super) fn proof(bytes: &[u8]) {
    text(bytes, fuzzed::proof);
}

pub(super) fn request(bytes: &[u8]) {
    fuzzed::request(bytes);
}

/// The first inputs of a target.
pub(super) fn seeds(target: &str) -> Vec<Vec<u8>> {
    const NOTE: &str = "example.com/log\n12\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u{2014} example.com/log \
        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    const HASH: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let texts: Vec<String> = match target {
        "note" | "checkpoint" => vec![NOTE.to_owned()],
        "tile" => ["0/000", "1/x001/234", "0/x001/000.p/12", "entries/273.p/112"].map(str::to_owned).to_vec(),
        "record" => {
            let common = "\"at\":1,\"by\":\"me\",\"why\":\"\"";
            vec![
                "\u{1}".to_owned() + &"\0".repeat(97),
                "\u{1}\u{2}".to_owned() + &"\0".repeat(120),
                format!(
                    "{{\"type\":\"erase\",{common},\"lines\":[{{\"name\":\"{HASH}\",\"line\":1,\"old\":\"{HASH}\",\"new\":\"{HASH}\",\"id\":\"x\"}}]}}"
                ),
                format!("{{\"type\":\"prune\",{common},\"files\":[\"{HASH}\"]}}"),
                format!("{{\"type\":\"restore\",{common},\"checkpoint\":\"x\"}}"),
                format!(
                    "{{\"type\":\"key\",{common},\"key\":\"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\",\"lost\":true}}"
                ),
            ]
        }
        "proof" => vec![format!(
            "c2sp.org/tlog-proof@v1\nextra eyJsaW5lIjoiYSIsImhlYWQiOiIiLCJsZWFmIjowLCJwYXRoIjpbXSwiZm9sZGVyIjoiYSIsImRhdGUiOiIyMDI2LTExLTIzIiwiZGF5X2tleSI6IkFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE9In0=\nindex 3\n{HASH}\n\n{NOTE}"
        )],
        "request" => vec![format!("old 12\n{HASH}\n\n{NOTE}")],
        _ => Vec::new(),
    };
    texts.into_iter().map(String::into_bytes).collect()
}
