//! A toolbox with a typed tool and a gate: `cargo run -p tooltrail-toolbox --example toolbox_with_gate`.
#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use std::error::Error;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tooltrail::Recorder;
use tooltrail_toolbox::{Context, Effect, Gate, Rule, Tool, ToolError, Toolbox};

/// The arguments of `text.count_words`. A model sees this comment and those of the fields.
#[derive(Deserialize, JsonSchema)]
struct CountWords {
    /// The text to count.
    text: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let home = std::env::temp_dir().join(format!("tooltrail-example-{}", std::process::id()));
    let recorder = Arc::new(Recorder::open(&home)?);

    let count = Tool::typed("text.count_words", "Counts the words of a text", |_, args: CountWords| async move {
        match args.text.split_whitespace().count() {
            0 => Err(ToolError::new("there are no words")),
            words => Ok(words.to_string()),
        }
    });
    // All callers may use all tools, except that guests may not use the tools of `text`.
    let mut no_guests = Rule::deny("no-guests");
    no_guests.roles = vec!["guest".to_owned()];
    no_guests.tools = vec!["text.*".to_owned()];
    let gate = Gate { rules: vec![no_guests], default: Effect::Allow };
    let toolbox = Toolbox::builder(Arc::clone(&recorder)).gate(gate).tool(count).build()?;

    let alice = Context::new("alice").with_session("s-1");
    let guest = Context::new("mallory").with_role("guest");
    for (who, args) in
        [(&alice, r#"{"text":"one two three"}"#), (&alice, r#"{"text":""}"#), (&guest, r#"{"text":"x"}"#)]
    {
        match toolbox.call(who, "text.count_words", args).await {
            Ok(answer) => println!("{}: {}", who.user, answer.to_text()),
            Err(error) => println!("{}: {error}", who.user),
        }
    }

    // Each of the three calls has one entry: ok, error, denied.
    recorder.close()?;
    println!("the trail is in {}", home.display());
    Ok(())
}
