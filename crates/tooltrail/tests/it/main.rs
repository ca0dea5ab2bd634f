//! The library as a user sees it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod filter;
mod late;
mod odd;
mod reading;
