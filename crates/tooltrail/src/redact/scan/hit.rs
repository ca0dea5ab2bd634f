//! What the prefilter and the scan report: a secret found, and why a position is looked at.

/// Where a secret stands.
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

    /// Itself, if there is a reason to believe it.
    pub(in crate::redact) fn when(self, believed: bool) -> Option<Self> {
        believed.then_some(self)
    }
}

/// Why a place in a text is looked at.
#[derive(Clone, Copy, Debug)]
pub(in crate::redact) enum Trigger {
    Shape(usize),
    Vendor,
    Name,
    /// A word for a password that is not written in ASCII.
    World,
    /// A mark may begin here.
    Mark,
    Lead(Lead),
}

/// What a beginning of a secret leads to, where neither a token's shape nor a name tells.
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
