//! Writes each target's first inputs into `FOLDER/TARGET/` and prints the targets' names.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let root = PathBuf::from(std::env::args_os().nth(1).ok_or_else(|| std::io::Error::other("usage: seeds FOLDER"))?);
    for (name, _) in tooltrail::fuzzing::TARGETS {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder)?;
        for (n, input) in tooltrail::fuzzing::seeds(name).into_iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{n:04}")), input)?;
        }
        println!("{name}");
    }
    Ok(())
}
