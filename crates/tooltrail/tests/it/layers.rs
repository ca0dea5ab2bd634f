//! Compares the maps in ARCHITECTURE.md with the source of all three crates: each module uses only modules below it,
//! and files depend on each other in a cycle only within a declared unit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::Regex;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The crates, each with the name of its map.
const CRATES: [(&str, &str); 3] =
    [("tooltrail", "map"), ("tooltrail-toolbox", "map toolbox"), ("tooltrail-cli", "map cli")];

/// Returns the lines of a fenced block of ARCHITECTURE.md, split into words.
fn block(name: &str) -> Vec<Vec<String>> {
    let page = std::fs::read_to_string(format!("{ROOT}/ARCHITECTURE.md")).unwrap();
    let block = page.split(&format!("```{name}\n")).nth(1).unwrap().split("```").next().unwrap();
    block.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
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

/// Returns the source files of a crate by module path, without test files, comments and unit tests.
fn files(name: &str) -> BTreeMap<String, String> {
    let root = PathBuf::from(format!("{ROOT}/crates/{name}/src"));
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let mut found = BTreeMap::new();
    for path in paths {
        let place = path.strip_prefix(&root).unwrap().with_extension("");
        let parts = place.iter().map(|part| part.to_str().unwrap()).filter(|part| *part != "mod").collect::<Vec<_>>();
        if parts.iter().any(|part| ["tests", "fuzzing", "lib", "main"].contains(part)) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        found.insert(parts.join("::"), code.collect::<Vec<_>>().join("\n"));
    }
    found
}

/// Returns the paths that follow `prefix` in a text; names in braces are returned separately.
fn named(text: &str, prefix: &str) -> Vec<String> {
    let path = Regex::new(&format!(r"(?:^|[^\w:]){prefix}((?:\w+::)*)(\w+|\{{[^}}]*\}})")).unwrap();
    let mut found = Vec::new();
    for part in path.captures_iter(text) {
        for name in part[2].trim_matches(['{', '}']).split(',') {
            let name = name.trim().split(" as ").next().unwrap_or_default();
            found.push(format!("{}{}", &part[1], if name == "self" { "" } else { name }));
        }
    }
    found
}

/// Returns the file of a path, also through re-exports.
fn file_of(
    path: &str,
    files: &BTreeMap<String, String>,
    exports: &BTreeMap<(String, String), String>,
) -> Option<String> {
    let parts = path.split("::").filter(|part| !part.is_empty()).collect::<Vec<_>>();
    for length in (1..=parts.len()).rev() {
        let module = parts[..length].join("::");
        if !files.contains_key(&module) {
            continue;
        }
        let next = parts.get(length).map(|name| (module.clone(), (*name).to_owned()));
        return match next.and_then(|key| exports.get(&key)) {
            Some(target) if target != path => file_of(target, files, exports),
            _ => Some(module),
        };
    }
    None
}

/// Returns for each file the files that it uses.
fn graph(files: &BTreeMap<String, String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut exports = BTreeMap::new();
    for (module, text) in files {
        for path in named(text, r"pub(?:\([^)]*\))? use (?:self::)?") {
            let (from, name) = path.rsplit_once("::").unwrap_or(("", &path));
            let target = match from.strip_prefix("crate::") {
                Some(from) => format!("{from}::{name}"),
                None => format!("{module}::{from}::{name}"),
            };
            exports.insert((module.clone(), name.to_owned()), target);
        }
    }
    let edges = |(module, text): (&String, &String)| {
        let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
        let mut paths = named(text, "crate::");
        paths.extend(named(text, "super::").into_iter().map(|path| format!("{parent}::{path}")));
        let named = paths.iter().filter_map(|path| file_of(path, files, &exports)).filter(|file| file != module);
        (module.clone(), named.collect())
    };
    files.iter().map(edges).collect()
}

/// Returns all files that a file uses directly or indirectly.
fn reached(graph: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let (mut found, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(file) = next.pop() {
        for named in graph.get(&file).into_iter().flatten() {
            if found.insert(named.clone()) {
                next.push(named.clone());
            }
        }
    }
    found
}

#[test]
fn each_module_stands_on_what_is_below_it() {
    for (name, map) in CRATES {
        let map = block(map);
        let order = map.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
        for (n, row) in map.iter().enumerate() {
            let above = row[1..].iter().filter(|name| !order[n + 1..].contains(name)).collect::<Vec<_>>();
            assert!(above.is_empty(), "{name}: the map lets {} name {above:?}, which do not stand below it", row[0]);
        }
        let mut imports = BTreeMap::<String, BTreeSet<String>>::new();
        for (module, text) in files(name) {
            let top = module.split("::").next().unwrap().to_owned();
            let named = named(&text, "crate::").into_iter().map(|path| path.split("::").next().unwrap().to_owned());
            let named = named.filter(|name| *name != top).collect::<Vec<_>>();
            imports.entry(top).or_default().extend(named);
        }
        let modules = order.into_iter().collect::<BTreeSet<_>>();
        assert_eq!(modules, imports.keys().cloned().collect(), "{name}: modules on the map and in the source");
        for row in map {
            let more = imports[&row[0]].iter().filter(|name| !row[1..].contains(name)).collect::<Vec<_>>();
            assert!(more.is_empty(), "{name}: {} names {more:?}, which the map in ARCHITECTURE.md forbids", row[0]);
        }
    }
}

#[test]
fn files_name_each_other_in_a_circle_only_within_a_unit() {
    let units = block("units").into_iter().map(BTreeSet::from_iter).collect::<BTreeSet<_>>();
    let mut found = BTreeSet::new();
    for (name, _) in CRATES {
        let graph = graph(&files(name));
        let reached = graph.keys().map(|file| (file, reached(&graph, file))).collect::<BTreeMap<_, _>>();
        for (file, others) in &reached {
            let circle = others.iter().filter(|other| reached.get(other).is_some_and(|back| back.contains(*file)));
            let circle = circle.cloned().collect::<BTreeSet<_>>();
            if circle.len() > 1 {
                assert!(units.contains(&circle), "{name}: these files name each other in a circle: {circle:?}");
                found.insert(circle);
            }
        }
    }
    let stale = units.difference(&found).collect::<Vec<_>>();
    assert!(stale.is_empty(), "these units of ARCHITECTURE.md have no circle any more: {stale:?}");
}

#[test]
fn the_library_neither_prints_nor_reads_the_environment() {
    for (module, text) in files("tooltrail") {
        for word in ["std::env", "println!", "eprintln!", "tokio"] {
            assert!(!text.contains(word), "{module} says {word}");
        }
        let may_touch = module == "home" || module.split("::").next() == Some("disk");
        assert!(may_touch || !text.contains("std::fs"), "{module} touches files past disk");
    }
}
