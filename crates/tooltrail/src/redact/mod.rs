//! What is secret, and the marks that take its place.
//!
//! FoundSecrets: tokens by their published shapes, alone or beside their vendor's word; values whose name says that they
//! are secret, as members of JSON at any depth, in assignments, headers, URL queries, flags, tags, columns,
//! sentences and JSON inside text; passwords in URLs and among the arguments of known commands; credentials of
//! `Basic` and `Bearer`; private keys; password hashes; card numbers; one-time codes; seed phrases; links that let
//! in; values of a Kubernetes secret. What is found in one string of a call is hidden in all its strings.
//!
//! All of that is found behind the escapes of JSON, HTML, addresses and terminals, and behind base64, too.
//!
//! Not found: a secret that neither its shape nor its surroundings betray (a bare UUID, a word), one split over
//! several strings, and one that is encrypted, compressed or written as hexadecimal digits. Not secret: empty, masked and example values,
//! references such as `${NAME}`, digests, identifiers, versions, public keys and certificates.
//!
//! All searches take time linear in the text, and redacting twice changes nothing.

// The step that takes secrets out of a call.
mod engine;
mod value;

// Where a secret stands in a text.
mod scan;

// What is secret, and what is not.
mod rules;

// The marks that take a secret's place.
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
