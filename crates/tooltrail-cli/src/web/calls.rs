//! The page of the newest calls: one row for each call, and next to the list the opened call.

use maud::{DOCTYPE, Markup, html};
use tooltrail::{Page, Status, Zone};

use crate::web::call::{call, missing};
use crate::web::entry::Entry;
use crate::web::layout::{SuggestedNames, Tab, Trouble, Viewer, page, search, span_words};
use crate::web::text::{Shown, bytes, duration, grouped, is_plain};
use crate::web::view::View;

/// Longest name in a row.
const NAME_CHARS_MAX: usize = 120;

/// Most characters of arguments and of result in a row: more than one line can show, but little to send.
const GLANCE_CHARS_MAX: usize = 240;

/// The data for the page of calls.
#[derive(Debug)]
pub(crate) struct CallsPage<'a> {
    /// The requested view.
    pub(crate) view: &'a View,
    /// The user who is signed in.
    pub(crate) reader: &'a Viewer,
    /// The answer, or what is wrong with the query.
    pub(crate) answer: Result<&'a Page, &'a Trouble>,
    /// The call that the address opens.
    pub(crate) opened: Opened,
    /// The address of the stream of new entries; `None` if this is not the newest page.
    pub(crate) stream: Option<String>,
    /// The time zone for times that do not name one.
    pub(crate) zone: &'a Zone,
    /// The host name and port under which the browser reaches the service.
    pub(crate) host: &'a str,
}

