//! The three doors: when an answer is handed out, and what a broken recorder does to it.

use tooltrail_toolbox::{CallError, Durability, Toolbox};

use crate::house::{House, alice, tools};

/// Calls once with an open recorder and once with a closed one.
async fn check(durability: Durability, answers_unrecorded: bool) {
    let house = House::new();
    let builder = Toolbox::builder(house.recorder.clone()).durability(durability);
    let toolbox = tools(builder).build().unwrap();
    let args = r#"{"text":"hello"}"#;

    assert_eq!(toolbox.call(&alice(), "echo", args).await.unwrap().to_text(), "hello", "{durability:?}");
    let entries = house.entries();
    assert_eq!(entries.len(), 1, "{durability:?}");
    assert_eq!(entries[0]["status"], "ok");

    house.recorder.close().unwrap();
    for (tool, args) in [("echo", args), ("fail", "{}"), ("no.such", "{}")] {
        let answer = toolbox.call(&alice(), tool, args).await;
        let withheld = matches!(answer, Err(CallError::Unrecorded { .. }));
        assert_eq!(withheld, !answers_unrecorded, "{durability:?} {tool}: {answer:?}");
    }
}

#[tokio::test]
async fn only_strict_withholds_an_answer() {
    check(Durability::Buffered, true).await;
    check(Durability::Grouped, true).await;
    check(Durability::Strict, false).await;
}

#[tokio::test]
async fn strict_answers_when_the_entry_is_there() {
    let house = House::new();
    let toolbox = tools(Toolbox::builder(house.recorder.clone()).durability(Durability::Strict)).build().unwrap();
    toolbox.call(&alice(), "echo", r#"{"text":"hello"}"#).await.unwrap();
    // Read without a flush.
    let folder = house.folder.path().join("home/alice/tool_audit");
    let lines: usize = std::fs::read_dir(folder)
        .unwrap()
        .map(|day| std::fs::read_to_string(day.unwrap().path()).unwrap().lines().count())
        .sum();
    assert_eq!(lines, 1);
}
