//! Checks arguments against a tool's JSON Schema. Only this file uses the validator library.

use std::error::Error;
use std::fmt;

use boon::{Compiler, ErrorKind, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

/// Maximum schema violations in one message, because a caller corrects only a few at a time.
const MISFITS_MAX: usize = 8;

/// Maximum characters of one message, because it contains names from the caller, who may send long ones.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// The base URL of a schema without an `$id`; nothing is ever loaded from it.
const LOCATION: &str = "tool:///schema.json";

/// A compiled schema.
pub(crate) struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    /// Compiles a schema of draft 4, 6, 7, 2019-09 or 2020-12 (the default).
    ///
    /// # Errors
    /// A text that says what is wrong with the schema. A reference to another document is an error, whether on the
    /// network or in a file.
    pub(crate) fn compile(schema: &Value) -> Result<Self, String> {
        let mut compiler = Compiler::new();
        compiler.use_loader(Box::new(NoLoader));
        let mut schemas = Schemas::new();
        let refused = |error| bounded(format!("{error:#}"));
        compiler.add_resource(LOCATION, schema.clone()).map_err(refused)?;
        let index = compiler.compile(LOCATION, &mut schemas).map_err(refused)?;
        Ok(Self { schemas, index })
    }

    /// Checks arguments against the schema.
    ///
    /// # Errors
    /// A message with the path of each violation. It never quotes a value, because a value may be a secret.
    pub(crate) fn check(&self, args: &Value) -> Result<(), String> {
        self.schemas.validate(args, self.index).map_err(|error| {
            let mut misfits = Vec::new();
            collect(&error, &mut misfits);
            bounded(misfits.join("; "))
        })
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}

/// A loader that refuses every document that is not built in.
struct NoLoader;

impl UrlLoader for NoLoader {
    fn load(&self, _url: &str) -> Result<Value, Box<dyn Error>> {
        Err("a tool's schema may not refer to other documents".into())
    }
}

/// Collects the innermost violations below `error`, at most [`MISFITS_MAX`].
fn collect(error: &ValidationError<'_, '_>, misfits: &mut Vec<String>) {
    if error.causes.is_empty() {
        misfits.push(format!("at '{}': {}", error.instance_location, describe(&error.kind)));
        return;
    }
    for cause in &error.causes {
        if misfits.len() == MISFITS_MAX {
            return;
        }
        collect(cause, misfits);
    }
}

/// Describes a violation without quoting the value.
fn describe(kind: &ErrorKind<'_, '_>) -> String {
    match kind {
        ErrorKind::Pattern { want, .. } => format!("does not match pattern {want:?}"),
        ErrorKind::Format { want, .. } => format!("is not a valid {want}"),
        ErrorKind::ContentEncoding { want, .. } => format!("is not {want}-encoded"),
        ErrorKind::ContentMediaType { want, .. } => format!("is not of type {want}"),
        ErrorKind::Minimum { want, .. } => format!("must be >= {want}"),
        ErrorKind::Maximum { want, .. } => format!("must be <= {want}"),
        ErrorKind::ExclusiveMinimum { want, .. } => format!("must be > {want}"),
        ErrorKind::ExclusiveMaximum { want, .. } => format!("must be < {want}"),
        ErrorKind::MultipleOf { want, .. } => format!("must be a multiple of {want}"),
        // The other texts contain only types, lengths, counts, property names and parts of the schema.
        other => other.to_string(),
    }
}

/// Returns the message, cut to the maximum length.
fn bounded(message: String) -> String {
    match message.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &message[..at]),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{MESSAGE_CHARS_MAX, Schema};

    /// Checks `args` against `schema`; `want` has parts of the expected message and is empty if the arguments match.
    #[track_caller]
    fn check(schema: Value, args: Value, want: &[&str]) {
        let answer = Schema::compile(&schema).unwrap().check(&args);
        let message = answer.as_ref().err().map_or("", String::as_str);
        assert_eq!(answer.is_ok(), want.is_empty(), "{schema} with {args}: {message}");
        for piece in want {
            assert!(message.contains(piece), "{piece:?} is not in {message:?}");
        }
    }

    #[track_caller]
    fn check_refused(schema: Value, want: &str) {
        let message = Schema::compile(&schema).map(drop).unwrap_err();
        assert!(message.contains(want), "{want:?} is not in {message:?}");
    }

    #[test]
    fn every_draft_names_the_path() {
        for draft in [
            "http://json-schema.org/draft-04/schema#",
            "http://json-schema.org/draft-06/schema#",
            "http://json-schema.org/draft-07/schema#",
            "https://json-schema.org/draft/2019-09/schema",
            "https://json-schema.org/draft/2020-12/schema",
        ] {
            let schema = json!({"$schema": draft, "type": "object", "required": ["path"], "properties": {
                "path": {"type": "string"}, "lines": {"type": "array", "items": {"type": "integer"}}}});
            check(schema.clone(), json!({"path": "a", "lines": [1, 2]}), &[]);
            check(schema.clone(), json!({"path": 1, "lines": [1, "x"]}), &["'/path'", "'/lines/1'", "integer"]);
            check(schema, json!({}), &["''", "path"]);
        }
    }

    #[test]
    fn drafts_differ_where_they_should() {
        let old = "http://json-schema.org/draft-04/schema#";
        let exclusive = json!({"$schema": old, "maximum": 5, "exclusiveMaximum": true});
        check(exclusive, json!(5), &["''"]);
        check(json!({"prefixItems": [{"type": "string"}]}), json!([1]), &["'/0'"]);
        check(
            json!({"$defs": {"n": {"minimum": 3}}, "properties": {"n": {"$ref": "#/$defs/n"}}}),
            json!({"n": 2}),
            &["'/n'", ">= 3"],
        );
        check(json!(true), json!([]), &[]);
        check(json!(false), json!({}), &["''"]);
    }

    #[test]
    fn a_value_is_never_quoted() {
        let secret = "hunter2-and-more";
        let wants = [
            json!({"pattern": "^[0-9]+$"}),
            json!({"type": "integer"}),
            json!({"enum": ["a", "b"]}),
            json!({"const": "a"}),
            json!({"maxLength": 3}),
            json!({"not": {"type": "string"}}),
            json!({"anyOf": [{"type": "null"}, {"pattern": "^x"}]}),
            json!({"oneOf": [{"type": "null"}, {"maxLength": 1}]}),
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "format": "email"}),
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "format": "ipv4"}),
        ];
        for want in wants {
            let schema = json!({"$schema": want.get("$schema").cloned()
                .unwrap_or(json!("https://json-schema.org/draft/2020-12/schema")), "properties": {"password": want}});
            let message = Schema::compile(&schema).unwrap().check(&json!({"password": secret})).unwrap_err();
            assert!(message.contains("'/password'") && !message.contains(secret), "{message:?}");
        }
    }

    #[test]
    fn messages_are_bounded() {
        let schema = Schema::compile(&json!({"items": {"type": "string"}, "additionalProperties": false})).unwrap();
        let many: Vec<u32> = (0..10_000).collect();
        let long = json!({ "k".repeat(100_000): 1 });
        for args in [json!(many), long] {
            let message = schema.check(&args).unwrap_err();
            assert!(message.chars().count() <= MESSAGE_CHARS_MAX + 1, "{} characters", message.chars().count());
        }
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let want = "may not refer to other documents";
        for reference in ["https://example.com/s.json", "http://localhost/s", "file:///etc/hostname", "other.json"] {
            check_refused(json!({"properties": {"a": {"$ref": reference}}}), want);
        }
        check_refused(json!({"$schema": "https://example.com/own-draft"}), want);
    }

    #[test]
    fn a_broken_schema_is_refused() {
        check_refused(json!({"type": "no-such-type"}), "type");
        check_refused(json!({"pattern": "("}), "pattern");
        check_refused(json!({"$ref": "#/$defs/absent"}), "absent");
    }
}
