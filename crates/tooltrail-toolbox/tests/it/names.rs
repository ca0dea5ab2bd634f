//! Hostile names: tools and users with invalid names still get one line per call.

use std::sync::Arc;

use serde_json::json;
use tooltrail_toolbox::{BuildError, Context, Gate, REFUSAL, Tool, Toolbox};

use crate::support::TestToolbox;

const HOSTILE: &[&str] = &[
    "",
    ".",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "a/b\\c",
    "nul\0inside",
    "two\nlines\r\n{\"ts\":1}",
    "\"quoted\",\"status\":\"ok\"",
    "\u{202e}txt.exe",
    "\u{2028}\u{2029}\u{85}\u{7f}",
    "*",
    "tooltrail.gap",
    "_system",
    ".tooltrail",
    "con:",
    "ÄÖ🦀",
    "e\u{301}",
];

#[tokio::test]
async fn a_hostile_name_is_one_line_in_one_place() {
    let long = "x".repeat(300_000);
    let names = || HOSTILE.iter().copied().chain([long.as_str()]);
    let fixture = TestToolbox::new();
    let mut builder = Toolbox::builder(fixture.recorder.clone());
    for name in names().filter(|name| !name.is_empty()) {
        builder = builder.tool(Tool::new(name, "", json!(true), |_, _| async { Ok("ran") }));
    }
    let known = builder.build().unwrap();
    let unknown = fixture.toolbox(Gate::default());
    for name in names() {
        let ctx = Context::new(name);
        let ran = known.call(&ctx, name, "{}").await;
        assert_eq!(ran.is_ok(), !name.is_empty(), "{name:?}");
        let refused = unknown.call(&ctx, name, "{}").await.unwrap_err();
        assert_eq!(refused.to_string(), REFUSAL);
    }

    let entries = fixture.entries();
    assert_eq!(entries.len(), 2 * names().count());
    for name in HOSTILE.iter().filter(|name| !name.is_empty()) {
        // Names that are reserved for us get a different form when they come from outside.
        let (tool, user) = match *name {
            own if own.starts_with("tooltrail.") => (format!("outside.{own}"), own.to_owned()),
            "_system" => ("_system".to_owned(), "outside._system".to_owned()),
            name => (name.to_owned(), name.to_owned()),
        };
        let mine: Vec<_> = entries.iter().filter(|entry| entry["tool"] == *tool).collect();
        assert_eq!(mine.len(), 2, "{name:?}");
        assert!(mine.iter().all(|entry| entry["user"] == *user && entry["via"] == "toolbox"), "{mine:?}");
    }
    // No file was created outside the home.
    assert_eq!(std::fs::read_dir(fixture.folder.path()).unwrap().count(), 1);
}

#[test]
fn a_toolbox_is_built_of_named_tools_once_each() {
    let fixture = TestToolbox::new();
    let tool = |name: &str, schema| Tool::new(name, "", schema, |_, _| async { Ok("") });
    let build = |tools: Vec<Tool>| {
        let builder =
            tools.into_iter().fold(Toolbox::builder(Arc::clone(&fixture.recorder)), |all, tool| all.tool(tool));
        builder.build().map(drop).unwrap_err()
    };
    assert_eq!(build(vec![tool("", json!(true))]), BuildError::Unnamed);
    let twice = build(vec![tool("a", json!(true)), tool("a", json!(false))]);
    assert_eq!(twice, BuildError::Twice { tool: "a".to_owned() });
    let remote = build(vec![tool("a", json!({"$ref": "https://example.com/schema"}))]);
    assert!(matches!(&remote, BuildError::Schema { tool, .. } if tool == "a"), "{remote}");
}
