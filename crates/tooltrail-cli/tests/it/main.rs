//! The real binary, run as people and programs run it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::print_stderr, reason = "a test says what it measured or skipped")]

mod cli;
mod http_conversation;
mod http_limits;
mod import;
mod licences;
mod openapi;
mod service;
mod support;
mod tokens;
mod traces;
mod web;
