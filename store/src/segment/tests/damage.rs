//! Damaged segments: opening refuses, or a lookup fails, or it reads what was written. Never another value, never a panic.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{
    cold::{from_image, read_cold},
    *,
};
use crate::{
    error::Corrupt,
    format::{
        bytes::u64_at,
        checksum::{block_checksum, header_checksum, root},
        header::UncheckedHeader,
    },
    limits::BLOCK_BYTES,
};

/// A small table of one segment, with the rows it was written from.
pub(super) struct Sample {
    folder: tempfile::TempDir,
    pub(super) entry: TableEntry,
    pub(super) rows: Vec<TestRow>,
}

impl Sample {
    pub(super) fn new(count: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<TestRow> = (0..count).map(fraud_row).collect();
        let entry = build(folder.path(), &fraud_schema(), &rows, 7, 1).unwrap();
        Self { folder, entry, rows }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join(&self.entry.segments[0].file)
    }

    pub(super) fn file(&self) -> File {
        OpenOptions::new().read(true).write(true).open(self.path()).unwrap()
    }

    pub(super) fn open(&self) -> Result<Table, Error> {
        open(self.folder.path(), &self.entry)
    }

    /// Reads every row and two absent keys. Returns whether any of it failed.
    fn reads_truly(&self) -> bool {
        let Ok(table) = self.open() else { return false };
        let mut whole = true;
        for row in &self.rows {
            match read(&table, &row.key) {
                Ok(found) => assert_eq!(found.as_ref(), Some(row)),
                Err(_) => whole = false,
            }
        }
        for absent in [fraud_row(10_000), fraud_row(10_001)] {
            assert!(!matches!(read(&table, &absent.key), Ok(Some(_))));
        }
        whole
    }

    /// Replaces the file's bytes, and the manifest's root with what the header now says.
    fn forge(&mut self, bytes: &[u8]) {
        std::fs::write(self.path(), bytes).unwrap();
        self.entry.segments[0].root = format!("{:016x}", u64_at(bytes, 4080).unwrap());
    }
}

fn sweep_bits(bits: std::ops::Range<u8>) {
    let sample = Sample::new(12);
    let (file, bytes) = (sample.file(), std::fs::read(sample.path()).unwrap());
    let mut refused = 0;
    for (at, &byte) in (0..).zip(&bytes) {
        for bit in bits.clone() {
            file.write_all_at(&[byte ^ 1 << bit], at).unwrap();
            refused += u64::from(!sample.reads_truly());
        }
        file.write_all_at(&[byte], at).unwrap();
    }
    assert!(sample.reads_truly());
    // Every block is read by somebody but padding behind the rows' checksums, which nobody reads.
    assert!(refused > bytes.len() as u64 * u64::from(bits.end - bits.start) * 9 / 10, "{refused} were noticed");
}

#[test]
fn every_flipped_bit_is_noticed_or_harmless_low_half() {
    sweep_bits(0..4);
}

#[test]
fn every_flipped_bit_is_noticed_or_harmless_high_half() {
    sweep_bits(4..8);
}

#[test]
fn every_truncation_and_any_extension_is_refused() {
    let sample = Sample::new(12);
    let (file, bytes) = (sample.file(), std::fs::read(sample.path()).unwrap());
    file.set_len(bytes.len() as u64 + 1).unwrap();
    assert!(matches!(sample.open(), Err(Error::Corrupt(_))));
    for length in (0..bytes.len() as u64).rev() {
        file.set_len(length).unwrap();
        assert!(matches!(sample.open(), Err(Error::Corrupt(_))), "cut to {length}");
    }
}

