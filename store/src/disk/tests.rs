//! The real disk, and that the simulated one can do what its page says.

use std::{collections::BTreeSet, path::Path};

use super::{
    Access, AlignedBuffer, Disk, SystemDisk,
    simulated::{Choices, Fault, SimulatedDisk},
};
use crate::{error::Error, limits::BLOCK_BYTES};

fn block(byte: u8) -> AlignedBuffer {
    let mut buffer = AlignedBuffer::new(BLOCK_BYTES);
    buffer.bytes_mut().fill(byte);
    buffer
}

/// What a log does with a file, on any disk. Returns what is in it, and the names beside it.
fn write_and_read(disk: &dyn Disk, folder: &Path) -> (Vec<u8>, Vec<String>) {
    let (file, renamed) = (folder.join("a"), folder.join("b"));
    let mut open = disk.create(&file, Access::Direct).unwrap();
    assert_eq!(disk.create(&file, Access::Direct).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    open.reserve(4 * BLOCK_BYTES as u64).unwrap();
    open.write_at(block(7).bytes(), BLOCK_BYTES as u64).unwrap();
    open.sync().unwrap();
    open.truncate(3 * BLOCK_BYTES as u64).unwrap();
    disk.rename(&file, &renamed).unwrap();
    disk.sync_folder(folder).unwrap();
    let open = disk.open(&renamed, Access::Direct).unwrap();
    assert_eq!(open.length().unwrap(), 3 * BLOCK_BYTES as u64);
    let mut read = AlignedBuffer::new(8 * BLOCK_BYTES);
    let filled = open.read_at(read.bytes_mut(), 0).unwrap();
    let names = disk.list(folder).unwrap().into_iter().map(|entry| entry.name).collect();
    disk.remove_file(&renamed).unwrap();
    (read.bytes()[..filled].to_vec(), names)
}

#[test]
fn every_disk_does_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, names) = write_and_read(&SystemDisk, folder.path());
    assert_eq!(bytes, [[0; BLOCK_BYTES], [7; BLOCK_BYTES], [0; BLOCK_BYTES]].concat());
    assert_eq!(names, ["b"]);
    assert_eq!(write_and_read(&SimulatedDisk::new(), Path::new("/")), (bytes, names));
}

/// Where the page cache cannot be passed by, writes go through it; `/dev/shm` is such a place on some kernels.
#[test]
fn files_in_memory_are_written_too() {
    if let Ok(folder) = tempfile::tempdir_in("/dev/shm") {
        let (bytes, _) = write_and_read(&SystemDisk, folder.path());
        assert_eq!(bytes[BLOCK_BYTES], 7);
    } else {
        eprintln!("skipped, because there is no /dev/shm to write to");
    }
}

/// What a file system that wants other alignments makes of every access: an error that says nothing but that.
#[test]
fn an_access_that_is_refused_for_its_form_goes_through_the_page_cache() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = SystemDisk.create(&folder.path().join("a"), Access::Direct).unwrap();
    file.write_at(&[1; 100], 50).unwrap();
    file.write_at(block(2).bytes(), BLOCK_BYTES as u64).unwrap();
    file.sync().unwrap();
    let mut read = [0; 100];
    assert_eq!(file.read_at(&mut read, 50).unwrap(), 100);
    assert_eq!(read, [1; 100]);
    let file = SystemDisk.open(&folder.path().join("a"), Access::Direct).unwrap();
    assert_eq!(file.read_at(&mut read, 2 * BLOCK_BYTES as u64 - 20).unwrap(), 20);
    assert_eq!(read[..20], [2; 20]);
}

#[test]
fn a_lock_keeps_the_second_out_until_the_first_lets_go() {
    let folder = tempfile::tempdir().unwrap();
    let (system, simulated) = (SystemDisk, SimulatedDisk::new());
    let disks: [(&dyn Disk, &Path); 2] = [(&system, folder.path()), (&simulated, Path::new("/"))];
    for (disk, folder) in disks {
        let held = disk.lock(&folder.join("LOCK")).unwrap();
        assert!(matches!(disk.lock(&folder.join("LOCK")), Err(Error::Locked { .. })));
        drop(held);
        disk.lock(&folder.join("LOCK")).unwrap();
    }
}

/// A file of two synced blocks of ones, over which a block of twos was written, in every state that a crash leaves.
#[test]
fn a_crash_keeps_what_was_synced_and_tears_the_rest() {
    let disk = SimulatedDisk::new();
    let path = Path::new("/a");
    let mut file = disk.create(path, Access::Buffered).unwrap();
    file.write_at(&[1; 2 * BLOCK_BYTES], 0).unwrap();
    file.sync().unwrap();
    disk.sync_folder(Path::new("/")).unwrap();
    file.write_at(&[2; BLOCK_BYTES], 0).unwrap();
    let mut states = BTreeSet::new();
    let mut choices = Choices::each();
    loop {
        let copy = disk.copy();
        copy.crash(&mut choices);
        let contents = copy.contents(path).unwrap();
        assert_eq!(contents[BLOCK_BYTES..], [1; BLOCK_BYTES]);
        assert!(contents.iter().all(|byte| [1, 2].contains(byte)));
        states.insert(contents.iter().filter(|&&byte| byte == 2).count());
        if !choices.next_way() {
            break;
        }
    }
    assert_eq!(states, BTreeSet::from([0, 512, BLOCK_BYTES - 512, BLOCK_BYTES]));
    // Drawn ones are cut anywhere.
    let drawn: BTreeSet<Vec<u8>> = (0..200)
        .map(|seed| {
            let copy = disk.copy();
            copy.crash(&mut Choices::seeded(seed));
            copy.contents(path).unwrap()
        })
        .collect();
    assert!(drawn.len() > 50, "{} states", drawn.len());
}

