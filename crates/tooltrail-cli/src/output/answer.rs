//! Turns the library's answers into JSON, which is the same on the command line and over HTTP.

use std::path::Path;

use serde_json::{Map, Value, json};
use tooltrail::{Nothing, Quantiles, Scanned, Series, SeriesCounts, Sessions, Skipped, Stats, ToolStats};

use super::stream::{talk, talk_hint};

/// Returns the counts of skipped lines, by reason.
pub(crate) fn skipped_json(skipped: &Skipped) -> Value {
    json!({
        "torn": skipped.torn,
        "nul": skipped.nul,
        "invalid_json": skipped.invalid_json,
        "too_long": skipped.too_long,
        "unreadable": skipped.unreadable,
    })
}

/// Returns how many files and bytes were read.
pub(crate) fn scanned_json(scanned: &Scanned) -> Value {
    json!({ "files": scanned.files, "bytes": scanned.bytes })
}

/// Returns the counts and quantiles of an answer.
pub(crate) fn stats_json(stats: &Stats) -> Value {
    let by_tool = stats.by_tool.iter().map(|(tool, stats)| (tool.clone(), tool_json(stats)));
    let mut answer = json!({
        "from": stats.from,
        "to": stats.to,
        "total": stats.total,
        "by_status": stats.by_status,
        "by_tool": by_tool.collect::<Map<_, _>>(),
        "by_user": stats.by_user,
        "by_day": stats.by_day,
    });
    answer["source"] = stats.sources.as_str().into();
    if stats.approx {
        answer["approx"] = true.into();
    }
    add_read(&mut answer, &stats.skipped, &stats.scanned, &stats.unreadable_names, stats.complete);
    if let (0, Some(newest)) = (stats.total, stats.newest) {
        answer["newest"] = json!(newest.to_string());
    }
    answer
}

/// Returns calls over time.
pub(crate) fn series_json(series: &Series) -> Value {
    let buckets = series.buckets.iter().map(|bucket| {
        let mut object = counts_json(&bucket.all);
        object.insert("start".to_owned(), bucket.start.to_string().into());
        let groups = bucket.groups.iter().map(|(name, counts)| (name.clone(), counts_json(counts).into()));
        object.insert("groups".to_owned(), groups.collect::<Map<_, _>>().into());
        Value::from(object)
    });
    let mut answer = json!({
        "from": series.from.to_string(),
        "to": series.to.to_string(),
        "groups": series.groups,
        "buckets": buckets.collect::<Vec<_>>(),
    });
    answer["source"] = series.sources.as_str().into();
    add_read(&mut answer, &series.skipped, &series.scanned, &series.unreadable_names, series.complete);
    answer
}

/// Returns the counts of one bucket or group. The quantiles are absent if nothing was measured.
fn counts_json(counts: &SeriesCounts) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, count) in [("calls", counts.calls), ("errors", counts.errors), ("denied", counts.denied)] {
        object.insert(name.to_owned(), count.into());
    }
    if let (Some(p50), Some(p95)) = (counts.p50_ms, counts.p95_ms) {
        object.insert("duration_ms".to_owned(), json!({ "p50": number(p50), "p95": number(p95) }));
    }
    object
}

/// Returns the newest sessions.
pub(crate) fn sessions_json(answer: &Sessions) -> Value {
    let sessions = answer.sessions.iter().map(|session| {
        json!({
            "session": session.session,
            "user": session.user,
            "client": session.client,
            "begin": session.begin.to_string(),
            "end": session.end.to_string(),
            "calls": session.calls,
            "errors": session.errors,
            "denied": session.denied,
        })
    });
    let mut object = json!({
        "sessions": sessions.collect::<Vec<_>>(),
        "total": answer.total,
    });
    object["source"] = answer.sources.as_str().into();
    add_read(&mut object, &answer.skipped, &answer.scanned, &answer.unreadable_names, answer.complete);
    object
}

/// Adds to an answer what was read for it.
fn add_read(answer: &mut Value, skipped: &Skipped, scanned: &Scanned, unreadable_names: &[String], complete: bool) {
    answer["skipped"] = skipped_json(skipped);
    answer["scanned"] = scanned_json(scanned);
    answer["complete"] = complete.into();
    if !unreadable_names.is_empty() {
        answer["unreadable_names"] = json!(unreadable_names);
    }
}

/// Returns the counts of one tool. A group of quantiles is absent if nothing was measured.
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

/// Returns the quantiles.
fn quantiles_json(quantiles: &Quantiles) -> Value {
    let Quantiles { p50, p90, p95, p99, max, .. } = quantiles;
    json!({ "p50": number(*p50), "p90": number(*p90), "p95": number(*p95), "p99": number(*p99), "max": number(*max) })
}

/// Returns a number as it was received: a whole number without `.0`.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value < 9e15 { json!(value as u64) } else { json!(value) }
}

/// Returns which days an answer without entries covers, and the newest day that has entries.
pub(crate) fn nothing_json(nothing: &Nothing) -> Value {
    let newest = nothing.newest.map(|day| day.to_string());
    json!({ "from": nothing.from.to_string(), "to": nothing.to.to_string(), "newest": newest })
}

/// Returns the same as a sentence for people.
pub(crate) fn nothing_words(nothing: &Nothing, home: &Path) -> String {
    let Nothing { from, to, newest, .. } = nothing;
    let looked = if from == to { format!("no entries of {from}") } else { format!("no entries from {from} to {to}") };
    match newest {
        Some(newest) if newest < from => format!("{looked}; the newest are of {newest}: ask with since={newest}"),
        Some(newest) if newest > to => format!("{looked}; the newest are of {newest}"),
        Some(_) => format!("{looked} answer this"),
        None => format!("{looked}, and none of other days where this looks, in {}", home.display()),
    }
}

/// Prints on stderr which lines were skipped and which files could not be read, if there are any.
pub(crate) fn tell_skipped(skipped: &Skipped, unreadable: &[String]) {
    let Skipped { torn, nul, invalid_json, too_long, .. } = skipped;
    if torn + nul + invalid_json + too_long > 0 {
        talk(&format!("skipped: {torn} torn, {nul} with NUL, {invalid_json} not JSON, {too_long} too long"));
    }
    if skipped.unreadable > 0 {
        let more = skipped.unreadable.saturating_sub(unreadable.len() as u64);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        talk(&format!("could not be read: {}{more}", unreadable.join(", ")));
        talk_hint("run it as the owner of the home, or let that user read them");
    }
}
