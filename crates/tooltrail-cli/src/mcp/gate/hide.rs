//! Takes hidden tools out of an answer to `tools/list`. All other bytes of the answer stay as they are.

use std::ops::Range;

use serde_json::value::RawValue;

use crate::mcp::calls::Calls;
use crate::mcp::gate::rules::Rules;
use crate::mcp::tools::{ToolLists, tool_name};

/// Returns the line without the tools that the rules hide, from every list in it. The line is a message or a list of
/// messages; `None` if it cannot be read.
pub(crate) fn without_hidden(line: &[u8], rules: &Rules, calls: &Calls) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(line).ok()?;
    let mut out = Vec::with_capacity(line.len());
    let mut from = 0;
    for tools in ToolLists::of(text)?.lists {
        let ranges = tools.iter().map(|tool| range(text, tool.get())).collect::<Vec<_>>();
        // A tool whose name cannot be read goes too: a client that reads it otherwise would show it.
        let is_hidden = |tool: &&RawValue| tool_name(tool).is_none_or(|name| rules.hides(&name, calls));
        let hidden = tools.iter().map(is_hidden).collect::<Vec<_>>();
        let first_kept = hidden.iter().position(|hidden| !hidden);
        for (n, range) in ranges.iter().enumerate().filter(|(n, _)| hidden[*n]) {
            // With a tool goes the comma before it, or the one after it if no tool before it stays.
            let stays_before = first_kept.is_some_and(|first| first < n);
            let next = ranges.get(n + 1).map_or(range.end, |next| next.start);
            let (start, end) = match (stays_before, n.checked_sub(1)) {
                (true, Some(before)) => (ranges[before].end, range.end),
                _ => (range.start, next),
            };
            out.extend_from_slice(&line[from..start.max(from)]);
            from = end;
        }
    }
    out.extend_from_slice(&line[from..]);
    Some(out)
}

/// Returns where a part of a text is in it.
fn range(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::calls::About;
    use tooltrail::{Effect, Gate, Rule};

    #[test]
    fn only_hidden_tools_and_their_commas_go() {
        let hidden = Rule { effect: Effect::Hide, tools: vec!["x*".to_owned()], ..Rule::deny("quiet") };
        let rules = Rules::new(Gate { rules: vec![hidden], default: Effect::Allow }, true);
        let calls = Calls::new(About::default());
        let check = |tools: &str, expected: &str| {
            let line = |tools: &str| format!("{{\"id\": 1, \"result\": {{\"tools\": [{tools}], \"next\":\"a\"}} }}\n");
            let found = without_hidden(line(tools).as_bytes(), &rules, &calls).unwrap();
            assert_eq!(String::from_utf8(found).unwrap(), line(expected), "{tools}");
        };
        let tool = |name: &str| format!("{{\"name\":\"{name}\",\"inputSchema\":{{\"a\":[1, 2]}}}}");
        let (a, b, x, y) = (tool("a"), tool("b"), tool("x"), tool("xy"));
        check("", "");
        check(&a, &a);
        check(&x, "");
        check(&format!("{x}, {a}"), &a);
        check(&format!("{a}, {x}"), &a);
        check(&format!("{a} , {x} , {b}"), &format!("{a} , {b}"));
        check(&format!("{x},{y}"), "");
        // Work is linear in the length of a list.
        check(&vec!["{}"; 200_000].join(","), "");
        check(&format!("{x},{y},{b}"), &b);
        check(&format!("{a},{x},{y}"), &a);
        check(&format!("{a},{{\"Name\":\"xy\"}},{b},5"), &format!("{a},{b}"));
        check(&format!("{a},{x},{y},{b},{x}"), &format!("{a},{b}"));
        let batch = format!("[{{\"id\":1,\"result\":{{\"tools\":[{x}]}}}},{{\"id\":2,\"error\":{{}}}}]");
        assert_eq!(
            without_hidden(batch.as_bytes(), &rules, &calls).unwrap(),
            b"[{\"id\":1,\"result\":{\"tools\":[]}},{\"id\":2,\"error\":{}}]"
        );
        let twice = format!("{{\"result\":{{\"tools\":[{x}]}},\"result\":{{\"tools\":[],\"tools\":[{a},{x}]}}}}");
        assert_eq!(
            String::from_utf8(without_hidden(twice.as_bytes(), &rules, &calls).unwrap()).unwrap(),
            format!("{{\"result\":{{\"tools\":[]}},\"result\":{{\"tools\":[],\"tools\":[{a}]}}}}")
        );
        assert_eq!(without_hidden(b"not json", &rules, &calls), None);
    }
}