#[test]
fn blocks_of_other_places_are_not_taken() {
    let sample = Sample::new(400);
    let bytes = std::fs::read(sample.path()).unwrap();
    let block = |number: usize| &bytes[number * BLOCK_BYTES..(number + 1) * BLOCK_BYTES];
    // Two blocks of rows in each other's place.
    sample.file().write_all_at(block(2), BLOCK_BYTES as u64).unwrap();
    sample.file().write_all_at(block(1), 2 * BLOCK_BYTES as u64).unwrap();
    assert!(!sample.reads_truly());
    // The same rows in a segment of another id: every block but the first is checksummed for another file.
    std::fs::write(sample.path(), &bytes).unwrap();
    assert!(sample.reads_truly());
    let other = Sample::new(400);
    let placement = Placement { seed: 7, partition: 0, partitions: 1 };
    let path = other.folder.path().join("other");
    let mut writer = SegmentWriter::create(&path, &fraud_schema(), placement).unwrap();
    for row in other.open().unwrap().scan() {
        let row = row.unwrap();
        writer.push(Table::hash_with(7, row.key()), row.encoded()).unwrap();
    }
    writer.finish().unwrap();
    let stale = std::fs::read(&path).unwrap();
    assert_eq!(stale[BLOCK_BYTES..2 * BLOCK_BYTES], bytes[BLOCK_BYTES..2 * BLOCK_BYTES]);
    sample.file().write_all_at(&stale[..BLOCK_BYTES], 0).unwrap();
    assert!(matches!(sample.open(), Err(Error::Corrupt(_))));
}

#[test]
fn damage_that_a_later_pass_finds_is_met_by_readers_from_then_on() {
    let sample = Sample::new(400);
    let table = sample.open().unwrap();
    table.verify(&mut |_| {}).unwrap();
    check_all(&table, &sample.rows);
    sample.file().write_all_at(&[0xff; 512], BLOCK_BYTES as u64).unwrap();
    assert!(table.verify(&mut |_| {}).is_err());
    let failed = sample.rows.iter().filter(|row| match read(&table, &row.key) {
        Ok(found) => found.as_ref() != Some(row) && panic!("{row:?} was read as {found:?}"),
        Err(_) => true,
    });
    let failed = failed.count();
    let in_first_block = table.scan().take_while(Result::is_ok).count();
    assert_eq!(in_first_block, 0, "the first block is not trusted any more");
    assert!((50..150).contains(&failed), "the others are");
}

#[test]
fn a_manifest_of_another_table_is_refused() {
    let sample = Sample::new(12);
    type Change = fn(&mut TableEntry);
    let changes: [Change; 5] = [
        |entry| entry.segments[0].root = "0123456789abcdef".into(),
        |entry| entry.segments[0].rows += 1,
        |entry| entry.segments[0].bytes += 4096,
        |entry| entry.seed += 1,
        |entry| entry.schema.columns[0].name.push('x'),
    ];
    for change in changes {
        let mut entry = sample.entry.clone();
        change(&mut entry);
        assert!(matches!(open(sample.folder.path(), &entry), Err(Error::Corrupt(_))), "{entry:?}");
    }
    let mut entry = sample.entry.clone();
    entry.segments.push(entry.segments[0].clone());
    assert!(matches!(open(sample.folder.path(), &entry), Err(Error::Corrupt(_))));
    entry.segments[0].file = "missing".into();
    assert!(matches!(open(sample.folder.path(), &entry), Err(Error::Io { op: "open", .. })));
}

#[test]
fn another_version_is_not_damage() {
    for at in [8, 12] {
        let mut sample = Sample::new(12);
        let mut bytes = std::fs::read(sample.path()).unwrap();
        bytes[at] += 1;
        let checksum = header_checksum(&bytes[..4088]);
        bytes[4088..4096].copy_from_slice(&checksum.to_le_bytes());
        sample.forge(&bytes);
        assert!(matches!(sample.open(), Err(Error::Unsupported { .. })));
    }
}

