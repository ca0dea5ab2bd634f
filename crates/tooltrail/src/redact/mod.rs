//! Redaction: finds secrets and replaces them with marks.
//!
//! Found: tokens by their published shapes, alone or beside the name of their vendor; values whose name says that they
//! are secret, as members of JSON at any depth, in assignments, headers, URL queries, flags, tags, columns, sentences
//! and JSON inside text; passwords in URLs and in the arguments of known commands; credentials of `Basic` and `Bearer`;
//! private keys; password hashes; card numbers; one-time codes; seed phrases; links that grant access; values of a
//! Kubernetes secret. A secret that is found in one string of a call is hidden in all its strings.
//!
//! All of these are also found behind the escapes of JSON, HTML, URLs and terminals, and in base64.
//!
//! Not found: a secret that neither its shape nor its context shows (a UUID alone, a word alone), a secret that is
//! split over several strings, and a secret that is encrypted, compressed or written as hexadecimal digits. Not treated
//! as secret: empty, masked and example values, references such as `${NAME}`, digests, identifiers, versions, public
//! keys and certificates.
//!
//! Every search takes time linear in the length of the text, and redacting twice changes nothing.

// The engine, and the redaction of the values of a call.
mod engine;
mod value;

// Finds the position of secrets in a text.
mod scan;

// Decides what is secret and what is not.
mod rules;

// The marks that replace secrets, and their tags.
mod marks;
mod tag;

#[cfg(test)]
mod tests;

pub use engine::Redactor;
pub(crate) use marks::{count_marks, mark_across};
pub use rules::own::{RULES_MAX, RedactionRules, VALUE_BYTES_MIN, VALUES_MAX};
pub use tag::RedactionKey;
pub(crate) use value::fast_path::{Plain, To};
pub(crate) use value::packed::{PACKED_WORDS_MAX, Packed, Plan};
pub(crate) use value::step::Redacted;
pub(crate) use value::tree::{Tree, WindowedText};
pub(crate) use value::window::BoundedCall;