/// The call that an address opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// The address opens no call.
    None,
    /// The stored line of the call, and what is known of it besides: names and texts.
    Line(String, Vec<(&'static str, String)>),
    /// The call does not exist, or this user may not read it.
    Missing,
}

/// Returns the page.
pub(crate) fn calls(what: &CallsPage<'_>) -> Markup {
    let CallsPage { view, reader, .. } = *what;
    let body = html! {
        h1.hidden { "Calls" }
        (search(Tab::Calls, view, reader, &known(what.answer.ok()), what.answer.err()))
        @if let Ok(answer) = what.answer {
            (list(what, answer))
        }
        (match &what.opened {
            Opened::None => html! {},
            Opened::Line(line, known) => call(line, known, view, what.zone),
            Opened::Missing => missing(view),
        })
    };
    page("Calls", Tab::Calls, Some(reader), view, &body)
}

/// Returns the tool and user names of a page, for the suggestions.
fn known(answer: Option<&Page>) -> SuggestedNames {
    let mut known = SuggestedNames::default();
    for line in answer.into_iter().flat_map(|page| &page.lines) {
        let entry = Entry::read(line);
        known.tools.extend(entry.text("tool").filter(|name| is_plain(name)));
        known.users.extend(entry.text("user").filter(|name| is_plain(name)));
    }
    known
}

/// Returns the list of calls with its heading and footer.
fn list(what: &CallsPage<'_>, answer: &Page) -> Markup {
    let rows_href = what.stream.as_ref().map(|_| what.view.first().href("/rows"));
    html! {
        section.calls aria-labelledby="calls-title" data-stream=[what.stream.as_deref()] data-rows=[rows_href] {
            div.over {
                h2 id="calls-title" {
                    @if what.view.cursor.is_some() { "Older calls" } @else { "Newest calls" }
                    span.quiet { ", " (span_words(what.view.days)) }
                }
                span.live id="live" hidden { "live" }
                // Filled by the script. Screen readers read it out when it changes.
                p.news role="status" aria-live="polite" id="news" {}
            }
            @if answer.lines.is_empty() {
                (nothing(what, answer))
            } @else if answer.next.is_none() && !what.view.is_narrowed() && what.view.cursor.is_none()
                && answer.lines.iter().all(|line| Entry::read(line).is_own())
            {
                div.nothing id="nothing" {
                    p { "No calls in " (span_words(what.view.days)) " yet, only notes of tooltrail's own." }
                    (first_call(what.host))
                }
            }
            table.rows role="table" aria-labelledby="calls-title" hidden[answer.lines.is_empty()] {
                thead role="rowgroup" {
                    tr role="row" {
                        @for name in ["Time (UTC)", "Status", "Tool", "User", "Took", "Arguments, result"] {
                            th role="columnheader" scope="col" { (name) }
                        }
                    }
                }
                (rows(answer, what.view, what.zone))
            }
            (foot(what.view, answer))
        }
    }
}

/// Returns only the rows, for the script that keeps the list live.
pub(crate) fn rows_alone(answer: &Page, view: &View, zone: &Zone) -> Markup {
    // A browser parses rows only inside a table.
    html! { (DOCTYPE) title { "Rows" } table { (rows(answer, view, zone)) } }
}

/// Returns the rows of an answer.
fn rows(answer: &Page, view: &View, zone: &Zone) -> Markup {
    let next = next_href(answer, view);
    html! {
        tbody role="rowgroup" id="rows" data-here=(view.first().href("/")) data-next=[next] {
            @for line in &answer.lines { (row(&Entry::read(line), view, zone)) }
        }
    }
}

/// Returns the address of the next page.
fn next_href(answer: &Page, view: &View) -> Option<String> {
    let cursor = answer.next.clone()?;
    Some(View { cursor: Some(cursor), open: None, ..view.clone() }.href("/"))
}

/// Returns one call as a row.
fn row(entry: &Entry<'_>, view: &View, zone: &Zone) -> Markup {
    let key = entry.key(zone);
    let text = |name: &str| entry.text(name).unwrap_or_default();
    let (tool, user, args, result) = (text("tool"), text("user"), text("args"), text("result_snippet"));
    let current = (view.open.as_deref() == Some(&key)).then_some("true");
    html! {
        tr role="row" data-key=(key) class=[entry.is_own().then_some("own")] aria-current=[current] {
            td.time role="cell" { (when(&text("ts"))) }
            td.status role="cell" { (badge(entry.status())) (reason(entry)) }
            td.tool role="cell" {
                a.open href=(view.with_open(Some(&key)).href("/")) { (Shown::name(&tool, NAME_CHARS_MAX)) }
            }
            td.user role="cell" { (Shown::name(&user, NAME_CHARS_MAX)) }
            td.took role="cell" {
                @if let Some(ms) = entry.number("duration_ms") { (duration(ms)) }
                @else { span.quiet title="not measured" { "–" } }
            }
            td.glance role="cell" {
                div.args { @if args.is_empty() || args == "{}" { span.quiet { "no arguments" } } @else { (Glance(&args)) } }
                div.result { @if result.is_empty() { span.quiet { "no text" } } @else { (Glance(&result)) } }
            }
        }
    }
}

/// The beginning of a text on one line. Line breaks are shown as spaces; the opened call shows them.
struct Glance<'a>(&'a str);

impl maud::Render for Glance<'_> {
    fn render_to(&self, page: &mut String) {
        let end = self.0.char_indices().nth(GLANCE_CHARS_MAX).map_or(self.0.len(), |(at, _)| at);
        let words = self.0[..end].split(['\n', '\r', '\t']).filter(|line| !line.is_empty()).collect::<Vec<_>>();
        Shown::line(&words.join(" "), GLANCE_CHARS_MAX).render_to(page);
    }
}

/// Returns a timestamp as it is stored, but with the time before the date.
fn when(ts: &str) -> Markup {
    let Some((date, time)) = ts.split_once(['T', ' ']).filter(|_| ts.is_ascii()) else {
        return html! { (Shown::line(ts, NAME_CHARS_MAX)) };
    };
    let time = time.strip_suffix('Z').unwrap_or(time);
    html! {
        time datetime=(ts) { span.clock { (Shown::line(time, NAME_CHARS_MAX)) } " " span.date { (Shown::line(date, NAME_CHARS_MAX)) } }
    }
}

/// Returns a status as a coloured word.
pub(crate) fn badge(status: Status) -> Markup {
    html! { span.badge.(status.as_str()) { (status) } }
}

