//! Overlay, delta and base against a map: any sequence of writes, flushes, compactions and starts.

mod stripped;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    build::{BuildOptions, TableBuilder},
    directory::DataDirectory,
    log::Sequence,
    overlay::{Frozen, Overlay, OverlayReader, OverlaySettings, OverlayWriter, Put, TableId},
    plane::StreamTables,
    row::{RowLayout, RowWriter, tests::schema, write_tombstone},
    schema::{ColumnType, Schema},
    value::Value,
};

const TABLE: TableId = TableId(1);
const NAME: &str = "prod/recent";

fn text_schema() -> Arc<Schema> {
    Arc::new(schema(vec![ColumnType::String]))
}

fn encode(key: &[u8], event_time_us: i64, text: Option<&str>) -> Vec<u8> {
    let Some(text) = text else {
        let mut bytes = Vec::new();
        write_tombstone(key, event_time_us, &mut bytes).unwrap();
        return bytes;
    };
    let mut writer = RowWriter::new(&text_schema());
    writer.begin(key, event_time_us);
    writer.string(0, text);
    writer.finish().unwrap().to_vec()
}

/// A data directory with an overlay before it, as a server would have them.
struct World {
    folder: TempDir,
    directory: DataDirectory,
    levels: Levels,
    writer: OverlayWriter,
    reader: OverlayReader,
    /// What the log would hold: sequence and row.
    log: Vec<(u64, Vec<u8>)>,
    tables: StreamTables,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let directory = DataDirectory::create(folder.path().join("data")).unwrap();
        let (overlay, writer) = Overlay::new(OverlaySettings { budget_bytes: 1 << 20, seed: 1 });
        let reader = overlay.reader();
        let tables = StreamTables::default().with([(NAME.to_owned(), Schema::clone(&text_schema()), None)]);
        assert_eq!(tables.get(NAME).unwrap().id, TABLE);
        Self { folder, directory, levels: Levels::default(), writer, reader, log: Vec::new(), tables }
    }

    fn root(&self) -> &Path {
        self.directory.root()
    }

    fn options(&self) -> FlushOptions {
        FlushOptions { root: self.root().to_owned(), memory_bytes: 1 << 20, now_us: 5, stop: Stop::default() }
    }

    fn live(&self) -> Manifest {
        self.directory.current().unwrap().unwrap_or_else(|| {
            let lock = self.directory.lock().unwrap();
            self.directory.publish(&lock, |_| ()).unwrap()
        })
    }

    fn put(&mut self, row: Vec<u8>) {
        let sequence = self.log.len() as u64 + 1;
        assert_ne!(self.writer.put(TABLE, Sequence(sequence), &row).unwrap(), Put::Full);
        self.log.push((sequence, row));
        self.writer.reclaim();
    }

    fn freeze(&mut self) -> Frozen {
        let covers = Sequence(self.log.len() as u64);
        let frozen = (0..10).find_map(|_| {
            self.writer.reclaim();
            self.writer.freeze(covers)
        });
        frozen.expect("nobody is looking")
    }

    fn publish(&mut self, change: impl FnOnce(&mut Manifest)) {
        let lock = self.directory.lock().unwrap();
        let live = self.directory.publish(&lock, change).unwrap();
        self.directory.collect_garbage(&lock, 1).unwrap();
        self.levels = Levels::open(self.root(), &live, NAME).unwrap();
    }

    fn finish_flush(&mut self, frozen: Frozen) {
        let known = |id| self.tables.of_id(id).cloned();
        let flushed = flush(&self.options(), &self.live(), &frozen, &known).unwrap();
        self.publish(|manifest| flushed.change(manifest));
        self.writer.drop_frozen(frozen);
    }

    fn flush(&mut self) {
        let frozen = self.freeze();
        self.finish_flush(frozen);
    }

    fn compact(&mut self, tombstones_until_us: i64) {
        (0..10).for_each(|_| self.writer.reclaim());
        assert!(!self.writer.has_frozen());
        let compacted = compact(&self.options(), &self.live(), NAME, tombstones_until_us, None).unwrap();
        assert!(compacted.is_some() || self.levels.delta.is_none());
        if let Some(compacted) = compacted {
            self.publish(|manifest| compacted.change(manifest));
            assert!(self.levels.delta.is_none());
        }
    }

    /// What is deleted goes from base and delta; `false` where nothing changed.
    fn strip(&mut self, tombstones_until_us: i64) -> bool {
        (0..10).for_each(|_| self.writer.reclaim());
        assert!(!self.writer.has_frozen());
        let stripped = strip(&self.options(), &self.live(), NAME, tombstones_until_us, None).unwrap();
        let is_changed = stripped.is_some();
        if let Some(stripped) = stripped {
            self.publish(|manifest| stripped.change(manifest));
        }
        is_changed
    }

    /// The base built anew, under another seed, as a materialization would.
    fn rebuild(&mut self) {
        let Some(base) = self.levels.base.clone() else { return };
        let FlushOptions { root, memory_bytes, now_us, .. } = self.options();
        let options = BuildOptions { root, table: NAME.into(), memory_bytes, workers: 1, now_us };
        let builder = TableBuilder::new(text_schema(), options).unwrap();
        let mut sink = builder.sink();
        base.scan().for_each(|row| sink.push(row.unwrap().encoded(), 0).unwrap());
        let (entry, _) = builder.finish(vec![sink], &|_, _| {}).unwrap();
        self.publish(|manifest| drop(manifest.tables.insert(NAME.into(), entry)));
    }

    /// Everything in memory is gone; what the manifest says is not covered is read from the log.
    fn start_again(&mut self) {
        let live = self.live();
        let (overlay, writer) = Overlay::new(OverlaySettings { budget_bytes: 1 << 20, seed: 2 });
        (self.writer, self.reader) = (writer, overlay.reader());
        self.levels = Levels::open(self.root(), &live, NAME).unwrap();
        for (sequence, row) in &self.log[usize::try_from(live.log_position).unwrap()..] {
            self.writer.put(TABLE, Sequence(*sequence), row).unwrap();
        }
    }

    /// What a server would say of a key.
    fn read(&self, key: &[u8]) -> Option<(i64, String)> {
        let layout = RowLayout::new(&text_schema(), "a test");
        let (pin, mut bytes) = (self.reader.pin(), Vec::new());
        let recent = self.reader.lookup(&pin, TABLE, key, &mut bytes);
        let recent = recent.map(|recent| recent.row(&layout, bytes.as_flattened()).unwrap());
        let mut found = recent;
        for table in self.levels.tables() {
            found = newest(found, table.lookup(key).unwrap());
        }
        if recent.is_none() {
            let visible = found.filter(|row| !row.is_tombstone()).map(|row| row.event_time_us());
            assert_eq!(self.levels.lookup(key).unwrap().map(|row| row.event_time_us()), visible);
        }
        let row = found.filter(|row| !row.is_tombstone())?;
        assert_eq!(row.key(), key);
        let Value::String(text) = row.value(0).unwrap().to_value().unwrap() else { panic!("a text") };
        Some((row.event_time_us(), text))
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// The time is behind what is refused as too old.
    Put {
        key: u8,
        time: i64,
        is_row: bool,
    },
    Flush,
    /// Writes go on while a part is flushed.
    FlushAround {
        key: u8,
        time: i64,
    },
    Compact,
    /// Tombstones that are old enough go.
    CompactAll,
    /// The same, where base and delta stay two.
    Strip,
    Rebuild,
    StartAgain,
}

