//! The licences of all dependencies allow every use that our licence allows, and the number of dependencies is bounded.

use std::process::Command;

use serde_json::Value;

/// Licences that require only a notice.
const ALLOWED: [&str; 11] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unlicense",
    "Unicode-3.0",
    "0BSD",
    "CC0-1.0",
];

/// Maximum crates in the lock file, with those of tests. It is bounded because the first build compiles each of them.
const CRATES_MAX: usize = 295;

#[test]
fn every_licence_is_allowed() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() <= CRATES_MAX, "{} crates", packages.len());
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("none");
        assert!(allowed(licence), "{}: {licence}", package["name"]);
    }
}

/// Returns whether one alternative of a licence expression needs allowed licences only.
fn allowed(expression: &str) -> bool {
    let flat = expression.replace(['(', ')'], " ").replace('/', " OR ");
    let one = |name: &str| ALLOWED.contains(&name.trim().split(" WITH ").next().unwrap_or_default());
    flat.split(" OR ").any(|alternative| alternative.split(" AND ").all(one))
}

#[test]
fn an_expression_is_judged_by_its_best_alternative() {
    for (expression, expected) in [
        ("MIT OR Apache-2.0", true),
        ("GPL-3.0 OR MIT", true),
        ("MIT AND GPL-3.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Unlicense/MIT", true),
        ("AGPL-3.0", false),
        ("none", false),
    ] {
        assert_eq!(allowed(expression), expected, "{expression}");
    }
}
