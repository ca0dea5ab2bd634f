//! The library's answers as JSON, the same on the command line and over HTTP.

use serde_json::{Map, Value, json};
use tooltrail::{Quantiles, Scanned, Skipped, Stats, ToolStats};

/// Returns the counts of lines that are no entries.
pub(crate) fn skipped_json(skipped: &Skipped) -> Value {
    json!({
        "torn": skipped.torn,
        "nul": skipped.nul,
        "invalid_json": skipped.invalid_json,
        "too_long": skipped.too_long,
    })
}

/// Returns what was looked at.
pub(crate) fn scanned_json(scanned: &Scanned) -> Value {
    json!({ "files": scanned.files, "bytes": scanned.bytes })
}

/// Returns counts and quantiles.
pub(crate) fn stats_json(stats: &Stats) -> Value {
    let by_tool = stats.by_tool.iter().map(|(tool, stats)| (tool.clone(), tool_json(stats)));
    json!({
        "from": stats.from,
        "to": stats.to,
        "total": stats.total,
        "by_status": stats.by_status,
        "by_tool": by_tool.collect::<Map<_, _>>(),
        "by_user": stats.by_user,
        "by_day": stats.by_day,
        "skipped": skipped_json(&stats.skipped),
        "scanned": scanned_json(&stats.scanned),
        "complete": stats.complete,
    })
}

/// Returns one tool's counts; a group of quantiles is absent where nothing was measured.
fn tool_json(stats: &ToolStats) -> Value {
    let mut object = Map::new();
    for (name, count) in [("calls", stats.calls), ("ok", stats.ok), ("error", stats.error), ("denied", stats.denied)] {
        object.insert(name.to_owned(), count.into());
    }
    for (name, quantiles) in [("duration_ms", stats.duration_ms), ("result_chars", stats.result_chars)] {
        if let Some(quantiles) = quantiles {
            object.insert(name.to_owned(), quantiles_json(&quantiles));
        }
    }
    object.into()
}

/// Returns the four quantiles.
fn quantiles_json(quantiles: &Quantiles) -> Value {
    json!({ "p50": quantiles.p50, "p90": quantiles.p90, "p95": quantiles.p95, "p99": quantiles.p99 })
}
