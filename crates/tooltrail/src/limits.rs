//! The size limits of all values, in one table.

/// Maximum bytes of a line including its newline. Terminals, pipes and spreadsheets still handle such a line, and so do
/// programs that read the seed format.
pub(crate) const LINE_BYTES_MAX: usize = 64 * 1024;

/// Maximum characters of a string in args, after redaction.
pub(crate) const ARG_CHARS_MAX: usize = 500;

/// Maximum characters of a key, and of every string field except the result.
pub(crate) const FIELD_CHARS_MAX: usize = 200;

/// Maximum characters of a result or error text.
pub(crate) const SNIPPET_CHARS_MAX: usize = 300;

/// Maximum members of a list or object.
pub(crate) const MEMBERS_MAX: usize = 1_000;

/// Maximum bytes of the encoded args; larger args are replaced with one clipped text.
pub(crate) const ARGS_BYTES_MAX: usize = 48 * 1024;

/// Maximum bytes of the encoded `extra`; a larger `extra` is replaced with one clipped text.
pub(crate) const EXTRA_BYTES_MAX: usize = 4 * 1024;

/// Characters after a limit that redaction still reads, so that it recognises a secret that crosses the limit.
pub(crate) const WINDOW_BEYOND: usize = 4_096;

/// Maximum bytes that recording copies from one call; of larger args and results, only the beginning is read.
pub(crate) const CALL_BYTES_MAX: usize = 1024 * 1024;
