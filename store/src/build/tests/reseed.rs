//! Keys that collide. XXH3 does not do that for a test, so these hash under their own rule until the seed changes.

use tempfile::TempDir;

use super::*;
use crate::table::KeyHash;

pub(super) const COLLIDING: u64 = 5;

/// Under the first seed, keys fall on a hundred hashes.
pub(super) fn few_hashes(seed: u64, key: &[u8]) -> KeyHash {
    match Table::hash_with(seed, key) {
        KeyHash(hash) if seed == COLLIDING => KeyHash((hash % 100) << 57),
        hash => hash,
    }
}

fn always_one_hash(_: u64, _: &[u8]) -> KeyHash {
    KeyHash(1)
}

#[test]
fn keys_that_collide_are_told_apart_under_another_seed() {
    let inputs = numbered(20_000, 3000);
    for memory_bytes in [100_000, 64 << 20] {
        let folder = TempDir::new().unwrap();
        let options = options(folder.path(), memory_bytes, 2);
        let builder = TableBuilder::new_on(schema(), options, COLLIDING, few_hashes, Arc::new(SystemDisk)).unwrap();
        let sinks = push_all(&builder, &inputs, 2).unwrap();
        let (entry, summary) = builder.finish(sinks, &|_, _| {}).unwrap();
        assert_ne!(entry.seed, COLLIDING);
        assert_eq!(summary.rows_in, 20_000);
        assert_eq!(read(folder.path(), &entry), model(&inputs));
        assert_eq!(files(folder.path()), [entry.segments[0].file.clone()], "the first attempt left nothing");
    }
}

#[test]
fn a_hash_that_never_tells_keys_apart_is_given_up() {
    let folder = TempDir::new().unwrap();
    for memory_bytes in [20_000, 64 << 20] {
        let options = options(folder.path(), memory_bytes, 2);
        let builder = TableBuilder::new_on(schema(), options, 1, always_one_hash, Arc::new(SystemDisk)).unwrap();
        let sinks = push_all(&builder, &numbered(500, 500), 2).unwrap();
        assert!(matches!(builder.finish(sinks, &|_, _| {}).unwrap_err(), Error::Reseed { .. }));
        assert_eq!(files(folder.path()), Vec::<String>::new());
    }
}

#[test]
fn one_key_pushed_often_is_no_collision() {
    let folder = TempDir::new().unwrap();
    let inputs = numbered(5000, 1);
    let builder =
        TableBuilder::new_on(schema(), options(folder.path(), 20_000, 2), 1, always_one_hash, Arc::new(SystemDisk))
            .unwrap();
    let sinks = push_all(&builder, &inputs, 2).unwrap();
    let (entry, _) = builder.finish(sinks, &|_, _| {}).unwrap();
    assert_eq!((entry.rows, entry.seed), (1, 1));
}
