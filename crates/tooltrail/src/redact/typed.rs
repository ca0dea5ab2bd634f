//! Passwords that code or a recording of a browser types: `page.fill('#password', '…')`,
//! `getByLabel('Password').fill('…')`, `- textbox "Password" [ref=e12]: …`.

use super::engine::Hit;
use super::labels;
use super::names::Name;
use super::text::{VALUE_MAX, floor, right};

/// Bytes of a statement before the call that types.
const CHAIN_MAX: usize = 256;
/// Bytes of the arguments of a call that types.
const CALL_MAX: usize = 768;

/// Calls that type their last argument, of Playwright, Puppeteer, Selenium, Cypress, WebdriverIO, TestCafe, Capybara
/// and jQuery, and assignments to what a form holds.
pub(super) const CALLS: &[&str] = &[
    ".fill(", ".type(", ".sendkeys(", ".send_keys(", ".presssequentially(", ".press_sequentially(", ".setvalue(",
    ".set_value(", ".typetext(", ".val(", "fill_in ", ".value = ", ".value='", ".value=\"", ".settext(", ".inputtext(",
];

/// Lines of a page's snapshot: `- textbox "Password" [ref=e12]: hunter2`.
pub(super) const BOX: &str = "textbox \"";

/// What a call types into something that names a password.
pub(super) fn call(text: &str, start: usize, end: usize) -> Option<Hit> {
    let near = floor(text, end + CALL_MAX);
    // An assignment may have its quote in the word that was found.
    let open = if text[..end].ends_with(['"', '\'']) { end - 1 } else { end };
    let literals = literals(&text[..near], open);
    let (last, earlier) = literals.split_last()?;
    let named = |from: usize, until: usize| strong(&text[from..until]);
    let name = match earlier.first() {
        Some(first) => named(first.0, first.1),
        None => named(chain(text, start), start),
    }?;
    (last.1 > last.0).then_some(Hit::new(last.0, last.1, name))
}

/// What stands in a box of a page.
pub(super) fn snapshot(text: &str, end: usize) -> Option<Hit> {
    let close = end + text[end..floor(text, end + VALUE_MAX)].find('"')?;
    let name = strong(&text[end..close])?;
    let line = right(&text[..floor(text, close + CALL_MAX)], close, |b| b != b'\n');
    let colon = close + text[close..line].find(": ")? + 2;
    let value = text[colon..line].trim().trim_matches(['"', '\'']);
    let from = colon + text[colon..line].find(value)?;
    (!value.is_empty()).then_some(Hit::new(from, from + value.len(), name))
}

fn strong(label: &str) -> Option<&'static str> {
    match labels::judge(label)? {
        Name::Strong(rule) => Some(rule),
        Name::Weak(_) => None,
    }
}

/// Where the statement begins of which a call is the end.
fn chain(text: &str, start: usize) -> usize {
    let from = floor(text, start.saturating_sub(CHAIN_MAX));
    text[from..start].rfind([';', '\n']).map_or(from, |at| from + at + 1)
}

/// The quoted texts at the beginning of a call's arguments: two at most.
fn literals(text: &str, at: usize) -> Vec<(usize, usize)> {
    let (bytes, mut at, mut found) = (text.as_bytes(), at, Vec::new());
    while found.len() < 2 {
        at = right(text, at, |b| b.is_ascii_alphanumeric() || b" ,\t:.\\_".contains(&b));
        let Some(quote @ (b'"' | b'\'' | b'`')) = bytes.get(at).copied() else { break };
        let escaped = at > 0 && bytes[at - 1] == b'\\';
        let end = right(text, at + 1, |b| b != quote && b != b'\n');
        if bytes.get(end) != Some(&quote) {
            break;
        }
        found.push((at + 1, end - usize::from(escaped && bytes[end - 1] == b'\\')));
        at = end + 1;
    }
    found
}
