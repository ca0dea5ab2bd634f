//! The modules of the command line that read the events of hooks, compiled here once more.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "the hook uses more of them than the fuzzer")]

#[path = "../../../crates/tooltrail-cli/src/hook/client.rs"]
pub(crate) mod client;
#[path = "../../../crates/tooltrail-cli/src/hook/clients/mod.rs"]
pub(crate) mod clients;
#[path = "../../../crates/tooltrail-cli/src/hook/event.rs"]
pub(crate) mod event;
#[path = "../../../crates/tooltrail-cli/src/hook/fuzzing.rs"]
pub(crate) mod fuzzing;
#[path = "../../../crates/tooltrail-cli/src/hook/told.rs"]
pub(crate) mod told;
