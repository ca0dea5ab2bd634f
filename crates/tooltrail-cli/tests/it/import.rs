//! What import refuses before it stores anything.

use crate::support::Place;

#[test]
fn what_cannot_be_read_is_said() {
    let place = Place::new();
    std::fs::create_dir(place.path("folder")).unwrap();
    let folder = place.path("folder").to_str().unwrap().to_owned();
    let check = |args: &[&str], expected: &str| {
        let ran = place.run(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(expected), "{args:?}: {}", ran.err);
    };
    check(&["import"], "FILE");
    let keys = place.home().join("keys").to_str().unwrap().to_owned();
    check(&["import", &folder, "--keys", &keys], "below the home");
}
