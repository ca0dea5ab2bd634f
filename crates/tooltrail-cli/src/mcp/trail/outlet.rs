//! Where the entries of a proxy go if they do not stay in its home.

/// Where the entries of a proxy are delivered to.
pub(crate) trait Outlet: Send {
    /// Takes note that a call was recorded.
    fn recorded(&self);

    /// Whether there is no room for further calls.
    fn is_full(&self) -> bool;
}
