//! The results of the scan and of the prefilter: a secret that was found, and the reason to look at a position.

/// A secret in a text: its byte range, its rule, and whether its mark carries a tag.
#[derive(Clone, Copy, Debug)]
pub(in crate::redact) struct Hit {
    pub(in crate::redact) start: usize,
    pub(in crate::redact) end: usize,
    pub(in crate::redact) rule: &'static str,
    pub(in crate::redact) tagged: bool,
}

impl Hit {
    pub(in crate::redact) fn new(start: usize, end: usize, rule: &'static str) -> Self {
        Self { start, end, rule, tagged: false }
    }

    /// Returns the hit if `believed` is true.
    pub(in crate::redact) fn when(self, believed: bool) -> Option<Self> {
        believed.then_some(self)
    }
}

/// The reason to look at a position of a text.
#[derive(Clone, Copy, Debug)]
pub(in crate::redact) enum Trigger {
    Shape(usize),
    Vendor,
    Name,
    /// A word for "password" that is not ASCII.
    World,
    /// A mark may begin here.
    Mark,
    Lead(Lead),
}

/// The kind of secret that may follow a word that is neither part of a token nor the name of a secret.
#[derive(Clone, Copy, Debug)]
pub(in crate::redact) enum Lead {
    Userinfo,
    Oracle,
    PrivateKey,
    KeyEnd,
    Scheme,
    Path,
    Parameter,
    Code,
    Purpose,
    Manifest,
    Assigned,
    Command(&'static str),
    Fed,
    Pgpass,
    Wifi,
    Identified,
    Call,
    Wallet,
    Hook,
}
