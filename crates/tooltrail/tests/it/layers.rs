//! The map in ARCHITECTURE.md against the source: each module names only what stands below it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// Reads the fenced block `map`: a module, then what it may name; modules further down stand below.
fn map() -> Vec<(String, BTreeSet<String>)> {
    let page = std::fs::read_to_string(format!("{ROOT}/ARCHITECTURE.md")).unwrap();
    let block = page.split("```map\n").nth(1).unwrap().split("```").next().unwrap();
    let row = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        (words.next().unwrap(), words.collect())
    };
    block.lines().map(row).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Returns each module and the modules it names after `crate::`, tests left out.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let mut files = Vec::new();
    sources(Path::new(SOURCE), &mut files);
    let mut found = BTreeMap::<_, BTreeSet<_>>::new();
    for file in files {
        let place = file.strip_prefix(SOURCE).unwrap();
        let module = place.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let test = place.iter().any(|part| part == "tests" || part == "tests.rs");
        if matches!(&*module, "lib" | "fuzzing") || test {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let named = found.entry(module.clone()).or_default();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for (_, rest) in code.flat_map(|line| line.split("crate::").skip(1).map(move |rest| (line, rest))) {
            let name = rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap();
            if name != module && !name.is_empty() {
                named.insert(name.to_owned());
            }
        }
    }
    found
}

#[test]
fn each_module_stands_on_what_is_below_it() {
    let map = map();
    let order = map.iter().map(|(module, _)| module.as_str()).collect::<Vec<_>>();
    for (n, (module, may)) in map.iter().enumerate() {
        let above = may.iter().filter(|name| !order[n + 1..].contains(&name.as_str())).collect::<Vec<_>>();
        assert!(above.is_empty(), "the map lets {module} name {above:?}, which do not stand below it");
    }
    let map = map.iter().cloned().collect::<BTreeMap<_, _>>();
    let imports = imports();
    assert_eq!(
        map.keys().collect::<Vec<_>>(),
        imports.keys().collect::<Vec<_>>(),
        "modules on the map and in the source"
    );
    for (module, named) in &imports {
        let more = named.difference(&map[module]).collect::<Vec<_>>();
        assert!(more.is_empty(), "{module} names {more:?}, which the map in ARCHITECTURE.md does not allow");
    }
}

#[test]
fn the_library_neither_prints_nor_reads_the_environment() {
    let mut files = Vec::new();
    sources(Path::new(SOURCE), &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        let test_only = file.strip_prefix(SOURCE).unwrap().iter().any(|part| part == "tests");
        for word in ["std::env", "println!", "eprintln!", "tokio"] {
            assert!(test_only || !text.contains(word), "{} says {word}", file.display());
        }
        let may_touch = file.components().any(|part| part.as_os_str() == "disk") || file.ends_with("home.rs");
        assert!(test_only || may_touch || !text.contains("std::fs"), "{} touches files past disk", file.display());
    }
}
