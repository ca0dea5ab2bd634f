//! The resources of the API, one file each, and helpers that several of them share.

pub(crate) mod entries;
pub(crate) mod export;
pub(crate) mod health;
pub(crate) mod mcp;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod params;
pub(crate) mod read_log;
pub(crate) mod recent;
pub(crate) mod reserved_body;
pub(crate) mod sealed;
mod sender;
pub(crate) mod series;
pub(crate) mod sessions;
pub(crate) mod stats;
pub(crate) mod stream;
pub(crate) mod tools;
pub(crate) mod users;
