//! One fuzzer for all targets; `TARGET` names the one.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tooltrail::fuzzing::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("TARGET").unwrap_or_default();
    let found = TARGETS.into_iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("TARGET={name}: no such target")).1
});

fuzz_target!(|data: &[u8]| TARGET(data));
