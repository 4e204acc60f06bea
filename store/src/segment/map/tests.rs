//! What the SIGBUS handler does, and what it leaves alone.

use std::{
    hint::black_box,
    os::unix::process::ExitStatusExt,
    process::{Command, ExitStatus},
    sync::atomic::Ordering,
};

use super::{
    fault::{FREE, install_handler},
    *,
};
use crate::{disk::AlignedBuffer, limits::BLOCK_BYTES};

fn map_of(blocks: usize, file: &Path) -> Map {
    std::fs::write(file, vec![7; blocks * BLOCK_BYTES]).unwrap();
    Map::open(file).unwrap()
}

fn cut(file: &Path, bytes: u64) {
    File::options().write(true).open(file).unwrap().set_len(bytes).unwrap();
}

#[test]
fn a_page_that_is_gone_reads_as_zeros_and_poisons_its_mapping_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let (map, bystander) = (map_of(3, &one), map_of(3, &other));
    cut(&one, BLOCK_BYTES as u64);
    assert_eq!(black_box(map.bytes())[0], 7, "what is left of the file stays readable");
    assert!(!map.poisoned());
    assert_eq!(black_box(map.bytes())[2 * BLOCK_BYTES + 5], 0);
    assert!(map.poisoned() && any_poisoned());
    assert!(!bystander.poisoned());
    drop(map);
    assert!(!map_of(1, &folder.path().join("next")).poisoned(), "a place in the table starts clean");
}

#[test]
fn populating_and_advising_accept_any_part() {
    let folder = tempfile::tempdir().unwrap();
    let map = map_of(5, &folder.path().join("file"));
    map.populate(&(0..5 * BLOCK_BYTES)).unwrap();
    map.populate(&(BLOCK_BYTES..2 * BLOCK_BYTES)).unwrap();
    map.lock(&(BLOCK_BYTES..3 * BLOCK_BYTES)).unwrap();
    map.advise_huge_pages(&(0..5 * BLOCK_BYTES));
    map.advise_random(&(0..5 * BLOCK_BYTES)).unwrap();
    map.prefetch(usize::MAX);
    cut(&folder.path().join("file"), 0);
    assert!(matches!(map.populate(&(0..5 * BLOCK_BYTES)), Err(Error::Io { op: "populate", .. })));
}

#[test]
fn both_ways_of_asking_what_is_in_memory_agree() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, vec![7; 700 * BLOCK_BYTES]).unwrap();
    File::open(&file).unwrap().sync_all().unwrap(); // what is not written yet cannot be given up
    let map = Map::open(&file).unwrap();
    let all = 0..700 * BLOCK_BYTES;
    for taken in [0..0, 300..400, 650..700, 0..1, 0..700] {
        map.populate(&all).unwrap();
        assert_eq!(map.resident_bytes(&all).unwrap(), all.len());
        assert_eq!(map.resident_prefix(&all).unwrap(), all.len());
        map.forget(&(taken.start * BLOCK_BYTES..taken.end * BLOCK_BYTES)).unwrap();
        let is_there = |block: usize| map.core_pages(&(block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES)).unwrap() == 1;
        let there = (0..700).filter(|&block| is_there(block)).count();
        assert_eq!(map.resident_bytes(&all).unwrap(), there * BLOCK_BYTES, "{taken:?}");
        let gap = (0..700).find(|&block| !is_there(block)).unwrap_or(700);
        assert_eq!(map.resident_prefix(&all).unwrap(), gap * BLOCK_BYTES, "{taken:?}");
    }
}

#[test]
fn direct_reads_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let bytes: Vec<u8> = (0..20 * BLOCK_BYTES).map(|at| u8::try_from(at / 7 % 251).unwrap()).collect();
    std::fs::write(&file, &bytes).unwrap();
    let map = Map::open(&file).unwrap();
    let direct = map.open_direct().unwrap().to_file().unwrap();
    for (block, blocks) in [(0, 20), (3, 1), (19, 1), (7, 9)] {
        let mut buffer = AlignedBuffer::new(blocks * BLOCK_BYTES);
        assert!(buffer.bytes_mut().as_ptr().addr().is_multiple_of(BLOCK_BYTES));
        direct.read_exact_at(buffer.bytes_mut(), (block * BLOCK_BYTES) as u64).unwrap();
        assert_eq!(buffer.bytes_mut(), &bytes[block * BLOCK_BYTES..(block + blocks) * BLOCK_BYTES]);
    }
}

/// Runs `test` of this module again in a process of its own, with `CHILD` set.
fn run_as_child(test: &str) -> ExitStatus {
    let this = std::env::current_exe().unwrap();
    let name = format!("segment::map::tests::{test}");
    Command::new(this).args(["--exact", &name]).env(CHILD, "1").output().unwrap().status
}

#[test]
fn a_fault_in_a_mapping_of_others_ends_the_process() {
    if std::env::var_os(CHILD).is_none() {
        let status = run_as_child("a_fault_in_a_mapping_of_others_ends_the_process");
        return assert_eq!(status.signal(), Some(libc::SIGBUS));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let map = map_of(1, &file);
    map.registration.slot.start.store(FREE, Ordering::Release); // now it is nobody's
    cut(&file, 0);
    black_box(black_box(map.bytes())[0]);
}

#[test]
fn a_signal_sent_by_someone_ends_the_process() {
    if std::env::var_os(CHILD).is_none() {
        let status = run_as_child("a_signal_sent_by_someone_ends_the_process");
        return assert_eq!(status.signal(), Some(libc::SIGBUS));
    }
    install_handler();
    let this = std::process::id().to_string();
    Command::new("kill").args(["-BUS", &this]).status().unwrap();
    std::thread::park_timeout(std::time::Duration::from_secs(10));
}

const CHILD: &str = "GANNET_TEST_CHILD";
