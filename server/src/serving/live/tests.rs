//! What is written beside a table: opened with it, shared like it, and left alone where it has another schema.

use gannet_api::Settings;
use gannet_store::{
    build::{BuildOptions, TableBuilder},
    directory::WriterLock,
    levels::{FlushOptions, Stop, flush},
    log::Sequence,
    overlay::{Overlay, OverlaySettings},
    row::RowWriter,
    table::Lock,
};
use tempfile::TempDir;

use super::*;

const NAME: &str = "prod/v";

struct World {
    _folder: TempDir,
    data: DataDirectory,
    lock: WriterLock,
    shared: Shared,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let data = DataDirectory::create(folder.path().join("data")).unwrap();
        let lock = data.lock().unwrap();
        Self { _folder: folder, data, lock, shared: Shared::new(Settings::default(), Vec::new()) }
    }

    /// Applies definitions whose feature has this type.
    fn define(&self, data_type: &str) {
        let text = format!(
            "workspace = \"prod\"\n[entities.user]\njoin_keys = {{ user_id = \"string\" }}\n[feature_views.v]\nentity = \"user\"\n\
             timestamp = \"t\"\nsource = {{ parquet = \"x.parquet\" }}\nfeatures = {{ a = \"{data_type}\" }}\n"
        );
        let version = self.data.put_definitions(&self.lock, &[("v.toml".to_owned(), text)], 0, "here").unwrap();
        self.data.publish(&self.lock, |manifest| manifest.definitions_version = Some(version)).unwrap();
    }

    fn open(&self, before: Option<&Live>) -> Live {
        self.open_within(before, Room { settings: MemorySettings::default(), bytes: u64::MAX })
    }

    fn open_within(&self, before: Option<&Live>, room: Room) -> Live {
        let none = StreamTables::default();
        let streams = before.map_or(&none, |before| &before.streams);
        Live::open(&self.data, before, &self.shared, &BTreeMap::new(), room, streams, &|_| None).unwrap().unwrap()
    }

    fn build(&self, live: &Live) {
        let schema = &live.streams.get(NAME).unwrap().schema;
        let (root, table) = (self.data.root().to_owned(), NAME.to_owned());
        let options = BuildOptions { root, table, memory_bytes: 1 << 20, workers: 1, now_us: 0 };
        let builder = TableBuilder::new(Arc::clone(schema), options).unwrap();
        let mut sink = builder.sink();
        sink.push(&row(schema, 1), 0).unwrap();
        let (entry, _) = builder.finish(vec![sink], &|_, _| {}).unwrap();
        self.data.publish(&self.lock, |manifest| drop(manifest.tables.insert(NAME.to_owned(), entry))).unwrap();
    }

    /// A row is written, and flushed.
    fn write(&self, live: &Live) {
        let stream = live.streams.get(NAME).unwrap();
        let (_, mut writer) = Overlay::new(OverlaySettings { budget_bytes: 1 << 20, seed: 1 });
        writer.put(stream.id, Sequence(1), &row(&stream.schema, 2)).unwrap();
        let frozen = writer.freeze(Sequence(1)).unwrap();
        let manifest = self.data.current().unwrap().unwrap();
        let (root, stop) = (self.data.root().to_owned(), Stop::default());
        let options = FlushOptions { root, memory_bytes: 1 << 20, now_us: 0, stop };
        let known = |id| (id == stream.id).then(|| Arc::clone(stream));
        let flushed = flush(&options, &manifest, &frozen, &known).unwrap();
        self.data.publish(&self.lock, |manifest| flushed.change(manifest)).unwrap();
    }
}

/// Of any schema: with a null.
fn row(schema: &Schema, event_time_us: i64) -> Vec<u8> {
    let mut writer = RowWriter::new(schema);
    writer.begin(b"u", event_time_us);
    writer.finish().unwrap().to_vec()
}

