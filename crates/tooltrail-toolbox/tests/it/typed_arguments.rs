//! Tools whose arguments are a Rust type: what the schema refuses, what the type refuses, and what the handler gets.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};
use tooltrail_toolbox::{CallError, Tool, ToolError, Toolbox};

use crate::support::{TestToolbox, alice};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Repeat {
    /// The text to repeat.
    text: String,
    /// How often to repeat it.
    times: u8,
    #[serde(default, deserialize_with = "even")]
    even: Option<u32>,
}

/// Accepts only even numbers, which the schema does not require.
fn even<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    match u32::deserialize(deserializer)? {
        number if number % 2 == 0 => Ok(Some(number)),
        number => Err(D::Error::custom(format!("{number} is odd"))),
    }
}

#[tokio::test]
async fn the_handler_gets_the_type_and_nothing_else_reaches_it() {
    let fixture = TestToolbox::new();
    let repeat = Tool::typed("repeat", "Repeats a text", |_, args: Repeat| async move {
        let more = args.even.unwrap_or_default() as usize;
        Ok::<_, ToolError>(args.text.repeat(usize::from(args.times) + more))
    });
    assert_eq!(repeat.schema()["properties"]["text"]["description"], "The text to repeat.");
    let toolbox = Toolbox::builder(Arc::clone(&fixture.recorder)).tool(repeat).build().unwrap();
    for (args, expected) in [
        (r#"{"text":"ab","times":2}"#, Some("abab")),
        (r#"{"text":"ab","times":1,"even":2}"#, Some("ababab")),
        (r#"{"text":"ab"}"#, None),
        (r#"{"text":"ab","times":300}"#, None),
        (r#"{"text":"ab","times":1,"other":1}"#, None),
        // The schema accepts it, but the type does not; the message does not quote the value.
        (r#"{"text":"ab","times":1,"even":77777}"#, None),
        ("nonsense", None),
    ] {
        let answer = toolbox.call(&alice(), "repeat", args).await;
        match (answer, expected) {
            (Ok(output), Some(expected)) => assert_eq!(output.to_text(), expected),
            (Err(CallError::Invalid { message }), None) => assert!(!message.contains("77777"), "{message}"),
            (answer, _) => panic!("{args}: {answer:?}"),
        }
    }
    let entries = fixture.entries();
    let reasons = entries.iter().map(|entry| entry["reason"].as_str().unwrap_or("")).collect::<Vec<_>>();
    assert_eq!(reasons, ["", "", "invalid_args", "invalid_args", "invalid_args", "invalid_args", "invalid_args"]);
}
