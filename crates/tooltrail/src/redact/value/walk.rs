//! Redacts a JSON tree. The name of a member, its neighbours and its position in a list help to decide what is secret.

use crate::redact::engine::Redactor;
use crate::redact::marks::marks;
use crate::redact::rules::benign::{is_benign, is_password, is_random};
use crate::redact::rules::names::{self, CARD, Name, ONE_TIME};
use crate::redact::rules::shapes::{PREFIXED, VENDORS};
use crate::redact::scan::assign;
use crate::redact::scan::commands;
use crate::redact::scan::hit::Lead;
use crate::redact::scan::hit::Trigger;
use crate::redact::scan::labels;
use crate::redact::value::fast_path;
use crate::redact::value::found::FoundSecrets;
use crate::redact::{Tree, WindowedText};

/// Minimum digits of a JSON number under the name of a token that is treated as secret.
const NUMBER_DIGITS_MIN: usize = 6;

impl Redactor {
    /// Redacts every string and key of a value, and everything in a member whose name is that of a secret.
    pub(in crate::redact) fn tree(&self, tree: &mut Tree, found: &mut FoundSecrets) {
        match tree {
            Tree::String(seen) | Tree::Deep(seen) => self.seen(seen, found),
            Tree::Array(elements) => self.elements(elements, found),
            Tree::Object(members) => self.members(members, found),
            Tree::Null | Tree::Bool(_) | Tree::Number(_) => {}
        }
    }

    fn members(&self, members: &mut [(WindowedText, Tree)], found: &mut FoundSecrets) {
        let beside = beside(members);
        self.command_beside(members, found);
        for (key, value) in members {
            let (own, vendors) = self.key(&key.text);
            let named = own.or(beside.as_ref().filter(|beside| beside.is_about(&key.text)).map(|beside| beside.name));
            match (named, value) {
                (Some(name), value) => self.under(name, value, found),
                (None, Tree::String(seen)) => match self.vendor_of(&vendors, &seen.text) {
                    Some(rule) => seen.text = self.mark(rule, false, &seen.text, found),
                    None => self.seen(seen, found),
                },
                (None, value) => self.tree(value, found),
            }
            self.seen(key, found);
        }
    }

    /// Redacts arguments whose command is in another member: `{"command": "sshpass", "args": ["-p", "…"]}`.
    fn command_beside(&self, members: &mut [(WindowedText, Tree)], found: &mut FoundSecrets) {
        let command = members.iter().find_map(|(key, value)| match value {
            Tree::String(text) if fast_path::is_command(&key.text) && !text.text.contains(' ') => Some(text.clone()),
            _ => None,
        });
        let Some(mut command) = command else { return };
        for (key, value) in members {
            let Tree::Array(elements) = value else { continue };
            if !matches!(key.text.as_str(), "args" | "arguments" | "argv" | "params") {
                continue;
            }
            let texts = elements.iter_mut().map_while(|element| match element {
                Tree::String(seen) => Some(seen),
                _ => None,
            });
            let mut line: Vec<&mut WindowedText> = [&mut command].into_iter().chain(texts).collect();
            self.arguments(&mut line, found);
        }
    }

    /// Returns what a key says about its value, and the vendor names in the key.
    pub(in crate::redact) fn key(&self, key: &str) -> (Option<Name>, Vec<String>) {
        let (mut named, mut vendors) = (key.len() <= 4, Vec::new());
        self.matcher.prefilter.each(key, |start, end, trigger| match trigger {
            Trigger::Vendor => vendors.push(key[start..end].to_ascii_lowercase()),
            Trigger::Name | Trigger::Lead(Lead::Code) => named = true,
            Trigger::World => named = true,
            Trigger::Shape(_) | Trigger::Lead(_) | Trigger::Mark => {}
        });
        let own = self.own_key(key).map(Name::Strong);
        (own.or_else(|| named.then(|| names::judge(key)).flatten()), vendors)
    }

