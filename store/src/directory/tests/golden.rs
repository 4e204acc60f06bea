//! The manifest, pinned: what this program writes, and what the version before wrote.
//!
//! A change that breaks this test changes the format: it needs a new version, a new fixture, and a reader for this one.

use std::path::PathBuf;

use super::{
    super::{SourcePositions, envelope},
    *,
};
use crate::{ColumnType, Field};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn manifest_v1() -> Manifest {
    let segment = SegmentEntry {
        file: "segments/prod/user_profile/0000000000000007-00000000000000ff-00000.seg".into(),
        bytes: 57_344,
        rows: 40,
        root: "a17835c0ed02ec6f".into(),
    };
    let table = TableEntry {
        schema: Schema {
            key: vec![KeyPart { name: "user_id".into(), key_type: KeyType::String }],
            columns: vec![Field {
                name: "score".into(),
                column_type: ColumnType::Array(Box::new(ColumnType::Float64)),
            }],
        },
        seed: 0x5eed,
        segments: vec![segment],
        rows: 40,
        tombstones: 0,
        raw_bytes: 1000,
        event_time_min_us: Some(-39),
        event_time_max_us: None,
        built_at_us: 1_767_225_600_000_000,
        holds_writes: false,
        has_deletes: false,
        newest_event_us: None,
    };
    Manifest {
        format_version: 1,
        generation: 7,
        created_at_us: 1_767_225_600_000_001,
        definitions_version: Some(3),
        tables: [("prod/user_profile".to_owned(), table)].into(),
        deltas: BTreeMap::new(),
        log_position: 0,
        watermarks_us: BTreeMap::new(),
        source_positions: SourcePositions::new(),
    }
}

fn manifest_v2() -> Manifest {
    let mut manifest = Manifest { format_version: 2, log_position: 1_234, ..manifest_v1() };
    let table = &manifest.tables["prod/user_profile"];
    let delta = TableEntry { rows: 12, tombstones: 5, raw_bytes: 300, event_time_max_us: Some(9), ..table.clone() };
    manifest.deltas.insert("prod/user_profile".into(), delta);
    manifest.tables.values_mut().for_each(|table| table.holds_writes = true);
    manifest.watermarks_us.insert("prod/user_profile".into(), 8);
    manifest.source_positions.insert("payments".into(), [(0, 41), (7, u64::MAX)].into());
    manifest
}

#[test]
fn manifests_are_written_as_ever_and_those_of_the_version_before_are_read() {
    let path = fixture("manifest-v2.json");
    let (bytes, _) = envelope::seal(&path, &manifest_v2()).unwrap();
    if std::env::var_os("GANNET_WRITE_FIXTURES").is_some() {
        fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(String::from_utf8(bytes).unwrap(), fs::read_to_string(&path).unwrap());
    for (name, expected) in [("manifest-v1.json", manifest_v1()), ("manifest-v2.json", manifest_v2())] {
        let (path, (_folder, directory)) = (fixture(name), directory());
        fs::copy(&path, directory.root().join("manifests/000007.json")).unwrap();
        assert_eq!(directory.manifest(7).unwrap(), expected, "{name}");
    }
}