fn step() -> impl Strategy<Value = Step> {
    let (key, time) = (|| 0..12_u8, || 1..6_i64);
    prop_oneof![
        20 => (key(), time(), prop::bool::weighted(0.7)).prop_map(|(key, time, is_row)| Step::Put { key, time, is_row }),
        2 => Just(Step::Flush),
        1 => (key(), time()).prop_map(|(key, time)| Step::FlushAround { key, time }),
        1 => Just(Step::Compact),
        1 => Just(Step::CompactAll),
        2 => Just(Step::Strip),
        1 => Just(Step::Rebuild),
        1 => Just(Step::StartAgain),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn every_row_that_counts_is_found_and_no_other(steps in proptest::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        // Of each key the event time, and the text unless it is deleted.
        let mut model: BTreeMap<u8, (i64, Option<String>)> = BTreeMap::new();
        let mut floor = 0;
        for (number, step) in steps.into_iter().enumerate() {
            let mut put = |world: &mut World, key: u8, time: i64, is_row: bool| {
                let (time, text) = (floor + time, is_row.then(|| format!("text {number}")));
                world.put(encode(&[key], time, text.as_deref()));
                if model.get(&key).is_none_or(|before| before.0 <= time) {
                    model.insert(key, (time, text));
                }
            };
            match step {
                Step::Put { key, time, is_row } => put(&mut world, key, time, is_row),
                Step::Flush => world.flush(),
                Step::FlushAround { key, time } => {
                    let frozen = world.freeze();
                    put(&mut world, key, time, true);
                    put(&mut world, key ^ 1, time, false);
                    world.finish_flush(frozen);
                }
                Step::Compact => world.compact(i64::MIN),
                Step::CompactAll => {
                    world.flush(); // what is in the overlay may be older
                    floor += 3;
                    world.compact(floor);
                    model.retain(|_, (time, text)| text.is_some() || *time > floor);
                    if let Some(base) = &world.levels.base {
                        let left = model.values().filter(|(_, text)| text.is_none()).count() as u64;
                        prop_assert_eq!((base.tombstones(), base.rows() + left), (left, model.len() as u64));
                    }
                }
                Step::Strip => {
                    world.flush();
                    floor += 3;
                    world.strip(floor);
                }
                Step::Rebuild => world.rebuild(),
                Step::StartAgain => world.start_again(),
            }
            for key in 0..14 {
                let expected = model.get(&key).and_then(|(time, text)| Some((*time, text.clone()?)));
                prop_assert_eq!(world.read(&[key]), expected, "key {}", key);
            }
        }
    }
}

#[test]
fn what_was_deleted_is_in_no_file_after_compaction() {
    let mut world = World::new();
    let everywhere = |world: &World| {
        let manifest = world.live();
        let files: Vec<Vec<u8>> =
            manifest.segments().map(|segment| std::fs::read(world.root().join(&segment.file)).unwrap()).collect();
        let on_disk: BTreeSet<_> = walk(&world.root().join("segments")).into_iter().collect();
        assert_eq!(on_disk.len(), files.len(), "nothing but what the manifest names");
        files.iter().any(|bytes| bytes.windows(6).any(|part| part == b"secret"))
    };
    world.put(encode(b"user", 10, Some("secret")));
    world.put(encode(b"other", 10, Some("harmless")));
    world.flush();
    world.compact(i64::MIN);
    world.put(encode(b"user", 11, Some("secret as well")));
    world.flush();
    assert!(everywhere(&world));
    world.put(encode(b"user", 12, None));
    assert_eq!(world.read(b"user"), None, "gone for readers at once");
    world.flush();
    assert_eq!(world.levels.delta.as_ref().map(|delta| (delta.rows(), delta.tombstones())), Some((0, 1)));
    world.compact(12);
    assert!(!everywhere(&world));
    assert_eq!((world.read(b"user"), world.read(b"other")), (None, Some((10, "harmless".into()))));
    assert_eq!(world.levels.base.as_ref().map(|base| (base.rows(), base.tombstones())), Some((1, 0)));
    assert!(world.folder.path().exists());
}

/// Neither forward, to the time of a delete that stays, nor back, when the newest row goes.
#[test]
fn deletes_do_not_move_the_newest_event() {
    let check = |world: &World, times: (i64, i64), newest_event_us: i64| {
        let base = &world.live().tables[NAME];
        assert_eq!((base.event_time_min_us, base.event_time_max_us), (Some(times.0), Some(times.1)));
        assert_eq!(base.newest_event_us(), Some(newest_event_us));
        assert_eq!(world.levels.base.as_ref().unwrap().newest_event_us(), Some(newest_event_us));
    };
    let mut world = World::new();
    for (key, time) in [(b"a", 10), (b"b", 11), (b"c", 12)] {
        world.put(encode(key, time, Some("text")));
    }
    world.flush();
    world.compact(i64::MIN);
    check(&world, (10, 12), 12);
    world.put(encode(b"c", 20, None));
    world.flush();
    world.compact(i64::MIN);
    check(&world, (10, 20), 12);
    world.compact(20);
    check(&world, (10, 11), 12);
    world.put(encode(b"a", 15, Some("text")));
    world.flush();
    world.compact(i64::MIN);
    check(&world, (11, 15), 15);

    // The same of a base that is written anew without what is hidden.
    world.rebuild();
    world.put(encode(b"a", 30, None));
    world.flush();
    assert!(world.strip(i64::MIN));
    check(&world, (11, 11), 15);
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn many_rows_go_through_every_level() {
    let mut world = World::new();
    let key = |number: u32| format!("user {number:05}").into_bytes();
    for round in 0..4_i64 {
        for number in 0..3000 {
            if number % (u32::try_from(round).unwrap() + 1) == 0 {
                let text = (number % 7 != 3).then(|| format!("{round} of {number}"));
                world.put(encode(&key(number), round, text.as_deref()));
            }
        }
        world.flush();
        if round == 1 {
            world.compact(i64::MIN);
        }
    }
    world.compact(3);
    for number in 0..3000 {
        let round = (0..4).rev().find(|round| number % (round + 1) == 0).unwrap();
        let expected = (number % 7 != 3).then(|| (i64::from(round), format!("{round} of {number}")));
        assert_eq!(world.read(&key(number)), expected);
    }
    assert_eq!(world.levels.base.as_ref().unwrap().tombstones(), 0);
}
