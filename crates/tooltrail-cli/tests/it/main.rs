//! The real binary, run as people and programs run it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::print_stderr, reason = "a test says what it measured or skipped")]

mod cli;
mod demo;
mod http_conversation;
mod http_limits;
mod import;
mod kills;
mod licences;
mod metrics;
mod openapi;
mod operate;
mod packaging;
mod security;
mod service;
mod support;
mod tokens;
mod traces;
