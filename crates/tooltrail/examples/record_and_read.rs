//! Records a few calls and reads them back: `cargo run -p tooltrail --example record_and_read`.
#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use std::error::Error;

use tooltrail::{Call, Question, Recorder, Trail, Zone};

fn main() -> Result<(), Box<dyn Error>> {
    let home = std::env::temp_dir().join(format!("tooltrail-example-{}", std::process::id()));

    // One recorder for the whole process; threads share it.
    let recorder = Recorder::open(&home)?;
    recorder.record(&Call::new("alice", "fs.read", r#"{"path":"notes.txt"}"#).ok("buy milk"));
    recorder.record(&Call::new("alice", "http.get", r#"{"url":"https://example.org"}"#).error("timed out"));
    // A call that is noted before its tool runs: if the process dies now, the trail says that it was interrupted.
    let open = recorder.begin(Call::new("bob", "shell.run", r#"{"command":"ls"}"#));
    open.finish_buffered(tooltrail::Outcome::ok("notes.txt"));
    // All entries are in their day files, or the error says how many are not.
    recorder.close()?;

    // A trail can be read at any time, also while others write.
    let trail = Trail::open(&home)?;
    let page = trail.recent(&Question::parse("status=error last=1h")?)?;
    for entry in page.entries(&Zone::system()) {
        let entry = entry?;
        println!("{} {} {} {}", entry.ts, entry.user, entry.tool, entry.result_snippet);
    }
    let stats = trail.stats(&Question::parse("last=1h")?)?;
    println!("{} calls of {} users", stats.total, stats.by_user.len());
    println!("the files are in {}", home.display());
    Ok(())
}
