//! What the page is made of besides HTML: a style sheet, a module and an icon, under names that never change.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

/// Bytes of a hash in an entity tag: two contents of one name never meet.
const TAG_BYTES: usize = 12;

/// A static file.
#[derive(Debug)]
pub(crate) struct Asset {
    /// The last part of its path.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) content_type: &'static str,
    /// What it says.
    pub(crate) body: &'static str,
    /// Its entity tag, quoted.
    pub(crate) tag: String,
}

static ASSETS: LazyLock<[Asset; 4]> = LazyLock::new(|| {
    [
        tagged("page.css", "text/css; charset=utf-8", include_str!("page.css")),
        tagged("live.js", "text/javascript; charset=utf-8", include_str!("live.js")),
        tagged("sign-in.js", "text/javascript; charset=utf-8", include_str!("sign-in.js")),
        tagged("icon.svg", "image/svg+xml", include_str!("icon.svg")),
    ]
});

/// Returns a static file by its name.
pub(crate) fn asset(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

/// Returns a file with its tag.
fn tagged(name: &'static str, content_type: &'static str, body: &'static str) -> Asset {
    let hash = Sha256::digest(body.as_bytes());
    let hex = tooltrail::hex(&hash[..TAG_BYTES]);
    Asset { name, content_type, body, tag: format!("\"{hex}\"") }
}
