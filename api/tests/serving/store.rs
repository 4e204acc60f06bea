//! A world that is written to: an overlay before a data directory, with the store's own flushes and compactions.

use std::{collections::BTreeMap, sync::Arc};

use gannet_api::{
    Catalog, Core,
    definitions::model::{Definitions, FeatureView},
};
use gannet_store::{
    Value,
    directory::{DataDirectory, Manifest},
    levels::{FlushOptions, Levels, Stop, compact, flush},
    log::Sequence,
    overlay::{Frozen, Overlay, OverlaySettings, OverlayWriter, Stage},
    plane::StreamTable,
    row::write_tombstone,
};

use crate::fixture::{Rows, World, built, key_of, row_of, streams, tables_of};

/// When rows are combined, flushed and compacted: so early that nothing has expired.
const NOW_US: i64 = 5;

/// What serves, and what is written to.
pub(crate) struct Store {
    pub(crate) world: World,
    directory: DataDirectory,
    writer: OverlayWriter,
    sequence: u64,
}

impl Store {
    /// `rows` are those of the base.
    pub(crate) fn new(definitions: &str, rows: Vec<(&str, Rows)>) -> Self {
        Self::changed(definitions, |_| {}, rows)
    }

    /// The same with definitions that are changed first.
    pub(crate) fn changed(definitions: &str, change: impl FnOnce(&mut Definitions), rows: Vec<(&str, Rows)>) -> Self {
        let mut world = World::new(definitions, vec![]);
        change(&mut world.definitions);
        world.streams = streams(&world.definitions);
        let directory = DataDirectory::create(world.folder.path().join("data")).unwrap();
        let (overlay, writer) = Overlay::new(OverlaySettings { budget_bytes: 1 << 20, seed: 1 });
        world.core = Core::new(Arc::clone(&world.shared), 0).with_overlay(&overlay);
        let mut store = Self { world, directory, writer, sequence: 0 };
        let tables: Vec<_> = rows
            .iter()
            .map(|(view, rows)| (name(view), built(store.directory.root(), &name(view), store.view(view), rows)))
            .collect();
        store.publish(|manifest| manifest.tables.extend(tables));
        store
    }

    /// Applies other definitions.
    pub(crate) fn redefine(&mut self, change: impl FnOnce(&mut Definitions)) {
        change(&mut self.world.definitions);
        let World { definitions, streams, .. } = &mut self.world;
        *streams = streams.with(tables_of(definitions));
        self.publish(|_| ());
    }

    pub(crate) fn view(&self, view: &str) -> &FeatureView {
        &self.world.definitions.workspaces["prod"].feature_views[view]
    }

    pub(crate) fn stream(&self, view: &str) -> Arc<StreamTable> {
        Arc::clone(self.world.streams.get(&name(view)).unwrap())
    }

    /// Writes a row.
    pub(crate) fn put(&mut self, view: &str, key: &[Value], event_time_us: i64, values: &[Value]) {
        let stream = self.stream(view);
        let row = row_of(&stream.schema, key, event_time_us, values);
        self.write(&stream, &row);
        stream.advance_watermark(event_time_us);
    }

    /// Deletes a key's row.
    pub(crate) fn delete(&mut self, view: &str, key: &[Value], event_time_us: i64) {
        let stream = self.stream(view);
        let mut row = Vec::new();
        write_tombstone(&key_of(&stream.schema, key), event_time_us, &mut row).unwrap();
        self.write(&stream, &row);
    }

    fn write(&mut self, stream: &StreamTable, row: &[u8]) {
        self.sequence += 1;
        let combine = stream.combine.as_deref().map(|combine| (combine, NOW_US));
        assert_eq!(self.writer.stage(stream.id, Sequence(self.sequence), row, combine).unwrap(), Stage::Staged);
        self.writer.show_staged();
        self.writer.reclaim();
    }

    /// What is written next is in another part. What was written before is seen until it is in a file.
    pub(crate) fn freeze(&mut self) -> Frozen {
        self.reclaim();
        self.writer.freeze(Sequence(self.sequence)).expect("nobody is looking")
    }

    /// Writes what was frozen to deltas, and publishes them. It goes on to be seen in the overlay, too.
    pub(crate) fn flush(&mut self, frozen: &Frozen) {
        let tables: BTreeMap<_, _> = self.world.streams.iter().map(|table| (table.id, Arc::clone(table))).collect();
        let live = self.directory.current().unwrap().unwrap();
        let flushed = flush(&self.options(), &live, frozen, &|id| tables.get(&id).cloned()).unwrap();
        self.publish(|manifest| flushed.change(manifest));
    }

    pub(crate) fn drop_frozen(&mut self, frozen: Frozen) {
        self.writer.drop_frozen(frozen);
    }

    /// Whether nobody sees the frozen part any more.
    pub(crate) fn is_frozen_gone(&mut self) -> bool {
        self.reclaim();
        !self.writer.has_frozen()
    }

    /// From the overlay to the delta.
    pub(crate) fn flush_all(&mut self) {
        let frozen = self.freeze();
        self.flush(&frozen);
        self.drop_frozen(frozen);
        assert!(self.is_frozen_gone());
    }

    /// From the delta to the base.
    pub(crate) fn compact(&mut self, view: &str, tombstones_until_us: i64) {
        let live = self.directory.current().unwrap().unwrap();
        let stream = self.stream(view);
        let combine = stream.combine.as_deref();
        if let Some(compacted) = compact(&self.options(), &live, &name(view), tombstones_until_us, combine).unwrap() {
            self.publish(|manifest| compacted.change(manifest));
        }
    }

    fn publish(&mut self, change: impl FnOnce(&mut Manifest)) {
        let lock = self.directory.lock().unwrap();
        let live = self.directory.publish(&lock, change).unwrap();
        let World { definitions, streams, shared, levels, .. } = &mut self.world;
        let open = |name: &str| Levels::open(self.directory.root(), &live, name).unwrap();
        *levels = streams.iter().map(|table| (table.name.clone(), open(&table.name))).collect();
        let catalog = Catalog::compile(definitions, levels.clone(), streams, live.generation, shared.metrics());
        shared.publish(Some(Arc::new(catalog.covering(live.log_position))));
    }

    fn reclaim(&mut self) {
        (0..10).for_each(|_| self.writer.reclaim());
    }

    fn options(&self) -> FlushOptions {
        FlushOptions {
            root: self.directory.root().to_owned(),
            memory_bytes: 1 << 20,
            now_us: NOW_US,
            stop: Stop::default(),
        }
    }
}

fn name(view: &str) -> String {
    FeatureView::table_name("prod", view)
}