/// Makes all checksums right again, as somebody who means harm would.
fn reseal(bytes: &mut [u8]) {
    let header_only = header_checksum(&bytes[..4088]);
    bytes[4088..4096].copy_from_slice(&header_only.to_le_bytes());
    let Ok(header) = UncheckedHeader(&bytes[..BLOCK_BYTES]).check() else { return };
    let (level1, level2) = (header.regions.level1.range(), header.regions.level2.range());
    for (first, end, into) in [
        (1, level1.start / BLOCK_BYTES, level1.start),
        (level1.start / BLOCK_BYTES, level2.start / BLOCK_BYTES, level2.start),
    ] {
        for block in first..end {
            let sum = block_checksum(header.id, block as u64, &bytes[block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES]);
            let at = into + 8 * (block - first);
            bytes[at..at + 8].copy_from_slice(&sum.to_le_bytes());
        }
    }
    let new_root = root(&bytes[..BLOCK_BYTES], &bytes[level2.start..]);
    bytes[4080..4088].copy_from_slice(&new_root.to_le_bytes());
    let checksum = header_checksum(&bytes[..4088]);
    bytes[4088..4096].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn forged_segments_answer_anything_but_never_panic() {
    let mut sample = Sample::new(12);
    let sound = std::fs::read(sample.path()).unwrap();
    let mut resealed = sound.clone();
    reseal(&mut resealed);
    assert!(resealed == sound, "the test knows how checksums are made");
    let (mut opened, mut random) = (0, 0x9e37_79b9_7f4a_7c15_u64);
    for round in 0..4000 {
        let mut bytes = sound.clone();
        for _ in 0..1 + round % 3 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // Where something lies: the first bytes of a block.
            let block = usize::try_from(random >> 32).unwrap() % (bytes.len() / BLOCK_BYTES);
            let at = block * BLOCK_BYTES + usize::try_from(random >> 8).unwrap() % 512;
            bytes[at] = random.to_le_bytes()[0];
        }
        reseal(&mut bytes);
        sample.forge(&bytes);
        let Ok(table) = sample.open() else { continue };
        opened += 1;
        for row in &sample.rows {
            let _ = read(&table, &row.key);
            let _ = read_cold(&table, &row.key, from_image(&bytes)); // which checks that every read leads on
        }
        let _ = table.verify(&mut |_| {});
        for row in table.scan().take(100).flatten() {
            let _ = row.value(0).and_then(|value| value.to_value());
        }
    }
    assert!(opened > 500, "only {opened} of the forged segments opened");
}

/// Whether a batch read from the table may leave the process.
fn read_batch(table: &Table, rows: &[TestRow]) -> Result<Vec<Option<TestRow>>, Corrupt> {
    let found = rows.iter().map(|row| read(table, &row.key)).collect::<Result<_, _>>()?;
    table.check_mapping()?;
    Ok(found)
}

#[test]
fn a_file_cut_under_its_readers_gives_errors_and_no_wrong_value() {
    for (left, verified) in [(0, true), (BLOCK_BYTES as u64, true), (60_000, true), (0, false), (60_001, false)] {
        let (sample, bystander) = (Sample::new(4000), Sample::new(100));
        let (table, other) = (sample.open().unwrap(), bystander.open().unwrap());
        if verified {
            table.verify(&mut |_| {}).unwrap();
        }
        let cut = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = || {
                let mut after_cut = 0;
                while after_cut < 3 {
                    after_cut += u32::from(cut.load(Ordering::Acquire));
                    for rows in sample.rows.chunks(100) {
                        let Ok(found) = read_batch(&table, rows) else { continue };
                        assert!(found.iter().zip(rows).all(|(found, row)| found.as_ref() == Some(row)));
                    }
                }
            };
            let readers = [scope.spawn(reader), scope.spawn(reader)];
            sample.file().set_len(left).unwrap();
            cut.store(true, Ordering::Release);
            for reader in readers {
                reader.join().unwrap();
            }
        });
        assert!(read_batch(&table, &sample.rows).is_err());
        assert!(table.check_mapping().is_err());
        assert!(table.verify(&mut |_| {}).is_err());
        check_all(&other, &bystander.rows);
    }
}

#[test]
fn a_cut_within_the_index_makes_no_key_absent() {
    let sample = Sample::new(4000);
    let table = sample.open().unwrap();
    table.verify(&mut |_| {}).unwrap();
    let info = table.segments().next().unwrap();
    let file = std::fs::read(sample.path()).unwrap();
    // The index is the groups' blocks: find its start by the first line's mark, then cut within its last group.
    let index = BLOCK_BYTES + usize::try_from(info.rows_bytes).unwrap().next_multiple_of(BLOCK_BYTES);
    assert_eq!(&file[index + 60..index + 64], b"line");
    let cut = index + usize::try_from(info.index_bytes).unwrap() - BLOCK_BYTES + 64;
    sample.file().set_len(cut as u64).unwrap();
    // No page is gone that a lookup needs, so nothing faults: the rest of the last page reads as zeros.
    let mut refused = 0;
    for row in &sample.rows {
        match read(&table, &row.key) {
            Ok(found) => assert_eq!(found.as_ref(), Some(row), "present, and told to be something else"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0);
}
