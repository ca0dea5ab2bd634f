//! The parts that all pages share: the head, the navigation, the search form and the signed-in user.

use maud::{DOCTYPE, Markup, html};
use tooltrail::{Query, Status};

use crate::query_help;
use crate::web::text::Shown;
use crate::web::view::{DAYS_DEFAULT, View};

/// The choices for how many days a view looks back.
const DAYS: [(u32, &str); 6] =
    [(1, "today"), (7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "a year"), (3_650, "ten years")];

/// Most characters shown of a name in the head.
const NAME_CHARS_MAX: usize = 60;

/// The signed-in user.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    /// The name of the token.
    pub(crate) name: String,
    /// The user whose entries the token may read; `None` means all users.
    pub(crate) user: Option<String>,
    /// The secret that each form of this session must send back.
    pub(crate) form: String,
}

/// A problem and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What is wrong.
    pub(crate) what: String,
    /// What to do instead.
    pub(crate) hint: String,
}

/// The view that a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tab {
    Calls,
    Stats,
    SignIn,
    None,
}

impl Tab {
    const fn path(self) -> &'static str {
        match self {
            Self::Stats => "/stats",
            Self::Calls | Self::SignIn | Self::None => "/",
        }
    }
}

/// Returns a whole page.
pub(crate) fn page(title: &str, tab: Tab, reader: Option<&Viewer>, view: &View, body: &Markup) -> Markup {
    whole(title, tab, reader, view, None, body)
}

/// Returns a whole page, which may redirect the browser to `onward`.
pub(crate) fn whole(
    title: &str,
    tab: Tab,
    reader: Option<&Viewer>,
    view: &View,
    onward: Option<&str>,
    body: &Markup,
) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if let Some(onward) = onward { meta http-equiv="refresh" content={ "0; url=" (onward) }; }
                meta name="color-scheme" content="light dark";
                title { (title) " · tooltrail" }
                link rel="icon" href="/static/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/static/page.css";
                @if reader.is_some() { script type="module" src="/static/live.js" {} }
                @if onward.is_some() || tab == Tab::SignIn { script type="module" src="/static/sign-in.js" {} }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.brand href="/" { img src="/static/icon.svg" alt="" width="26" height="26"; span { "tooltrail" } }
                    @if let Some(reader) = reader {
                        nav aria-label="Views" {
                            @for (other, name) in [(Tab::Calls, "Calls"), (Tab::Stats, "Counts")] {
                                a href=(view.first().href(other.path())) aria-current=[(tab == other).then_some("page")] {
                                    (name)
                                }
                            }
                        }
                        (account(reader))
                    }
                }
                main id="main" tabindex="-1" { (body) }
            }
        }
    }
}

/// Returns the name of the signed-in token, and the button to sign out.
fn account(reader: &Viewer) -> Markup {
    html! {
        form.account method="post" action="/session/end" {
            span.who title="the token that is signed in" {
                (Shown::line(&reader.name, NAME_CHARS_MAX))
                @if let Some(user) = &reader.user { span.quiet { " reads " (Shown::line(user, NAME_CHARS_MAX)) } }
            }
            input type="hidden" name="form" value=(reader.form);
            button type="submit" { "Sign out" }
        }
    }
}

/// Returns the search form of a view: the query box and the filters.
pub(crate) fn search(
    tab: Tab,
    view: &View,
    reader: &Viewer,
    known: &SuggestedNames,
    refused: Option<&Trouble>,
) -> Markup {
    html! {
        search {
            form.search method="get" action=(tab.path()) id="search" {
                label.hidden for="q" { "Search" }
                div.box {
                    input type="search" id="q" name="q" value=(view.query) spellcheck="false" autocomplete="off"
                        autocapitalize="off" aria-invalid=[refused.map(|_| "true")]
                        aria-describedby=[refused.map(|_| "q-refused")]
                        placeholder="last=1h duration>500ms \"free text\"";
                    button.first type="submit" { "Search" }
                }
                @if let Some(refused) = refused {
                    @if let Err(tooltrail::Error::Query { text, at, .. }) = Query::parse(&view.query) {
                        pre.place aria-hidden="true" { (query_help::place(&text, at)) }
                    }
                    p.refused id="q-refused" role="alert" { (refused.what) ". " span { (refused.hint) } }
                }
                div.filters {
                    (statuses(tab, view))
                    @if let Some(status) = view.status { input type="hidden" name="status" value=(status); }
                    label { span { "Tool" } input name="tool" list="tools" value=(view.tool.as_deref().unwrap_or_default())
                        placeholder="any, or fs.*" spellcheck="false" autocomplete="off" autocapitalize="off"; }
                    @if reader.user.is_none() {
                        label { span { "User" } input name="user" list="users" value=(view.user.as_deref().unwrap_or_default())
                            placeholder="anyone" spellcheck="false" autocomplete="off" autocapitalize="off"; }
                    }
                    label { span { "Back" } (days(view.days)) }
                    @if tab == Tab::Calls {
                        label.check { input type="checkbox" name="reads" value="1" checked[view.reads]; span { "Reads of this trail" } }
                    }
                    @if view.is_narrowed() { a.clear href=(tab.path()) { "Clear" } }
                }
                (known.lists())
                details.help {
                    summary { "How to write a query" }
                    pre { (query_help::TEXT) }
                }
            }
        }
    }
}

/// Names that the filter boxes suggest.
#[derive(Clone, Debug, Default)]
pub(crate) struct SuggestedNames {
    /// Names of tools.
    pub(crate) tools: std::collections::BTreeSet<String>,
    /// Names of users.
    pub(crate) users: std::collections::BTreeSet<String>,
}

impl SuggestedNames {
    fn lists(&self) -> Markup {
        html! {
            @for (id, names) in [("tools", &self.tools), ("users", &self.users)] {
                datalist id=(id) { @for name in names { option value=(name) {} } }
            }
        }
    }
}

/// Returns a link for each status, and one for all calls.
fn statuses(tab: Tab, view: &View) -> Markup {
    let all = [None].into_iter().chain(Status::ALL.iter().copied().map(Some));
    html! {
        div.statuses role="group" aria-label="Status" {
            @for status in all {
                a href=(view.with_status(status).href(tab.path()))
                    class=(status.map_or("all", Status::as_str))
                    aria-current=[(view.status == status).then_some("true")] {
                    (status.map_or("all", Status::as_str))
                }
            }
        }
    }
}

/// Returns the selection of days. It includes the chosen number even if it is not a standard choice.
fn days(chosen: u32) -> Markup {
    let listed = DAYS.iter().any(|(days, _)| *days == chosen);
    html! {
        select name="days" {
            @if !listed { option value=(chosen) selected { (chosen) " days" } }
            @for (days, name) in DAYS { option value=(days) selected[days == chosen] { (name) } }
        }
    }
}

/// Returns a number of days in words.
pub(crate) fn span_words(days: u32) -> String {
    match days {
        1 => "today".to_owned(),
        DAYS_DEFAULT => "the last 7 days".to_owned(),
        days => format!("the last {days} days"),
    }
}

/// Returns the page that shows a problem.
pub(crate) fn trouble(title: &str, trouble: &Trouble, reader: Option<&Viewer>) -> Markup {
    let body = html! {
        section.trouble {
            h1 { (title) }
            p { (Shown::line(&trouble.what, 500)) }
            p.quiet { (Shown::line(&trouble.hint, 500)) }
            p { a href="/" { "To the newest calls" } }
        }
    };
    page(title, Tab::None, reader, &View::default(), &body)
}