    fn vendor_of(&self, vendors: &[String], value: &str) -> Option<&'static str> {
        let near = |words: &[&str]| vendors.iter().any(|vendor| words.contains(&vendor.as_str()));
        VENDORS.iter().enumerate().filter(|(_, shape)| near(shape.words)).find_map(|(index, shape)| {
            (self.matcher.matches(PREFIXED.len() + index, shape, value)? == value.len()).then_some(shape.rule)
        })
    }

    /// Redacts a list. The element after a flag or the name of a header is its value.
    fn elements(&self, elements: &mut [Tree], found: &mut FoundSecrets) {
        let pair = elements.len() == 2;
        for index in 1..elements.len() {
            let (before, after) = elements.split_at_mut(index);
            let (Some(Tree::String(name)), Some(Tree::String(value))) = (before.last(), after.first_mut()) else {
                continue;
            };
            let flag = name.text.starts_with('-') && !value.text.starts_with('-') && !name.text.contains('=');
            let Some(judged) = names::judge(&name.text).filter(|_| flag || pair && index == 1) else { continue };
            let hit = assign::value(&value.text, judged);
            let sure = hit.is_some_and(|hit| {
                let secret = &value.text[hit.start..];
                flag || hit.start > 0
                    || is_random(secret)
                    || hit.rule == "password" && is_password(secret)
                    || hit.rule == "cookie"
            });
            if sure {
                self.named(judged, value, found);
            }
        }
        let mut texts: Vec<&mut WindowedText> = Vec::new();
        for element in elements.iter_mut() {
            match element {
                Tree::String(seen) => texts.push(seen),
                _ => break,
            }
        }
        if texts.len() >= 2 {
            self.arguments(&mut texts, found);
        }
        elements.iter_mut().for_each(|element| self.tree(element, found));
    }

    fn under(&self, name: Name, value: &mut Tree, found: &mut FoundSecrets) {
        match (value, name) {
            (Tree::Array(elements), Name::Strong(_)) => elements.iter_mut().for_each(|element| match element {
                // An element that is a name itself, as in a list of the names of secrets.
                Tree::String(seen) if is_name(&seen.text) => self.seen(seen, found),
                element => self.under(name, element, found),
            }),
            (Tree::Array(elements), Name::Weak(_))
                if matches!(elements.as_slice(), [Tree::String(_), Tree::String(_)]) =>
            {
                // `"auth": ["user", "password"]`.
                if let Some(Tree::String(seen)) = elements.last_mut() {
                    self.named(Name::Strong("password"), seen, found);
                }
            }
            (Tree::Object(members), Name::Strong(_)) => members.iter_mut().for_each(|(inner, e)| {
                let (own, _) = self.key(&inner.text);
                let open = own.is_none()
                    && matches!(inner.text.as_str(), "id" | "name" | "type" | "user" | "username" | "domain" | "path");
                self.seen(inner, found);
                if open { self.tree(e, found) } else { self.under(own.unwrap_or(name), e, found) }
            }),
            (value @ Tree::Number(_), Name::Strong(rule)) => {
                let Tree::Number(digits) = &*value else { return };
                let least = match rule {
                    _ if self.own_rule(rule) => 1,
                    "password" | "secret" | ONE_TIME => 3,
                    _ => NUMBER_DIGITS_MIN,
                };
                if digits.len() >= if rule == CARD { 12 } else { least } {
                    let text = self.mark(rule, false, digits, found);
                    *value = Tree::String(WindowedText { chars: text.len() as u64, text, cut: false });
                }
            }
            (Tree::String(seen) | Tree::Deep(seen), _) => self.named(name, seen, found),
            (value, _) => self.tree(value, found),
        }
    }

    /// Redacts a text whose member has the name of a secret.
    fn named(&self, name: Name, seen: &mut WindowedText, found: &mut FoundSecrets) {
        let original = seen.text.clone();
        let hit = assign::value(&original, name);
        self.seen(seen, found);
        let Some(hit) = hit.filter(|hit| !is_benign(&original[hit.start..hit.end])) else { return };
        // If a mark already covers the whole value, its rule is more precise than the name.
        if marks(&seen.text).next() != Some((0, seen.text.len())) {
            let mark = self.mark(hit.rule, false, &original[hit.start..hit.end], found);
            seen.text = format!("{}{mark}{}", &original[..hit.start], &original[hit.end..]);
        }
    }
}

/// What one member of an object says about another member.
struct Beside {
    name: Name,
    /// The key of the member that says it. The statement is not about this member itself.
    key: String,
    fed: bool,
}

impl Beside {
    fn is_about(&self, key: &str) -> bool {
        if self.fed { labels::is_fed(key) } else { key != self.key && labels::is_typed(key) }
    }
}

/// Finds a member that says what another member contains: `{"name": "Authorization", "value": "…"}`,
/// `{"element": "Password input", "text": "…"}`, `{"command": "sudo -S …", "stdin": "…"}`.
fn beside(members: &[(WindowedText, Tree)]) -> Option<Beside> {
    // Selenium puts the kind of a locator under `by` and the locator under `value`.
    let locator = members.iter().any(|(key, _)| key.text == "by");
    let fed = members.iter().any(|(key, _)| labels::is_fed(&key.text));
    members.iter().find_map(|(key, value)| {
        let listed;
        let text = match value {
            Tree::String(text) => text,
            Tree::Array(elements) if fed => {
                // A command as a list of its arguments.
                let words = elements.iter().filter_map(|element| match element {
                    Tree::String(seen) => Some(seen.text.as_str()),
                    _ => None,
                });
                let text = words.collect::<Vec<_>>().join(" ");
                listed = WindowedText { chars: text.len() as u64, text, cut: false };
                &listed
            }
            _ => return None,
        };
        let said = |name, fed| Beside { name, key: key.text.clone(), fed };
        if labels::is_label(&key.text) || locator && key.text == "value" {
            return labels::judge(&text.text).map(|name| said(name, false));
        }
        (fed && commands::is_fed(&text.text)).then(|| said(Name::Strong("password"), true))
    })
}

/// Returns whether an element is a name in small letters rather than a value.
fn is_name(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b == b'_')
}
