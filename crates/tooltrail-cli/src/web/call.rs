//! The panel of an opened call: its arguments as a tree, its result, and all fields of its line.

use maud::{Markup, html};
use tooltrail::Zone;

use crate::output::escaped_json;
use crate::web::calls::badge;
use crate::web::entry::Entry;
use crate::web::text::{Shown, bytes, duration, grouped};
use crate::web::tree::tree;
use crate::web::view::View;

/// Longest line that is parsed. Lines of the recorder have at most 64 KiB; of a longer line by another writer, only the
/// beginning is shown.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Most characters shown of a result, and of a stored line.
const TEXT_CHARS_MAX: usize = 70_000;

/// Most characters shown of another field.
const VALUE_CHARS_MAX: usize = 400;

/// Fields that are not in the list, because they have their own place or are not shown.
const ELSEWHERE: [&str; 9] =
    ["ts", "tool", "args", "status", "result_chars", "result_snippet", "duration_ms", "extra", "salt"];

/// Fields that the query grammar can search, so that their values link to the calls with the same value.
const FOUND_BY: [&str; 13] = [
    "user", "session", "agent", "model", "client", "server", "via", "reason", "call_id", "parent", "rule", "trace_id",
    "identity",
];

/// Returns the panel of an opened call.
pub(crate) fn call(line: &str, known: &[(&'static str, String)], view: &View, zone: &Zone) -> Markup {
    if line.len() > LINE_BYTES_MAX {
        return panel(
            "A very long line",
            &html! {},
            view,
            &html! {
                p { "This line has " (bytes(line.len() as u64)) "; its beginning:" }
                pre { (Shown::block(line, TEXT_CHARS_MAX)) }
            },
        );
    }
    let entry = Entry::read(line);
    let tool = entry.text("tool").unwrap_or_default();
    let chars = entry.number("result_chars").unwrap_or_default();
    let result = entry.text("result_snippet").unwrap_or_default();
    let body = html! {
        (facts(&entry, known, view))
        section { h3 { "Arguments" } (tree(entry.raw("args").unwrap_or("{}"))) }
        section {
            h3 { "Result" span.quiet { " " (extent(chars, &result)) } }
            @if !result.is_empty() { pre.text { (Shown::block(&result, TEXT_CHARS_MAX)) } }
        }
        @if let Some(extra) = entry.raw("extra") { section { h3 { "Extra" } (tree(extra)) } }
        details.stored {
            summary { "Stored line" span.quiet { " " (bytes(line.len() as u64)) } }
            pre { (Shown::block(&escaped_json(line), TEXT_CHARS_MAX)) }
        }
    };
    let key = entry.key(zone);
    html! { (panel(&tool, &badge(entry.status()), view, &html! { div data-call=(key) { (body) } })) }
}

/// Returns the panel for a call that was not found.
pub(crate) fn missing(view: &View) -> Markup {
    let body = html! {
        p { "It is not among the calls that you may read, or too far from where its address says." }
    };
    panel("No such call", &html! {}, view, &body)
}

/// Returns a panel with this title and body.
fn panel(title: &str, badge: &Markup, view: &View, body: &Markup) -> Markup {
    html! {
        aside id="call" aria-labelledby="call-title" tabindex="-1" {
            header {
                h2 id="call-title" { (Shown::name(title, VALUE_CHARS_MAX)) }
                (badge)
                a.close href=(view.with_open(None).href("/")) { "Close" }
            }
            (body)
        }
    }
}

/// Returns how much of a result is shown.
fn extent(chars: f64, result: &str) -> String {
    let shown = result.chars().count();
    match chars {
        chars if chars <= 0.0 && shown == 0 => "none".to_owned(),
        chars if chars as u64 > shown as u64 => {
            format!("the first {} of {} characters", grouped(shown as u64), grouped(chars as u64))
        }
        _ => format!("{} characters", grouped(shown as u64)),
    }
}

/// Returns the list of all fields that have no place of their own.
fn facts(entry: &Entry<'_>, known: &[(&'static str, String)], view: &View) -> Markup {
    html! {
        dl.facts {
            @if let Some(tool) = entry.text("tool") {
                div { dt { "tool" } dd { a href=(view.with_tool(&tool).href("/")) title="calls of this tool" {
                    (Shown::line(&tool, VALUE_CHARS_MAX))
                } } }
            }
            div { dt { "time" } dd { (instant(&entry.text("ts").unwrap_or_default())) } }
            @if let Some(ms) = entry.number("duration_ms") {
                div { dt { "took" } dd { (duration(ms)) @if ms >= 1_000.0 { span.quiet { " " (ms) " ms" } } } }
            }
            @for (name, raw) in entry.members().filter(|(name, _)| !ELSEWHERE.contains(name)) {
                @let value = crate::web::entry::plain(raw);
                div {
                    dt { (Shown::line(name, VALUE_CHARS_MAX)) }
                    dd {
                        @if FOUND_BY.contains(&name) {
                            a href=(view.with_field(name, &value).href("/")) title={ "calls with this " (name) } {
                                (Shown::line(&value, VALUE_CHARS_MAX))
                            }
                        } @else {
                            (Shown::line(&value, VALUE_CHARS_MAX))
                        }
                    }
                }
            }
            @for (name, text) in known { div { dt { (name) } dd { (Shown::line(text, VALUE_CHARS_MAX)) } } }
        }
    }
}

/// Returns a timestamp in a readable form.
fn instant(ts: &str) -> Markup {
    let words = ts.strip_suffix('Z').map_or_else(|| ts.to_owned(), |ts| format!("{ts} UTC"));
    html! { time datetime=(ts) { (Shown::line(&words.replacen('T', " ", 1), VALUE_CHARS_MAX)) } }
}
