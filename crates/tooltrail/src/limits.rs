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

/// The limits of a line that is made from a call.
pub(crate) const NEW_LINE: Limits = Limits {
    field_chars: FIELD_CHARS_MAX,
    arg_chars: ARG_CHARS_MAX,
    snippet_chars: SNIPPET_CHARS_MAX,
    members: MEMBERS_MAX,
    args_bytes: ARGS_BYTES_MAX,
    extra_bytes: EXTRA_BYTES_MAX,
};

/// The limits of a finished line that is stored again. Its values were clipped before, and a clipped value is a little
/// longer than its limit, because a marker follows. Redaction may find more in it, and a mark may be longer than what it
/// replaces. So there is room for both, and only what no recorder has written is clipped.
pub(crate) const FINISHED_LINE: Limits = Limits {
    field_chars: 4 * FIELD_CHARS_MAX,
    arg_chars: 4 * ARG_CHARS_MAX,
    snippet_chars: SNIPPET_CHARS_MAX,
    members: MEMBERS_MAX + 1,
    args_bytes: LINE_BYTES_MAX,
    extra_bytes: LINE_BYTES_MAX,
};

/// The largest size of each value of a line.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) field_chars: usize,
    pub(crate) arg_chars: usize,
    pub(crate) snippet_chars: usize,
    pub(crate) members: usize,
    pub(crate) args_bytes: usize,
    pub(crate) extra_bytes: usize,
}