/// Returns the reason why a call is not ok, if the entry has one.
fn reason(entry: &Entry<'_>) -> Markup {
    html! { @if let Some(reason) = entry.text("reason") { span.reason { (Shown::line(&reason.replace('_', " "), NAME_CHARS_MAX)) } } }
}

/// Returns the text that is shown instead of an empty list.
fn nothing(what: &CallsPage<'_>, answer: &Page) -> Markup {
    html! {
        div.nothing id="nothing" {
            @if answer.next.is_some() {
                p { "Nothing found so far: the search stopped at its bound." }
            } @else if let (Some(nothing), true) = (&answer.nothing, what.view.is_narrowed()) {
                p { "No call answers this from " (nothing.from) " to " (nothing.to) " (UTC)." }
                p.quiet {
                    @match nothing.newest {
                        Some(newest) => { "The newest entries are of " (newest) ". Look further back, or take a filter away." }
                        None => { "There are no entries at all." }
                    }
                }
            } @else if what.view.is_narrowed() {
                p { "No call answers this in " (span_words(what.view.days)) "." }
                p.quiet { "Look further back, or take a filter away." }
            } @else {
                p { "No calls in " (span_words(what.view.days)) " yet." }
                @if let Some(newest) = answer.nothing.as_ref().and_then(|nothing| nothing.newest) {
                    p.quiet { "The newest entries are of " (newest) ": look further back." }
                } @else {
                    (first_call(what.host))
                }
            }
        }
    }
}

/// Returns the instructions for recording a first call.
fn first_call(host: &str) -> Markup {
    html! {
        p.quiet { "Make a token for whatever sends calls, and send the first one; it appears here by itself." }
        pre.example {
            "INGEST=$(tooltrail token add me --role ingest)\n"
            "curl -H \"Authorization: Bearer $INGEST\" http://" (Shown::line(host, NAME_CHARS_MAX)) "/api/audit/entries \\\n"
            "  --data-binary '{\"user\":\"alice\",\"tool\":\"fs.read\",\"args\":{\"path\":\"a.txt\"},\"status\":\"ok\",\"result\":\"hello\"}'"
        }
        p.quiet { "What was recorded elsewhere comes with " code { "tooltrail import FILE" } "." }
    }
}

/// Returns the footer: links to other pages, and how much data the answer read.
fn foot(view: &View, answer: &Page) -> Markup {
    let skipped = answer.skipped;
    let all = skipped.torn + skipped.nul + skipped.invalid_json + skipped.too_long;
    html! {
        footer.foot {
            nav.pages aria-label="Pages" {
                @if view.cursor.is_some() { a href=(view.first().href("/")) { "← Newest" } }
                @if let Some(next) = next_href(answer, view) {
                    a rel="next" href=(next) {
                        @if answer.complete { "Older calls →" } @else { "Look further back →" }
                    }
                }
            }
            p.quiet {
                @if !answer.complete && answer.next.is_some() {
                    "Not everything was looked at: the search stopped at its bound. "
                } @else if answer.skipped.unreadable > 0 {
                    "Could not be read: " (Shown::line(&answer.unreadable_names.join(", "), NAME_CHARS_MAX)) ". "
                } @else if !answer.complete {
                    "Entries that were accepted wait for their day file. "
                }
                "Looked at " (bytes(answer.scanned.bytes)) " in " (grouped(answer.scanned.files)) " day files"
                @if all > 0 {
                    "; " (grouped(all)) " lines there are no entries ("
                    (skipped.torn) " torn, " (skipped.nul) " with NUL, " (skipped.invalid_json) " invalid, "
                    (skipped.too_long) " too long)"
                }
                "."
            }
            p.quiet.keys hidden {
                kbd { "/" } " search, " kbd { "j" } " " kbd { "k" } " walk, " kbd { "Enter" } " open, " kbd { "Esc" } " close"
            }
        }
    }
}
