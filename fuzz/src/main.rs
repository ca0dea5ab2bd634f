//! The fuzzer for all targets. The variable `TARGET` selects the target. If `SEEDS` is set, the program only writes the
//! first inputs of all targets and exits.
#![no_main]

mod hook;
mod mcp;
mod transcripts;

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tooltrail::fuzzing::{TARGETS, Target, seeds};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("TARGET").unwrap_or_default();
    let found = targets().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("TARGET={name}: no such target")).1
});

/// Returns all targets with their names: those of the library, that of the proxy, and that of the hooks.
fn targets() -> impl Iterator<Item = (&'static str, Target)> {
    let own = [(MCP, mcp::fuzzing::conversation as Target), (HOOK, hook::fuzzing::events as Target)];
    TARGETS.into_iter().chain(own)
}

/// The target that reads conversations of MCP.
const MCP: &str = "mcp";

/// The target that reads events of hooks.
const HOOK: &str = "hook";

/// Writes the first inputs of each target into `root/TARGET/` and prints the names of the targets.
fn write_seeds(root: &Path) -> std::io::Result<()> {
    for (name, _) in targets() {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder)?;
        let inputs = match name {
            MCP => mcp::fuzzing::seeds(),
            HOOK => hook::fuzzing::seeds(),
            name => seeds(name),
        };
        for (n, input) in inputs.into_iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{n:04}")), input)?;
        }
        println!("{name}");
    }
    Ok(())
}

fuzz_target!(
    init: if let Some(root) = std::env::var_os("SEEDS") {
        std::process::exit(if write_seeds(Path::new(&root)).is_ok() { 0 } else { 2 });
    },
    |data: &[u8]| TARGET(data)
);
