//! The fuzzer for all targets. The variable `TARGET` selects the target. If `SEEDS` is set, the program only writes the
//! first inputs of all targets and exits.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tooltrail::fuzzing::{TARGETS, Target, seeds};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("TARGET").unwrap_or_default();
    let found = TARGETS.into_iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("TARGET={name}: no such target")).1
});

/// Writes the first inputs of each target into `root/TARGET/` and prints the names of the targets.
fn write_seeds(root: &Path) -> std::io::Result<()> {
    for (name, _) in TARGETS {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder)?;
        for (n, input) in seeds(name).into_iter().enumerate() {
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