#[test]
fn a_delta_is_opened_beside_the_base_that_stays_and_is_in_memory_at_once() {
    let world = World::new();
    world.define("int64");
    let empty = world.open(None);
    assert_eq!((empty.table_count(), empty.tables().len()), (0, 0));
    world.build(&empty);
    let first = world.open(Some(&empty));
    world.write(&first);
    let second = world.open(Some(&first));
    let new = second.new_tables(Some(&first));
    assert_eq!(new.len(), 1, "the base is shared");
    let (name, delta) = &new[0];
    assert_eq!((name.as_str(), delta.rows(), second.table_count(), second.rows()), (NAME, 1, 1, 2));
    let all = delta.residency().all(|segment| {
        (segment.index_resident_bytes, segment.rows_resident_bytes) == (segment.index_bytes, segment.rows_bytes)
    });
    assert!(all, "who wrote it asks for it");
    let known: Vec<_> = second.tables().into_iter().filter_map(|(_, table)| table.upgrade()).collect();
    assert_eq!(known.len(), 2, "the keeper knows of both");
    assert!(known.iter().all(|table| second.holds(NAME, table)));
    assert!(!first.holds(NAME, delta) && second.serves(NAME));
    let third = world.open(Some(&second));
    assert!(third.new_tables(Some(&second)).is_empty());
}

/// A delta is a table like others: what an operator says of memory holds for it.
#[test]
fn a_delta_is_brought_in_as_tables_are_and_within_the_budget() {
    let world = World::new();
    world.define("int64");
    let empty = world.open(None);
    world.build(&empty);
    let first = world.open(Some(&empty));
    world.write(&first);
    let check = |populate, lock, room_bytes, expected: [bool; 3]| {
        let settings = MemorySettings { populate, lock, huge_pages: false, ..MemorySettings::default() };
        let live = world.open_within(Some(&first), Room { settings, bytes: room_bytes });
        let (_, delta) = live.new_tables(Some(&first)).remove(0);
        let told = delta.residency().next().unwrap();
        let full = |resident, all| resident == all && all > 0;
        let index = full(told.index_resident_bytes, told.index_bytes);
        assert_eq!([index, full(told.rows_resident_bytes, told.rows_bytes), told.locked], expected, "{settings:?}");
        assert_eq!(live.deltas_taken(), taken_by([&live, &live, &first].into_iter()), "of the base nothing is there");
        assert!(live.deltas_taken() <= room_bytes);
        (told.index_bytes, told.rows_bytes)
    };
    // A few blocks are within any limit on locked memory.
    let (index, rows) = check(Populate::All, Lock::Required, u64::MAX, [true, true, true]);
    check(Populate::All, Lock::IfAllowed, u64::MAX, [true, true, true]);
    check(Populate::All, Lock::Never, u64::MAX, [true, true, false]);
    check(Populate::Index, Lock::Required, u64::MAX, [true, false, true]);
    check(Populate::None, Lock::Required, u64::MAX, [false, false, false]);
    check(Populate::All, Lock::Required, index + rows - 1, [true, false, true]);
    check(Populate::All, Lock::Required, index - 1, [false, false, false]);
}

#[test]
fn what_was_written_under_other_definitions_is_not_read() {
    let world = World::new();
    world.define("int64");
    let empty = world.open(None);
    world.build(&empty);
    let before = world.open(Some(&empty));
    world.write(&before);
    let before = world.open(Some(&before));
    world.define("string");
    let after = world.open(Some(&before));
    assert_eq!((after.outdated.as_slice(), after.serves(NAME)), ([NAME.to_owned()].as_slice(), false));
    assert_eq!(after.tables().len(), 1, "the delta has another schema");
    let id = |live: &Live| live.streams.get(NAME).map(|stream| stream.id);
    assert_ne!(id(&before), id(&after), "what the overlay has of the old one is not met");
    assert_eq!(id(&before), id(&empty), "and the same while the schema stays");
}
