mod crash;
mod definitions;
pub(crate) mod fault_disk;
mod garbage;
mod golden;
mod killed;
mod lock;
mod log;
mod publish;
mod simulated;

use std::{collections::BTreeMap, fs, path::Path};

use tempfile::TempDir;

use self::fault_disk::FaultDisk;
use super::{DataDirectory, Manifest, SegmentEntry, TableEntry};
use crate::schema::{KeyPart, KeyType, Schema};

fn directory() -> (TempDir, DataDirectory) {
    let folder = TempDir::new().unwrap();
    let directory = DataDirectory::create_on(&folder.path().join("data"), FaultDisk::sound()).unwrap();
    (folder, directory)
}

/// A table of one segment whose file is written too.
fn table(root: &Path, file: &str) -> TableEntry {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "segment").unwrap();
    TableEntry {
        schema: Schema { key: vec![KeyPart { name: "id".into(), key_type: KeyType::Int64 }], columns: vec![] },
        seed: 3,
        segments: vec![SegmentEntry { file: file.into(), bytes: 7, rows: 1, root: "00".repeat(8) }],
        rows: 1,
        tombstones: 0,
        raw_bytes: 16,
        event_time_min_us: Some(1),
        event_time_max_us: Some(1),
        built_at_us: 5,
        holds_writes: false,
        has_deletes: false,
        newest_event_us: None,
    }
}

/// Publishes a generation whose only table has a segment of its own.
fn publish_table(directory: &DataDirectory, name: &str) -> Manifest {
    let entry = table(directory.root(), &format!("segments/prod/{name}.seg"));
    let lock = directory.lock().unwrap();
    directory.publish(&lock, |manifest| manifest.tables = BTreeMap::from([("prod/t".to_owned(), entry)])).unwrap()
}

/// Every file below, relative, without the lock.
fn files(root: &Path) -> Vec<String> {
    fn walk(root: &Path, folder: &Path, out: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, out);
            } else {
                out.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut out = Vec::new();
    walk(root, root, &mut out);
    out.retain(|file| file != "LOCK");
    out.sort();
    out
}

/// Other bytes under the same name. Not in place: truncating a file makes some file systems sync it, thousands of times.
fn rewrite(file: &Path, bytes: &[u8]) {
    fs::remove_file(file).unwrap();
    fs::write(file, bytes).unwrap();
}
