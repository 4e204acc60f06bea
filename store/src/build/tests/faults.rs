use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::FileExt,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::*;
use crate::directory::{
    DataDirectory,
    tests::fault_disk::{Fault, FaultDisk},
};

fn attempt(root: &Path, disk: Arc<FaultDisk>) -> Result<(TableEntry, BuildSummary), Error> {
    let builder = TableBuilder::new_on(schema(), options(root, 60_000, 2), 5, Table::hash_with, disk)?;
    let sinks = push_all(&builder, &numbered(1500, 1000), 1)?;
    builder.finish(sinks, &|_, _| {})
}

#[test]
fn every_failing_operation_is_an_error_with_its_file_and_leaves_no_segment() {
    for at in 0.. {
        let folder = TempDir::new().unwrap();
        let disk = FaultDisk::new(Fault::Once, at);
        let result = attempt(folder.path(), disk.clone());
        if !disk.has_struck() {
            assert!(result.is_ok() && at > 10);
            break;
        }
        let Err(error) = result else { continue }; // removing a run failed, which harms nobody
        let Error::Io { file, .. } = &error else { panic!("{error}") };
        assert!(file.starts_with(folder.path()), "{error}");
        assert!(files(folder.path()).iter().all(|file| file.starts_with("tmp/")), "{:?}", files(folder.path()));
    }
}

#[test]
fn what_a_killed_build_leaves_is_no_generation_and_garbage_collection_removes_it() {
    for at in 0.. {
        let folder = TempDir::new().unwrap();
        let directory = DataDirectory::create(folder.path().join("data")).unwrap();
        let before = files(directory.root());
        let disk = FaultDisk::new(Fault::Crash, at);
        let result = attempt(directory.root(), disk.clone());
        assert_eq!(directory.current().unwrap(), None);
        if !disk.has_struck() {
            assert!(result.is_ok());
            break;
        }
        let lock = directory.lock().unwrap();
        directory.collect_garbage(&lock, 2).unwrap();
        let mut after = files(directory.root());
        after.retain(|file| file != "LOCK");
        assert_eq!(after, before);
    }
}

#[test]
fn a_sink_that_failed_does_not_finish_even_if_its_caller_goes_on() {
    let folder = TempDir::new().unwrap();
    let disk = FaultDisk::new(Fault::Once, 4); // a write to the first run
    let options = options(folder.path(), 20_000, 1);
    let builder = TableBuilder::new_on(schema(), options, 5, Table::hash_with, disk).unwrap();
    let mut sink = builder.sink();
    let mut writer = RowWriter::new(&schema());
    let failures =
        numbered(2000, 2000).iter().filter(|input| sink.push(encode(&mut writer, input), 0).is_err()).count();
    assert_eq!(failures, 1);
    let error = builder.finish(vec![sink], &|_, _| {}).unwrap_err();
    assert!(error.to_string().contains("rows are missing"), "{error}");
}

#[test]
fn dropping_a_build_removes_its_runs() {
    let folder = TempDir::new().unwrap();
    let builder = TableBuilder::new(schema(), options(folder.path(), 20_000, 2)).unwrap();
    let sinks = push_all(&builder, &numbered(5000, 5000), 2).unwrap();
    assert!(files(folder.path()).len() > 10);
    drop(builder);
    drop(sinks);
    assert_eq!(files(folder.path()), Vec::<String>::new());
    assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn every_damaged_byte_of_a_run_is_found() {
    let folder = TempDir::new().unwrap();
    let builder = TableBuilder::new(schema(), options(folder.path(), 20_000, 1)).unwrap();
    let (_, runs) = push_all(&builder, &numbered(400, 400), 1).unwrap().remove(0).into_parts();
    let read_all = || {
        let file = runs[0].open()?;
        let mut cursor = runs[0].cursor(&file, None..None)?;
        let mut rows = 0;
        while cursor.rank().is_some() {
            rows += 1;
            cursor.advance()?;
        }
        Ok::<_, Error>(rows)
    };
    assert_eq!(read_all().unwrap(), runs[0].rows);
    let path = folder.path().join(&files(folder.path())[0]);
    let sound = fs::read(&path).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    for (offset, byte) in (0..).zip(&sound) {
        file.write_all_at(&[byte ^ 1], offset).unwrap();
        assert!(matches!(read_all().unwrap_err(), Error::Corrupt(_)), "byte {offset}");
        file.write_all_at(&[*byte], offset).unwrap();
    }
    file.set_len(sound.len() as u64 - 1).unwrap();
    assert!(matches!(read_all().unwrap_err(), Error::Io { op: "read", .. }));
}

#[test]
fn rows_that_are_none_and_names_that_lead_elsewhere_are_refused() {
    let folder = TempDir::new().unwrap();
    let builder = TableBuilder::new(schema(), options(folder.path(), 1 << 20, 1)).unwrap();
    let mut writer = RowWriter::new(&schema());
    let mut row = encode(&mut writer, &numbered(1, 1)[0]).to_vec();
    row.push(0);
    assert!(matches!(builder.sink().push(&row, 0).unwrap_err(), Error::NotARow));
    assert!(matches!(builder.sink().push(&[], 0).unwrap_err(), Error::NotARow));
    for table in ["", "..", "../x", "/x", "a//b"] {
        let options = BuildOptions { table: table.into(), ..options(folder.path(), 1 << 20, 1) };
        assert!(TableBuilder::new(schema(), options).is_err(), "{table:?}");
    }
}

const BUILD_IN: &str = "GANNET_TEST_BUILD_IN";

/// Not a test of its own: the process with a bounded file size of the next one. Without the variable it does nothing.
#[test]
fn build_with_a_bounded_file_size() {
    let Ok(root) = std::env::var(BUILD_IN) else { return };
    let outcome = match build(options(Path::new(&root), 1 << 30, 2), &numbered(250_000, 250_000), 2) {
        Ok(_) => "built".to_owned(),
        Err(error @ Error::Io { .. }) => format!("refused: {error}"),
        Err(error) => format!("otherwise: {error}"),
    };
    std::io::stderr().write_all(format!("{outcome}\n").as_bytes()).unwrap();
}

/// The nearest thing to a full disk that needs no privilege: writing beyond the limit fails in the midst of a segment.
#[test]
fn a_segment_that_cannot_be_written_is_an_error_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let script = "trap '' XFSZ; ulimit -f 2048; exec \"$0\" --exact --nocapture build::tests::faults::build_with_a_bounded_file_size";
    let output = Command::new("bash")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(BUILD_IN, folder.path())
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("refused: cannot write"), "{errors}");
    assert_eq!(files(folder.path()), Vec::<String>::new());
}
