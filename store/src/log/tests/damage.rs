//! Damage to a small closed log, bit by bit and byte by byte: it is refused, or what is read is what was written. Never another
//! value, never a panic.

use super::*;

/// Four segments, 64 KiB in all: batches of several records, of one, of more than a block.
fn closed_log() -> (SimulatedDisk, Records) {
    let (disk, mut log) = new_log();
    for number in 0..3 {
        log.append(&[&[number; 30]]).unwrap();
        log.append(&[&[number; 1500]]).unwrap();
        log.append(&[]).unwrap();
        log.commit().unwrap();
        commit(&mut log, &[number; 6000]);
    }
    log.close().unwrap();
    assert!(disk.contents(&segment(4)).is_some() && disk.contents(&segment(5)).is_none());
    let written = records(&disk, 0).unwrap().0;
    assert_eq!(written.len(), 12);
    (disk, written)
}

/// Reads a damaged log. Returns whether it was refused.
fn is_refused(disk: &SimulatedDisk, written: &[(u64, Vec<u8>)], what: &dyn Fn() -> String) -> bool {
    match records(disk, 0) {
        Ok((read, _)) => {
            assert!(read == written, "{}: {} of {} records", what(), read.len(), written.len());
            false
        }
        Err(Error::Corrupt(_) | Error::Unsupported { .. }) => true,
        Err(other) => panic!("{}: {other}", what()),
    }
}

fn flip_each_bit_of(number: u64) {
    let (disk, written) = closed_log();
    let file = segment(number);
    let sound = disk.contents(&file).unwrap();
    let mut refused = 0;
    for bit in 0..sound.len() * 8 {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        disk.put(&file, &bytes);
        refused += usize::from(is_refused(&disk, &written, &|| format!("bit {bit} of segment {number}")));
    }
    // The header is a quarter; of the rest, padding behind batches is nobody's.
    assert!(refused > sound.len() * 8 / 4, "{refused} of {} were noticed", sound.len() * 8);
}

#[test]
fn every_flipped_bit_is_noticed_or_harmless_first_segment() {
    flip_each_bit_of(1);
}

#[test]
fn every_flipped_bit_is_noticed_or_harmless_second_segment() {
    flip_each_bit_of(2);
}

#[test]
fn every_flipped_bit_is_noticed_or_harmless_third_segment() {
    flip_each_bit_of(3);
}

#[test]
fn every_flipped_bit_is_noticed_or_harmless_last_segment() {
    flip_each_bit_of(4);
}

#[test]
fn every_truncation_and_any_extension_is_refused() {
    let (disk, written) = closed_log();
    for number in 1..=4 {
        let sound = disk.contents(&segment(number)).unwrap();
        for length in (0..sound.len()).chain([sound.len() + 1]) {
            let mut bytes = sound.clone();
            bytes.resize(length, 0);
            disk.put(&segment(number), &bytes);
            assert!(is_refused(&disk, &written, &|| format!("segment {number} of {length} bytes")));
        }
        disk.put(&segment(number), &sound);
    }
}

#[test]
fn blocks_of_other_places_are_not_taken() {
    let (disk, written) = closed_log();
    let images: Vec<Vec<u8>> = (1..=4).map(|number| disk.contents(&segment(number)).unwrap()).collect();
    let blocks: Vec<&[u8]> = images.iter().flat_map(|image| image.chunks(BLOCK_BYTES)).collect();
    let mut refused = 0;
    for to in 0..blocks.len() {
        let file = segment(to as u64 / 4 + 1);
        for (from, block) in blocks.iter().enumerate().filter(|(from, block)| *from != to && **block != blocks[to]) {
            let mut bytes = images[to / 4].clone();
            bytes[to % 4 * BLOCK_BYTES..][..BLOCK_BYTES].copy_from_slice(block);
            disk.put(&file, &bytes);
            refused += usize::from(is_refused(&disk, &written, &|| format!("block {from} at {to}")));
        }
        disk.put(&file, &images[to / 4]);
    }
    assert!(refused > 150, "{refused} were noticed");
}

/// Blocks that belong where they are, in another course of events: what a copy of the machine wrote from the same start.
#[test]
fn blocks_of_another_history_are_not_taken() {
    let (disk, log) = new_log_as(ROOMY);
    drop(log);
    let history = |payloads: [&[u8]; 3]| {
        let disk = disk.copy();
        let (mut log, _) = open_as(&disk, ROOMY, 0).unwrap();
        for payload in payloads {
            commit(&mut log, payload);
        }
        log.close().unwrap();
        disk
    };
    let (ours, others) = (history([b"a", b"b", b"c"]), history([b"x", b"y", b"z"]));
    let written = records(&ours, 0).unwrap().0;
    let (image, other) = (ours.contents(&segment(1)).unwrap(), others.contents(&segment(1)).unwrap());
    for (number, (block, foreign)) in image.chunks(BLOCK_BYTES).zip(other.chunks(BLOCK_BYTES)).enumerate() {
        let mut bytes = image.clone();
        bytes[number * BLOCK_BYTES..][..BLOCK_BYTES].copy_from_slice(foreign);
        ours.put(&segment(1), &bytes);
        let refused = is_refused(&ours, &written, &|| format!("block {number}"));
        // The closing record is the last, so that another one in its place is as good as none.
        assert!(refused || block == foreign || number == 6, "block {number}");
    }
}

/// As `blocks_of_other_places_are_not_taken`, with nothing in place of a block.
#[test]
fn blocks_of_zeros_are_noticed() {
    let (disk, written) = closed_log();
    for number in 1..=4 {
        let sound = disk.contents(&segment(number)).unwrap();
        for block in 0..4 {
            let mut bytes = sound.clone();
            bytes[block * BLOCK_BYTES..][..BLOCK_BYTES].fill(0);
            disk.put(&segment(number), &bytes);
            let refused = is_refused(&disk, &written, &|| format!("block {block} of segment {number}"));
            // A closing record lost by itself takes nothing with it.
            assert!(refused || bytes == sound || number == 4, "block {block} of segment {number}");
        }
        disk.put(&segment(number), &sound);
    }
}
