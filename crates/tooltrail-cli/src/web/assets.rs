//! The static files of the page: a style sheet, scripts and an icon. Their names never change.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

/// Bytes of the hash in an entity tag: enough that two versions of a file never have the same tag.
const TAG_BYTES: usize = 12;

/// A static file.
#[derive(Debug)]
pub(crate) struct Asset {
    /// The last part of its path.
    pub(crate) name: &'static str,
    /// Its content type.
    pub(crate) content_type: &'static str,
    /// Its content.
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

/// Returns a static file with its entity tag.
fn tagged(name: &'static str, content_type: &'static str, body: &'static str) -> Asset {
    let hash = Sha256::digest(body.as_bytes());
    let hex = tooltrail::hex(&hash[..TAG_BYTES]);
    Asset { name, content_type, body, tag: format!("\"{hex}\"") }
}
