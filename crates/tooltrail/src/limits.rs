//! How large a value may be, in one table.

/// Bytes of a line with its newline: what a terminal, a pipe and a spreadsheet still take, and what the seed's
/// readers meet without surprise.
pub(crate) const LINE_BYTES_MAX: usize = 64 * 1024;

/// Characters of a string in args, after redaction.
pub(crate) const ARG_CHARS_MAX: usize = 500;

/// Characters of a key, and of every string field but the result.
pub(crate) const FIELD_CHARS_MAX: usize = 200;

/// Characters of a result or error text.
pub(crate) const SNIPPET_CHARS_MAX: usize = 300;

/// Members of a list or object.
pub(crate) const MEMBERS_MAX: usize = 1_000;

/// Bytes of the encoded args; beyond it they become one clipped text.
pub(crate) const ARGS_BYTES_MAX: usize = 48 * 1024;

/// Bytes of the encoded extra; beyond it likewise.
pub(crate) const EXTRA_BYTES_MAX: usize = 4 * 1024;

/// Characters beyond a limit that redaction still sees, so that a secret across the limit is recognised.
pub(crate) const WINDOW_BEYOND: usize = 4_096;

/// Bytes that recording copies of one call; args and results beyond it are seen by their beginning only.
pub(crate) const CALL_BYTES_MAX: usize = 1024 * 1024;
