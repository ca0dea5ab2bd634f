//! Labels and selectors of what a browser types into: whether one names a password, as `Password input`,
//! `#password`, `input[name="pwd"]` or `Enter your PIN` does.

use crate::redact::rules::names::{self, Name};

/// Bytes of a label that are looked at.
const LABEL_MAX: usize = 256;

/// Words of a label; more are a sentence.
const WORDS_MAX: usize = 5;

/// Keys of which the value says what a text is typed into. From the tools of Playwright's, Puppeteer's, Chrome's and
/// Selenium's servers, Stagehand and browser-use.
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
/// Keys under which the typed text stands.
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

/// Words of a form around the name of what is typed in.
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

/// Whether the value of such a key may say what stands beside it.
pub(in crate::redact) fn is_label(key: &str) -> bool {
    LABELS.contains(&key)
}

/// Whether such a key holds what was typed.
pub(in crate::redact) fn is_typed(key: &str) -> bool {
    TYPED.contains(&key)
}

/// Whether such a key holds what is fed to a command.
pub(in crate::redact) fn is_fed(key: &str) -> bool {
    matches!(key, "stdin" | "input" | "stdin_text" | "stdinText" | "standard_input")
}

/// What a label says about the text that is typed into what it names.
pub(in crate::redact) fn judge(label: &str) -> Option<Name> {
    // A sentence that tells of a password names no box.
    let sentence = label.split_ascii_whitespace().count() > WORDS_MAX;
    let lower = label.to_ascii_lowercase();
    let other = ["username", "user name", "email", "e-mail", "search"].iter().any(|word| lower.starts_with(word));
    if label.len() > LABEL_MAX || sentence || other {
        return None;
    }
    let whole = names::judge(label).or_else(|| label.split(|c: char| !is_part(c)).find_map(part))?;
    // `pass`, `pw` and `pwd` name a box to type in.
    Some(if whole == Name::Weak("password") { Name::Strong("password") } else { whole })
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || !c.is_ascii() || matches!(c, '_' | '-' | ' ' | '*')
}

/// One part of a label or selector, without the words of a form around it.
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
