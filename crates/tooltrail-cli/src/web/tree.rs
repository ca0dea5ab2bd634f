//! A JSON value as a tree that can be folded. Numbers are shown with the digits that were received.

use maud::{Markup, html};
use serde_json::value::RawValue;

use crate::web::entry::{Members, plain};
use crate::web::text::Shown;

/// Levels that are shown as a tree; deeper values are shown as JSON text. The entry format allows at most 64 levels.
const DEPTH_MAX: usize = 64;

/// Levels that are unfolded at first; most arguments are in these levels.
const DEPTH_OPEN: usize = 3;

/// Most values in one tree, so that the browser stays fast. The stored line has all of them.
const VALUES_MAX: usize = 2_000;

/// Most characters shown of a string: twice what the recorder keeps, for lines of other writers.
const STRING_CHARS_MAX: usize = 1_000;

/// Most characters shown of a key.
const KEY_CHARS_MAX: usize = 200;

/// Returns a JSON value as a tree.
pub(crate) fn tree(raw: &str) -> Markup {
    let mut left = VALUES_MAX;
    html! {
        div.tree {
            @match Node::of(raw, 0) {
                Node::Object(members) if members.is_empty() => p.quiet { "none" },
                Node::Object(members) => (children(members, 1, &mut left)),
                _ => (value(raw, 0, &mut left)),
            }
        }
    }
}

/// The kind of a JSON value, with its members or elements as raw JSON text.
enum Node<'a> {
    Object(Vec<(String, &'a str)>),
    Array(Vec<(String, &'a str)>),
    Leaf(&'a str),
}

impl<'a> Node<'a> {
    fn of(raw: &'a str, depth: usize) -> Self {
        if depth >= DEPTH_MAX {
            return Self::Leaf(raw);
        }
        if raw.starts_with('{')
            && let Ok(Members(members)) = serde_json::from_str::<Members<'a>>(raw)
        {
            return Self::Object(members.into_iter().map(|(name, value)| (name.into_owned(), value.get())).collect());
        }
        if raw.starts_with('[')
            && let Ok(elements) = serde_json::from_str::<Vec<&'a RawValue>>(raw)
        {
            let numbered = elements.iter().enumerate().map(|(place, value)| (place.to_string(), value.get()));
            return Self::Array(numbered.collect());
        }
        Self::Leaf(raw)
    }
}

/// Returns one value: a leaf, or a list of its members.
fn value(raw: &str, depth: usize, left: &mut usize) -> Markup {
    *left = left.saturating_sub(1);
    match Node::of(raw, depth) {
        Node::Leaf(raw) => leaf(raw),
        Node::Object(members) => children(members, depth + 1, left),
        Node::Array(elements) => children(elements, depth + 1, left),
    }
}

/// Returns the members of an object, or the elements of an array.
fn children(members: Vec<(String, &str)>, depth: usize, left: &mut usize) -> Markup {
    let shown = members.len().min(*left);
    let more = members.len() - shown;
    html! {
        ul {
            @for (name, raw) in members.into_iter().take(shown) {
                li {
                    @match Node::of(raw, depth) {
                        Node::Leaf(raw) => {
                            span.key { (Shown::line(&name, KEY_CHARS_MAX)) } " " (value(raw, depth, left))
                        }
                        Node::Object(inner) | Node::Array(inner) if inner.is_empty() => {
                            span.key { (Shown::line(&name, KEY_CHARS_MAX)) } " " span.quiet { (raw) }
                        }
                        Node::Object(inner) => (fold(&name, "{", inner, "}", depth, left)),
                        Node::Array(inner) => (fold(&name, "[", inner, "]", depth, left)),
                    }
                }
            }
            @if more > 0 { li.quiet { "… " (more) " more; the stored line has them" } }
        }
    }
}

/// Returns a member that can be folded.
fn fold(name: &str, open: &str, inner: Vec<(String, &str)>, close: &str, depth: usize, left: &mut usize) -> Markup {
    *left = left.saturating_sub(1);
    html! {
        details open[depth < DEPTH_OPEN] {
            summary { span.key { (Shown::line(name, KEY_CHARS_MAX)) } " " span.quiet { (open) (inner.len()) (close) } }
            (children(inner, depth + 1, left))
        }
    }
}

/// Returns a value without members.
fn leaf(raw: &str) -> Markup {
    let kind = match raw.as_bytes().first() {
        Some(b'"') => "string",
        Some(b't' | b'f' | b'n') => "word",
        Some(b'{' | b'[') => "deep",
        _ => "number",
    };
    html! { span.value.(kind) { (Shown::block(&plain(raw), STRING_CHARS_MAX)) } }
}

#[cfg(test)]
mod tests {
    use super::{VALUES_MAX, tree};

    #[test]
    fn a_tree_keeps_order_and_digits_and_escapes() {
        let html = tree(r#"{"b":1.50,"a":{"<i>":["x\n<b>",null,true]},"e":{},"a ":[]}"#).into_string();
        for part in
            ["<span class=\"value number\">1.50</span>", "&lt;i&gt;", "x\n&lt;b&gt;", ">null<", ">[3]<", ">{1}<"]
        {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(html.find(">b<") < html.find(">a<"));
        assert!(!html.contains("<b>") && !html.contains("<i>"), "{html}");
        assert!(tree("{}").into_string().contains("none"));
        assert!(tree("12").into_string().contains("12"));
    }

    #[test]
    fn a_tree_is_bounded() {
        let wide = format!("[{}1]", "1,".repeat(10_000));
        let html = tree(&format!("{{\"a\":{wide}}}")).into_string();
        assert!(html.matches("<li>").count() <= VALUES_MAX + 1);
        assert!(html.contains("more; the stored line has them"));
        let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
        assert!(tree(&deep).into_string().contains("value deep"));
    }
}
