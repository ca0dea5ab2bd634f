//! A home, a recorder and a toolbox for one test, and functions that read the entries from the day files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tooltrail::Recorder;
use tooltrail_toolbox::{Context, Gate, Output, Tool, ToolError, Toolbox, ToolboxBuilder};

/// A home that is removed at the end of the test.
pub(crate) struct TestToolbox {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) recorder: Arc<Recorder>,
}

impl TestToolbox {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recorder = Arc::new(Recorder::open(folder.path().join("home")).unwrap());
        Self { folder, recorder }
    }

    /// Flushes, and returns all entries of all users.
    pub(crate) fn entries(&self) -> Vec<Value> {
        self.recorder.flush().unwrap();
        entries_in(&self.folder.path().join("home"))
    }

    /// Returns a toolbox with one tool for each way in which a call can end.
    pub(crate) fn toolbox(&self, gate: Gate) -> Toolbox {
        tools(Toolbox::builder(Arc::clone(&self.recorder)).gate(gate)).build().unwrap()
    }
}

/// Returns all entries of all users of a home, without a flush.
pub(crate) fn entries_in(home: &Path) -> Vec<Value> {
    let mut entries = Vec::new();
    for user in files(home) {
        let dated = |day: &PathBuf| day.file_name().is_some_and(|name| name.to_string_lossy().starts_with("20"));
        for day in files(&user.join("tool_audit")).into_iter().filter(dated) {
            let text = std::fs::read_to_string(&day).unwrap();
            assert!(text.ends_with('\n'), "{} has a torn tail", day.display());
            entries.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
    }
    entries
}

/// Returns a caller with all fields set.
pub(crate) fn alice() -> Context {
    let mut ctx = Context::new("alice");
    ctx.role = Some("member".to_owned());
    ctx.session = Some("s-1".to_owned());
    ctx.call_id = Some("toolu_1".to_owned());
    ctx.agent = Some("helper".to_owned());
    ctx.model = Some("m-1".to_owned());
    ctx.trace_id = Some("0af7651916cd43dd8448eb211c80319c".to_owned());
    ctx.span_id = Some("b7ad6b7169203331".to_owned());
    ctx
}

/// Adds one tool for each way in which a call can end.
pub(crate) fn tools(builder: ToolboxBuilder) -> ToolboxBuilder {
    let echo = json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
    builder
        .tool(Tool::new("echo", "Says it again", echo, |_, args: Value| async move {
            Ok(args["text"].as_str().unwrap_or_default().to_owned())
        }))
        .tool(Tool::new("args", "Returns its arguments", json!(true), |_, args: Value| async move { Ok(args) }))
        .tool(Tool::new("fail", "Fails", json!(true), |_, _| async {
            Err::<String, _>(ToolError::new("no such file"))
        }))
        .tool(Tool::new("source", "Fails with a cause", json!(true), |_, _| async {
            let wrong = "x".parse::<u8>().map_err(std::io::Error::other)?;
            Ok(wrong.to_string())
        }))
        .tool(Tool::new("panic", "Panics when polled", json!(true), |_, args: Value| async move {
            assert!(args.is_null(), "out of {}", "cheese");
            Ok("")
        }))
        .tool(Tool::new("panic.start", "Panics when called", json!(true), |_, args: Value| {
            assert!(args.is_null(), "not even a future");
            async { Ok("") }
        }))
        .tool(
            Tool::new("panic.drop", "Panics when dropped", json!(true), |_, _| {
                let bomb = Bomb;
                async move {
                    let _bomb = bomb;
                    std::future::pending::<Result<String, ToolError>>().await
                }
            })
            .timeout(Duration::from_millis(5)),
        )
        .tool(
            Tool::new("slow", "Never ends", json!(true), |_, _| std::future::pending::<Result<String, ToolError>>())
                .timeout(Duration::from_millis(5)),
        )
        .tool(Tool::new("refuse", "Refuses", json!(true), |_, _| async {
            Err::<String, _>(ToolError::denied("not for you"))
        }))
        .tool(Tool::new("unquoted", "Reads the trail", json!(true), |_, _| async {
            Ok(Output::Unquoted("{\"ü\":1}".to_owned()))
        }))
        .tool(Tool::new("admin.tool", "For admins", json!(true), |_, _| async { Ok("root") }).roles(["admin"]))
}

/// A value that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped badly");
    }
}

/// Returns the paths in a folder; none if there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().map(|found| found.unwrap().path()).collect()
}
