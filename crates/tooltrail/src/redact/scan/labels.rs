//! Decides whether the label or selector of a form field names a password: `Password input`, `#password`,
//! `input[name="pwd"]`, `Enter your PIN`.

use crate::redact::rules::names::{self, Name};

/// Maximum bytes of a label. A longer text is no label.
const LABEL_MAX: usize = 256;

/// Maximum words of a label. A longer text is a sentence.
const WORDS_MAX: usize = 5;

/// Keys whose value is the label or selector of a form field. From the tools of the servers of Playwright, Puppeteer,
/// Chrome and Selenium, Stagehand and browser-use.
const LABELS: &[&str] = &[
    "name",
    "key",
    "header",
    "field",
    "element",
    "selector",
    "target",
    "label",
    "placeholder",
    "locator",
    "description",
    "fieldName",
    "field_name",
    "inputName",
    "aria-label",
    "ariaLabel",
    "xpath",
    "variable",
    "css",
    "type",
    "ref",
];
/// Keys whose value is the typed text.
const TYPED: &[&str] = &[
    "value",
    "val",
    "content",
    "text",
    "input",
    "keys",
    "arguments",
    "string",
    "promptText",
    "inputText",
    "input_text",
];

/// Words that may stand after (`ENDS`) or before (`BEGINNINGS`) the name of a field in its label.
const ENDS: &[&str] = &[
    "input",
    "field",
    "box",
    "textbox",
    "textfield",
    "text",
    "label",
    "entry",
    "area",
    "control",
    "element",
    "inputbox",
    "edit",
];
const BEGINNINGS: &[&str] = &[
    "enter", "your", "the", "type", "please", "choose", "create", "new", "current", "old", "re-enter", "reenter",
    "repeat", "confirm", "retype", "input", "textbox", "fill", "in", "a", "an", "login", "account", "master", "user",
    "admin",
];

/// Returns whether the value of a key may describe the value of another key in the same object.
pub(in crate::redact) fn is_label(key: &str) -> bool {
    LABELS.contains(&key)
}

/// Returns whether the value of a key is text that was typed.
pub(in crate::redact) fn is_typed(key: &str) -> bool {
    TYPED.contains(&key)
}

/// Returns whether the value of a key is the standard input of a command.
pub(in crate::redact) fn is_fed(key: &str) -> bool {
    matches!(key, "stdin" | "input" | "stdin_text" | "stdinText" | "standard_input")
}

/// Returns what a label says about the text that is typed into its field.
pub(in crate::redact) fn judge(label: &str) -> Option<Name> {
    // A sentence about a password is not the label of a field.
    let sentence = label.split_ascii_whitespace().count() > WORDS_MAX;
    let lower = label.to_ascii_lowercase();
    let other = ["username", "user name", "email", "e-mail", "search"].iter().any(|word| lower.starts_with(word));
    if label.len() > LABEL_MAX || sentence || other {
        return None;
    }
    let whole = names::judge(label).or_else(|| label.split(|c: char| !is_part(c)).find_map(part))?;
    // In a label, `pass`, `pw` and `pwd` are clear names.
    Some(if whole == Name::Weak("password") { Name::Strong("password") } else { whole })
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || !c.is_ascii() || matches!(c, '_' | '-' | ' ' | '*')
}

/// Judges one part of a label or selector without the `BEGINNINGS` and `ENDS` around the name.
fn part(part: &str) -> Option<Name> {
    let mut words: Vec<&str> = part.split([' ', '*', '-', '_']).filter(|word| !word.is_empty()).collect();
    let among = |all: &[&str], word: &str| all.iter().any(|one| one.eq_ignore_ascii_case(word));
    while words.last().is_some_and(|last| words.len() > 1 && among(ENDS, last)) {
        words.pop();
    }
    let first = words.iter().position(|word| !among(BEGINNINGS, word))?;
    names::judge(&words[first..].join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_selectors_of_passwords() {
        for label in [
            "Password input",
            "Password",
            "Confirm password",
            "#password",
            "input[name=\"pwd\"]",
            "[type=password]",
            "Enter your PIN",
            "One-time code field",
            "//input[@id='user_pass']",
            "Passwort",
            "Mot de passe",
            "пароль",
            "textbox \"Password\"",
            "API key text box",
            "New password *",
            "#login-form input.password-field",
            "密码",
            "Your password",
            "Access token",
            "input#pass",
        ] {
            assert!(judge(label).is_some(), "{label}");
        }
        for label in [
            "Password strength",
            "Show password",
            "Forgot password?",
            "Search",
            "Username or email",
            "Email",
            "#email",
            "password manager",
            "input[name=\"q\"]",
            "Compass",
            "Next page token",
            "keyboard shortcut box",
            "#passport-number",
        ] {
            assert!(judge(label).is_none(), "{label}");
        }
    }
}
