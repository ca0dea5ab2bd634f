//! The page of counts and quantiles: how many calls, how fast and by which users. Counts link to their calls.

use std::collections::BTreeMap;

use maud::{Markup, html};
use tooltrail::{Quantiles, Stats, Status, ToolStats};

use crate::web::layout::{SuggestedNames, Tab, Trouble, Viewer, page, search};
use crate::web::text::{Shown, bytes, duration, grouped, is_plain};
use crate::web::view::View;

/// Most rows of one table. To see a tool that is not among them, a user can search for its name.
const ROWS_MAX: usize = 200;

/// Longest name in a table.
const NAME_CHARS_MAX: usize = 120;

/// The name under which the library sums up all tools or users that are not among the most frequent.
const REST: &str = "other";

/// Returns the page.
pub(crate) fn stats(view: &View, reader: &Viewer, answer: Result<&Stats, &Trouble>) -> Markup {
    let known = answer.map_or_else(
        |_| SuggestedNames::default(),
        |stats| SuggestedNames {
            tools: stats.by_tool.keys().filter(|name| is_plain(name)).take(ROWS_MAX).cloned().collect(),
            users: stats.by_user.keys().filter(|name| is_plain(name)).take(ROWS_MAX).cloned().collect(),
        },
    );
    let body = html! {
        h1.hidden { "Counts" }
        (search(Tab::Stats, view, reader, &known, answer.err()))
        @if let Ok(stats) = answer { (counts(view, reader, stats)) }
    };
    page("Counts", Tab::Stats, Some(reader), view, &body)
}

/// Returns all counts.
fn counts(view: &View, reader: &Viewer, stats: &Stats) -> Markup {
    html! {
        section.tiles aria-label="Totals" {
            a.tile href=(view.first().href("/")) { b { (grouped(stats.total)) } " calls" }
            @for status in Status::ALL {
                @let count = stats.by_status.get(status.as_str()).copied().unwrap_or_default();
                a.tile.(status.as_str()) href=(view.with_status(Some(*status)).href("/")) {
                    b { (grouped(count)) } " " (status) span.quiet { " " (share(count, stats.total)) }
                }
            }
        }
        div.pair {
            section { h2 { "By day" span.quiet { " " (stats.from) " to " (stats.to) } } (bars(&stats.by_day, |_| None, true)) }
            @if reader.user.is_none() {
                section { h2 { "By user" } (bars(&stats.by_user, |user| Some(view.with_user(user).href("/")), false)) }
            }
        }
        // The last section, because there may be hundreds of tools.
        section {
            h2 { "By tool" }
            @if stats.by_tool.is_empty() { p.quiet { "No calls." } } @else { (tools(view, &stats.by_tool)) }
        }
        footer.foot {
            p.quiet {
                @if !stats.complete { "Not everything was counted: the summary stopped at its bound. " }
                "Counted " (bytes(stats.scanned.bytes)) " in " (grouped(stats.scanned.files)) " day files. "
                "Events of tooltrail's own are left out."
            }
        }
    }
}

/// Returns a count as a percentage of the total.
fn share(count: u64, total: u64) -> String {
    match (count, total) {
        (0, _) | (_, 0) => "0 %".to_owned(),
        (count, total) if count == total => "100 %".to_owned(),
        (count, total) => format!("{:.1} %", (count as f64 / total as f64 * 100.0).clamp(0.1, 99.9)),
    }
}

/// Returns the table of tools, the most frequent first.
fn tools(view: &View, by_tool: &BTreeMap<String, ToolStats>) -> Markup {
    let mut tools = by_tool.iter().collect::<Vec<_>>();
    tools.sort_by_key(|(_, stats)| std::cmp::Reverse(stats.calls));
    let largest = tools.first().map_or(1, |(_, stats)| stats.calls);
    html! {
        table.counts role="table" aria-label="Calls by tool" {
            thead role="rowgroup" {
                tr role="row" {
                    @for name in ["Tool", "Calls", "Ok", "Error", "Denied", "Took p50", "p90", "p95", "p99", "Result p50", "p95"] {
                        th role="columnheader" scope="col" { (name) }
                    }
                }
            }
            tbody role="rowgroup" {
                @for (name, stats) in tools.iter().take(ROWS_MAX) {
                    tr role="row" {
                        th.name role="rowheader" scope="row" {
                            @if *name == REST { (name) }
                            @else { a href=(view.with_tool(name).href("/")) { (Shown::name(name, NAME_CHARS_MAX)) } }
                            (bar(stats.calls, largest))
                        }
                        td role="cell" data-label="calls" { (grouped(stats.calls)) }
                        @for (label, count) in [("ok", stats.ok), ("error", stats.error), ("denied", stats.denied)] {
                            td.(if count == 0 { "zero" } else { label }) role="cell" data-label=(label) { (grouped(count)) }
                        }
                        @for (label, ms) in times(stats.duration_ms) {
                            td role="cell" data-label=(label) { @if let Some(ms) = ms { (duration(ms)) } @else { span.quiet { "–" } } }
                        }
                        @for (label, chars) in sizes(stats.result_chars) {
                            td role="cell" data-label=(label) {
                                @if let Some(chars) = chars { (grouped(chars.round() as u64)) } @else { span.quiet { "–" } }
                            }
                        }
                    }
                }
            }
        }
        @if tools.len() > ROWS_MAX { p.quiet { "And " (tools.len() - ROWS_MAX) " more tools." } }
    }
}

/// Returns the quantiles of the call durations, in milliseconds.
fn times(measured: Option<Quantiles>) -> [(&'static str, Option<f64>); 4] {
    [
        ("took p50", measured.map(|at| at.p50)),
        ("took p90", measured.map(|at| at.p90)),
        ("took p95", measured.map(|at| at.p95)),
        ("took p99", measured.map(|at| at.p99)),
    ]
}

/// Returns the quantiles of the result sizes, in characters.
fn sizes(measured: Option<Quantiles>) -> [(&'static str, Option<f64>); 2] {
    [("chars p50", measured.map(|at| at.p50)), ("chars p95", measured.map(|at| at.p95))]
}

/// Returns a bar for each name, in descending order of names (`by_name`, for dates) or of counts.
fn bars(counts: &BTreeMap<String, u64>, link: impl Fn(&str) -> Option<String>, by_name: bool) -> Markup {
    let mut counts = counts.iter().collect::<Vec<_>>();
    if by_name {
        counts.reverse();
    } else {
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    }
    let largest = counts.iter().map(|(_, count)| **count).max().unwrap_or(1);
    html! {
        @if counts.is_empty() { p.quiet { "None." } }
        ul.bars {
            @for (name, count) in counts.iter().take(ROWS_MAX) {
                li {
                    span.name {
                        @match link(name).filter(|_| *name != REST) {
                            Some(href) => a href=(href) { (Shown::name(name, NAME_CHARS_MAX)) },
                            None => (Shown::line(name, NAME_CHARS_MAX)),
                        }
                    }
                    span.count { (grouped(**count)) }
                    (bar(**count, largest))
                }
            }
        }
        @if counts.len() > ROWS_MAX { p.quiet { "And " (counts.len() - ROWS_MAX) " more." } }
    }
}

/// Returns a bar for a count. It is hidden from screen readers, because the number is next to it.
fn bar(count: u64, largest: u64) -> Markup {
    let width = (count as f64 / largest.max(1) as f64 * 1_000.0).max(4.0).round();
    html! {
        svg.bar viewBox="0 0 1000 8" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            rect width=(width) height="8" {}
        }
    }
}