#[test]
fn a_name_is_lost_or_kept_by_itself_until_its_folder_is_synced() {
    let disk = SimulatedDisk::new();
    let sync = |disk: &SimulatedDisk| disk.sync_folder(Path::new("/")).unwrap();
    disk.create(Path::new("/old"), Access::Buffered).unwrap();
    sync(&disk);
    disk.rename(Path::new("/old"), Path::new("/new")).unwrap();
    disk.create(Path::new("/other"), Access::Buffered).unwrap();
    let after = |disk: &SimulatedDisk, choices: &mut Choices| {
        let copy = disk.copy();
        copy.crash(choices);
        let names = copy.list(Path::new("/")).unwrap();
        names.into_iter().map(|entry| entry.name).collect::<Vec<_>>().join(" ")
    };
    let mut choices = Choices::each();
    let mut states = BTreeSet::new();
    loop {
        states.insert(after(&disk, &mut choices));
        if !choices.next_way() {
            break;
        }
    }
    assert_eq!(states, ["new", "new other", "old", "old other"].map(String::from).into());
    sync(&disk);
    assert_eq!(after(&disk, &mut Choices::seeded(1)), "new other");
}

#[test]
fn a_folder_keeps_what_is_in_it_when_it_is_renamed() {
    let disk = SimulatedDisk::new();
    let [root, old, new] = ["/", "/old", "/new"].map(Path::new);
    disk.create_folder(old).unwrap();
    disk.create(&old.join("a"), Access::Buffered).unwrap();
    disk.sync_folder(old).unwrap();
    disk.sync_folder(root).unwrap();
    disk.rename(old, new).unwrap();
    assert!(disk.contents(&new.join("a")).is_some() && disk.contents(&old.join("a")).is_none());
    let folders: BTreeSet<&str> = (0..20)
        .map(|seed| {
            let copy = disk.copy();
            copy.crash(&mut Choices::seeded(seed));
            let (old, new) = (copy.contents(&old.join("a")), copy.contents(&new.join("a")));
            assert!(old.is_some() != new.is_some());
            if old.is_some() { "old" } else { "new" }
        })
        .collect();
    assert_eq!(folders, BTreeSet::from(["new", "old"]));
    assert_eq!(disk.remove_folder(new).unwrap_err().kind(), std::io::ErrorKind::DirectoryNotEmpty);
    disk.remove_file(&new.join("a")).unwrap();
    disk.remove_folder(new).unwrap();
}

#[test]
fn faults_come_at_their_operation_and_a_failed_sync_loses_what_it_was_for() {
    let written = |fault: Fault, at: u64, seed: u64| {
        let disk = SimulatedDisk::new();
        let mut file = disk.create(Path::new("/a"), Access::Buffered).unwrap();
        disk.fail_at(at, fault, seed);
        let results = [file.write_at(&[1; 1000], 0).is_ok(), file.sync().is_ok(), file.sync().is_ok()];
        (results, disk.contents(Path::new("/a")).unwrap().len())
    };
    assert_eq!(written(Fault::Failure, 9, 0), ([true, true, true], 1000));
    let (results, length) = written(Fault::ShortWrite, 0, 1);
    assert!(results == [false, true, true] && length < 1000, "{length} bytes");
    // The next sync succeeds, and the bytes are gone all the same.
    let lost = |seed: &u64| {
        let (results, length) = written(Fault::Failure, 1, *seed);
        assert_eq!(results, [true, false, true]);
        length < 1000
    };
    assert!((0..20).any(|seed| lost(&seed)));
    assert_eq!(written(Fault::Crash, 0, 0).0, [false, false, false]);
}

#[test]
fn a_direct_access_that_is_not_aligned_is_refused() {
    let disk = SimulatedDisk::new();
    let mut file = disk.create(Path::new("/a"), Access::Direct).unwrap();
    for (bytes, at) in [(&block(1).bytes()[..100], 0), (block(1).bytes(), 100), (&block(1).bytes()[512..], 0)] {
        assert!(file.write_at(bytes, at).is_err());
    }
    file.write_at(block(1).bytes(), 0).unwrap();
}

#[test]
fn files_of_a_process_that_ended_are_of_no_use() {
    let disk = SimulatedDisk::new();
    let mut file = disk.create(Path::new("/a"), Access::Buffered).unwrap();
    file.write_at(&[1; 10], 0).unwrap();
    disk.kill();
    assert!(file.write_at(&[1; 10], 0).is_err());
    assert_eq!(disk.contents(Path::new("/a")).unwrap().len(), 10, "the machine did not end");
}
