//! Values for JSON files whose other content must stay as it is.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstNode, CstObject, CstRootNode};

/// The mark at the beginning of a file that some editors write.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A JSON file that is changed in place. Comments and commas before a closing bracket are understood, because some agents
/// take them.
pub(super) struct JsonFile {
    root: CstRootNode,
    has_mark: bool,
}

impl JsonFile {
    /// Reads the text of a file; an empty one counts as an empty object.
    ///
    /// # Errors
    /// Why the text is not understood.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let has_mark = text.starts_with(BYTE_ORDER_MARK);
        let text = text.trim_start_matches(BYTE_ORDER_MARK);
        let text = if text.trim().is_empty() { "{}\n" } else { text };
        let options = ParseOptions {
            allow_comments: true,
            allow_trailing_commas: true,
            allow_loose_object_property_names: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        };
        let root = CstRootNode::parse(text, &options).map_err(|error| format!("it is no JSON: {error}"))?;
        if root.object_value().is_none() {
            return Err("it is no JSON object".to_owned());
        }
        Ok(Self { root, has_mark })
    }

    /// Returns the object that the file is.
    pub(super) fn object(&self) -> CstObject {
        self.root.object_value_or_set()
    }

    /// Returns the text of the file.
    pub(super) fn text(&self) -> String {
        let mark = if self.has_mark { BYTE_ORDER_MARK.to_string() } else { String::new() };
        mark + &self.root.to_string()
    }
}

/// Reads the text of a file that is not changed.
///
/// # Errors
/// As [`JsonFile::parse`].
pub(super) fn read_object(text: &str) -> Result<serde_json::Value, String> {
    JsonFile::parse(text).map(|file| value(&file.object().into()))
}

/// Returns the member of this name, which must not be there twice: programs disagree about which of two counts.
///
/// # Errors
/// If it is there twice.
pub(super) fn member(object: &CstObject, name: &str) -> Result<Option<CstNode>, String> {
    let named = object.properties().into_iter().filter(|member| member.decoded_name().as_deref() == Some(name));
    let mut named = named.collect::<Vec<_>>();
    match named.len() {
        0 => Ok(None),
        1 => Ok(named.pop().and_then(|member| member.value())),
        _ => Err(format!("it has {name:?} twice")),
    }
}

/// Returns the member that is an object.
///
/// # Errors
/// If it is something else, or is there twice.
pub(super) fn object_in(object: &CstObject, name: &str) -> Result<Option<CstObject>, String> {
    match member(object, name)? {
        None => Ok(None),
        Some(value) => value.as_object().map(Some).ok_or_else(|| format!("its {name:?} is no object")),
    }
}

/// Returns the text of a string member.
pub(super) fn text_in(object: &CstObject, name: &str) -> Option<String> {
    member(object, name).ok()??.as_string_lit()?.decoded_value().ok()
}

/// Returns a value for the file.
pub(super) fn input(value: &serde_json::Value) -> CstInputValue {
    use serde_json::Value;
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(members) => {
            CstInputValue::Object(members.iter().map(|(name, value)| (name.clone(), input(value))).collect())
        }
    }
}

/// Returns a node of the file as a value.
pub(super) fn value(node: &CstNode) -> serde_json::Value {
    use serde_json::Value;
    if let Some(object) = node.as_object() {
        let members = object.properties().into_iter();
        let members = members.filter_map(|member| Some((member.decoded_name()?, value(&member.value()?))));
        return Value::Object(members.collect());
    }
    if let Some(array) = node.as_array() {
        return Value::Array(array.elements().iter().map(value).collect());
    }
    if let Some(text) = node.as_string_lit() {
        return Value::String(text.decoded_value().unwrap_or_default());
    }
    serde_json::from_str(&node.to_string()).unwrap_or(Value::Null)
}
