//! Deletes beside a base that was built from a source.

use super::*;

/// A base of two keys that was built, and a delta with a third.
fn world() -> World {
    let mut world = World::new();
    world.put(encode(b"anna", 10, Some("secret")));
    world.put(encode(b"bert", 10, Some("of a source")));
    world.flush();
    world.compact(i64::MIN);
    world.rebuild();
    world.put(encode(b"carl", 11, Some("written")));
    world.flush();
    world
}

/// Whether any file of the table holds this.
fn is_stored(world: &World, text: &[u8]) -> bool {
    let segments = world.root().join("segments");
    let holds = |path: &std::path::PathBuf| std::fs::read(path).unwrap().windows(text.len()).any(|part| part == text);
    walk(&segments).iter().any(holds)
}

/// Rows and tombstones of the base, and of the delta.
fn counts(world: &World) -> [(u64, u64); 2] {
    [&world.levels.base, &world.levels.delta]
        .map(|table| table.as_ref().map_or((0, 0), |table| (table.rows(), table.tombstones())))
}

#[test]
fn what_was_deleted_goes_from_both_and_the_tombstones_when_they_are_old() {
    let mut world = world();
    for key in [b"anna", b"dora"] {
        world.put(encode(key, 12, Some("personal")));
        world.put(encode(key, 13, None));
    }
    world.flush();
    assert!(world.strip(12));
    assert_eq!(counts(&world), [(1, 0), (1, 2)]);
    assert!(!world.strip(12), "nothing more is to be done");
    assert!(world.strip(13));
    assert_eq!(counts(&world), [(1, 0), (1, 0)]);
    assert!(!is_stored(&world, b"anna") && !is_stored(&world, b"dora"));
    assert_eq!((world.read(b"anna"), world.read(b"dora")), (None, None));
    assert_eq!(world.read(b"bert"), Some((10, "of a source".into())));
    assert_eq!(world.read(b"carl"), Some((11, "written".into())));
}

#[test]
fn what_was_written_since_its_delete_hides_nothing_that_is_stored() {
    let mut world = world();
    world.put(encode(b"anna", 12, None));
    world.put(encode(b"anna", 13, Some("anew")));
    world.flush();
    assert_eq!(counts(&world), [(2, 0), (2, 0)]);
    assert!(world.strip(i64::MIN));
    assert!(!is_stored(&world, b"secret") && counts(&world) == [(1, 0), (2, 0)]);
    assert_eq!(world.read(b"anna"), Some((13, "anew".into())));
}

#[test]
fn where_nothing_was_deleted_nothing_is_written() {
    let mut world = world();
    world.put(encode(b"anna", 12, Some("newer")));
    world.flush();
    assert!(!world.strip(i64::MAX));
    assert_eq!(counts(&world), [(2, 0), (2, 0)]);
}

/// The source still has the key: what it brings back goes before the tombstone that hides it.
#[test]
fn a_tombstone_does_not_go_before_what_it_hides_in_a_base_that_was_built_again() {
    let mut world = world();
    let source = world.levels.base.clone();
    world.put(encode(b"anna", 12, None));
    world.flush();
    assert!(world.strip(11));
    assert_eq!(counts(&world), [(1, 0), (1, 1)]);
    world.levels.base = source;
    world.rebuild();
    assert_eq!(counts(&world), [(2, 0), (1, 1)]);
    assert!(world.strip(12));
    assert_eq!(counts(&world), [(1, 0), (1, 0)]);
    assert_eq!(world.read(b"anna"), None);
}

/// As a base has of deletes that came before anything was streamed: what it hides goes first.
#[test]
fn a_tombstone_in_the_base_does_not_go_before_what_it_hides_in_the_delta() {
    let mut world = World::new();
    world.put(encode(b"anna", 12, None));
    world.put(encode(b"bert", 10, Some("of a source")));
    world.flush();
    world.compact(i64::MIN);
    world.put(encode(b"anna", 11, Some("late")));
    world.put(encode(b"carl", 11, Some("written")));
    world.flush();
    for expected in [[(1, 1), (1, 0)], [(1, 0), (1, 0)]] {
        assert!(world.strip(12));
        assert_eq!(counts(&world), expected);
        assert_eq!(world.read(b"anna"), None);
    }
}
