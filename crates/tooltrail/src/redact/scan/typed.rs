//! Finds passwords that code types into a form, or that a page snapshot shows: `page.fill('#password', '…')`,
//! `getByLabel('Password').fill('…')`, `- textbox "Password" [ref=e12]: …`.

use crate::redact::rules::names::Name;
use crate::redact::scan::boundaries::{floor, right};
use crate::redact::scan::hit::Hit;
use crate::redact::scan::labels;

/// Bytes of a label before and after the name of a secret.
const LABEL_MAX: usize = 64;
/// Maximum bytes of a statement between the label and the call that types.
const CHAIN_MAX: usize = 256;
/// Maximum bytes of the arguments of a call that types.
const CALL_MAX: usize = 768;

/// Calls that type their last argument, from Playwright, Puppeteer, Selenium, Cypress, WebdriverIO, TestCafe, Capybara
/// and jQuery, and assignments to the value of a form field.
const CALLS: &[&str] = &[
    "fill(",
    "type(",
    "sendKeys(",
    "SendKeys(",
    "send_keys(",
    "pressSequentially(",
    "press_sequentially(",
    "setValue(",
    "set_value(",
    "typeText(",
    "val(",
    "fill_in ",
    ".value = ",
    ".value=",
    "set_text(",
    "inputText(",
];
/// The beginning of a text box in a page snapshot.
const BOX: &str = "textbox \"";

/// Returns the text that is typed into a field whose label or selector contains the name of a secret, from `start` to
/// `end`.
pub(in crate::redact) fn after(text: &str, start: usize, end: usize) -> Option<Hit> {
    // A label or selector is quoted.
    let from = floor(text, start.saturating_sub(LABEL_MAX));
    let quote = text[from..start].rfind(['"', '\'', '`']).map(|at| from + at)?;
    let close = end + text[end..floor(text, end + LABEL_MAX)].find(char::from(text.as_bytes()[quote]))?;
    if text[quote..close].contains('\n') {
        return None;
    }
    let name = strong(&text[quote + 1..close])?;
    if text[..=quote].ends_with(BOX) {
        return snapshot(text, close, name);
    }
    let call = |from: usize, until: usize| {
        let near = &text[from..until];
        CALLS.iter().filter_map(|word| near.rfind(word).map(|at| from + at + word.len())).max()
    };
    // `fill('#password', '…')`: the label is the first argument.
    let comma = right(text, close + 1, |b| b == b' ' || b == b'\\');
    let quoted = if text[comma..].starts_with(',') && call(from, quote) == Some(quote) {
        literal(text, comma + 1)
    } else {
        // `locator('#password').fill('…')`: the label is in an earlier call of the chain.
        let rest = &text[close..floor(text, close + CHAIN_MAX)];
        let statement = close + rest.find([';', '\n']).unwrap_or(rest.len());
        literal(text, call(close, statement)?)
    };
    let (from, until) = quoted.filter(|(from, until)| from < until)?;
    Some(Hit::new(from, until, name))
}

/// Returns the content of a text box in a page snapshot: `- textbox "Password" [ref=e12]: hunter2`.
fn snapshot(text: &str, close: usize, name: &'static str) -> Option<Hit> {
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

/// Returns the range of the quoted text that is the next argument.
fn literal(text: &str, at: usize) -> Option<(usize, usize)> {
    let text = &text[..floor(text, at + CALL_MAX)];
    let bytes = text.as_bytes();
    let open = right(text, at, |b| b.is_ascii_alphanumeric() || b" ,\t:.\\_".contains(&b));
    let quote = *bytes.get(open).filter(|byte| matches!(byte, b'"' | b'\'' | b'`'))?;
    let escaped = open > 0 && bytes[open - 1] == b'\\';
    let end = right(text, open + 1, |b| b != quote && b != b'\n');
    (bytes.get(end) == Some(&quote)).then(|| (open + 1, end - usize::from(escaped && bytes[end - 1] == b'\\')))
}
