//! Detects keys of a received entry that are probably misspelt known keys. They are kept in `extra`, and the sender
//! gets a warning.

use std::collections::HashSet;

use tooltrail::Call;

/// Keys that a sender may set.
const KNOWN: [&str; 18] = [
    "ts",
    "user",
    "tool",
    "args",
    "status",
    "result",
    "error",
    "reason",
    "duration_ms",
    "session",
    "call_id",
    "parent",
    "agent",
    "model",
    "client",
    "server",
    "trace_id",
    "span_id",
];

/// Smallest similarity of an unknown key to a known one for a warning; 1 means equal.
const ALIKE_MIN: f64 = 0.86;

/// Most warnings for one request or file, because a sender usually makes the same mistake in every entry.
const WARNINGS_MAX: usize = 20;

/// Most unknown keys that are checked; each key is checked once.
const KEYS_MAX: usize = 256;

/// The warnings so far.
#[derive(Debug, Default)]
pub(crate) struct Typos {
    seen: HashSet<String>,
    /// The line numbers with their warnings.
    pub(crate) warnings: Vec<(u64, String)>,
}

impl Typos {
    /// Checks the unknown keys of a call. Warns only once about each key, with the line where it first appeared.
    pub(crate) fn look(&mut self, line: u64, call: &Call) {
        for (key, _) in &call.extra {
            if self.warnings.len() >= WARNINGS_MAX || self.seen.len() >= KEYS_MAX || self.seen.contains(key) {
                continue;
            }
            self.seen.insert(key.clone());
            if let Some(meant) = meant(key) {
                let warning = format!("unknown key {key:?} is kept in extra; did you mean {meant:?}?");
                self.warnings.push((line, warning));
            }
        }
    }
}

/// Returns the known key that an unknown one was probably meant to be.
fn meant(key: &str) -> Option<&'static str> {
    let lower = key.to_lowercase().replace('-', "_");
    if KNOWN.contains(&key) {
        // A known key is in `extra` if its value has a wrong type or is an unknown word; it stays as it was sent.
        return None;
    }
    // Names that other systems use for the same fields.
    let other = match lower.as_str() {
        "timestamp" | "time" | "date" => Some("ts"),
        "arguments" | "params" | "parameters" | "input" => Some("args"),
        "output" | "response" => Some("result"),
        "tool_name" => Some("tool"),
        "user_id" | "username" => Some("user"),
        "session_id" => Some("session"),
        "duration" | "latency_ms" | "elapsed_ms" => Some("duration_ms"),
        _ => None,
    };
    let alike = || {
        let scores = KNOWN.iter().map(|known| (strsim::jaro_winkler(&lower, known), *known));
        scores.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score >= ALIKE_MIN).map(|(_, known)| known)
    };
    // A much longer or shorter name means something else, such as `result_url` or `user_agent`.
    other.or_else(|| alike().filter(|known| lower.len().abs_diff(known.len()) <= 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_told_once() {
        for (key, expected) in [
            ("stat", Some("status")),
            ("Status", Some("status")),
            ("toool", Some("tool")),
            ("arg", Some("args")),
            ("durationms", Some("duration_ms")),
            ("timestamp", Some("ts")),
            ("usr", Some("user")),
            ("cost", None),
            ("turn", None),
            ("request_url", None),
            ("http_status_text", None),
            ("retries", None),
            ("status", None),
        ] {
            assert_eq!(meant(key), expected, "{key}");
        }
        let mut typos = Typos::default();
        let mut call = Call::new("a", "t", "{}");
        call.add_extra("stat", "1".to_owned());
        typos.look(3, &call);
        typos.look(4, &call);
        assert_eq!(typos.warnings, [(3, "unknown key \"stat\" is kept in extra; did you mean \"status\"?".to_owned())]);
    }
}
