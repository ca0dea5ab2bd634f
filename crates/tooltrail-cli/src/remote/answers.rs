//! Reads the answers of a service into those of the library, so that they are printed in the same way.

use serde_json::Value;
use tooltrail::{
    Quantiles, Scanned, Series, SeriesBucket, SeriesCounts, SessionSummary, Sessions, Skipped, Stats, Status,
    Timestamp, ToolStats, Zone,
};

/// The largest count that is read, so that a million of them can be added.
const COUNT_MAX: u64 = 1 << 42;

/// Reads `/api/audit/stats`.
pub(crate) fn stats(answer: &Value) -> Stats {
    let mut stats = Stats::default();
    (stats.from, stats.to) = (text(&answer["from"]), text(&answer["to"]));
    stats.total = count(&answer["total"]);
    stats.by_status =
        Status::ALL.iter().map(|status| (status.as_str(), count(&answer["by_status"][status.as_str()]))).collect();
    stats.by_tool = members(&answer["by_tool"]).map(|(name, tool)| (name, tool_stats(tool))).collect();
    stats.by_user = members(&answer["by_user"]).map(|(name, calls)| (name, count(calls))).collect();
    stats.by_day = members(&answer["by_day"]).map(|(name, calls)| (name, count(calls))).collect();
    stats.approx = answer["approx"] == true;
    stats.newest = answer["newest"].as_str().and_then(tooltrail::Date::parse);
    (stats.skipped, stats.scanned) = (skipped(&answer["skipped"]), scanned(&answer["scanned"]));
    (stats.unreadable_names, stats.complete) = (names(&answer["unreadable_names"]), answer["complete"] == true);
    stats
}

/// Reads `/api/audit/sessions`.
pub(crate) fn sessions(answer: &Value) -> Sessions {
    let session = |session: &Value| {
        let (begin, end) = (time(&session["begin"]), time(&session["end"]));
        let mut summary = SessionSummary::new(text(&session["session"]), text(&session["user"]), begin, end);
        summary.client = session["client"].as_str().map(str::to_owned);
        (summary.calls, summary.errors) = (count(&session["calls"]), count(&session["errors"]));
        summary.denied = count(&session["denied"]);
        summary
    };
    let mut sessions = Sessions::default();
    sessions.sessions = answer["sessions"].as_array().into_iter().flatten().map(session).collect();
    sessions.total = count(&answer["total"]);
    (sessions.skipped, sessions.scanned) = (skipped(&answer["skipped"]), scanned(&answer["scanned"]));
    (sessions.unreadable_names, sessions.complete) = (names(&answer["unreadable_names"]), answer["complete"] == true);
    sessions
}

/// Reads `/api/audit/series`.
pub(crate) fn series(answer: &Value) -> Series {
    let mut series = Series::new(time(&answer["from"]), time(&answer["to"]));
    series.groups = answer["groups"].as_array().into_iter().flatten().map(text).collect();
    let bucket = |bucket: &Value| {
        let mut read = SeriesBucket::new(time(&bucket["start"]));
        read.all = counts(bucket);
        read.groups = members(&bucket["groups"]).map(|(name, group)| (name, counts(group))).collect();
        read
    };
    series.buckets = answer["buckets"].as_array().into_iter().flatten().map(bucket).collect();
    (series.skipped, series.scanned) = (skipped(&answer["skipped"]), scanned(&answer["scanned"]));
    (series.unreadable_names, series.complete) = (names(&answer["unreadable_names"]), answer["complete"] == true);
    series
}

pub(super) fn skipped(value: &Value) -> Skipped {
    let mut skipped = Skipped::default();
    (skipped.torn, skipped.nul) = (count(&value["torn"]), count(&value["nul"]));
    (skipped.invalid_json, skipped.too_long) = (count(&value["invalid_json"]), count(&value["too_long"]));
    skipped.unreadable = count(&value["unreadable"]);
    skipped
}

pub(super) fn scanned(value: &Value) -> Scanned {
    let mut scanned = Scanned::default();
    (scanned.files, scanned.bytes) = (count(&value["files"]), count(&value["bytes"]));
    scanned
}

pub(super) fn names(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn tool_stats(value: &Value) -> ToolStats {
    let mut tool = ToolStats::default();
    (tool.calls, tool.ok) = (count(&value["calls"]), count(&value["ok"]));
    (tool.error, tool.denied) = (count(&value["error"]), count(&value["denied"]));
    (tool.duration_ms, tool.result_chars) = (quantiles(&value["duration_ms"]), quantiles(&value["result_chars"]));
    tool
}

fn quantiles(value: &Value) -> Option<Quantiles> {
    let of = |name: &str| value[name].as_f64();
    let mut quantiles = Quantiles::default();
    (quantiles.p50, quantiles.p90, quantiles.p95) = (of("p50")?, of("p90")?, of("p95")?);
    (quantiles.p99, quantiles.max) = (of("p99")?, of("max")?);
    Some(quantiles)
}

fn counts(value: &Value) -> SeriesCounts {
    let mut counts = SeriesCounts::default();
    (counts.calls, counts.errors) = (count(&value["calls"]), count(&value["errors"]));
    counts.denied = count(&value["denied"]);
    counts.p50_ms = value["duration_ms"]["p50"].as_f64();
    counts.p95_ms = value["duration_ms"]["p95"].as_f64();
    counts
}

fn members(value: &Value) -> impl Iterator<Item = (String, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value))
}

/// Reads a count. A service that tells more than any trail has must not make sums overflow here.
fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0).min(COUNT_MAX)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn time(value: &Value) -> Timestamp {
    Timestamp::parse(value.as_str().unwrap_or_default(), &Zone::UTC).unwrap_or(Timestamp::from_millis(0))
}
