//! Tests of the real binary, which is run as people and programs run it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a test says what it measured or skipped")]

mod agents;
mod cli;
mod clock;
mod delivery;
mod demo;
#[path = "../../../tooltrail/tests/it/dice.rs"]
mod dice;
mod durability;
mod export;
mod fairness;
mod gate;
mod help;
mod hooks;
mod http_conversation;
mod http_limits;
mod import;
mod import_crowd;
mod import_cut;
mod import_size;
mod kills;
mod licences;
mod mcp;
mod mcp_server;
mod metrics;
mod openapi;
mod operate;
mod packaging;
mod proof;
mod prune;
mod query_window;
mod reading;
mod secrets;
mod security;
mod seed;
mod service;
mod sessions;
mod show;
mod stats;
mod stream;
mod support;
mod tail;
mod terminal;
mod tokens;
mod traces;
mod transcripts;
mod unreadable;
mod web;
