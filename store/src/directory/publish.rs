//! Generations: reading the live one, and the one function that makes another live.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::error::{Corrupt, Error};

use super::{
    create::{DataDirectory, MANIFESTS, SEGMENTS},
    disk::{self, Disk, failed, refused},
    envelope,
    lock::WriterLock,
    manifest::{FORMAT_VERSION, FORMAT_VERSION_OLDEST, Manifest, SegmentEntry},
};

/// A cheap sign of change: differs from an earlier one when something was published in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    modified_s: i64,
    modified_ns: i64,
    bytes: u64,
}

impl DataDirectory {
    /// Makes a new generation live: the live one with `change` applied, numbered and versioned here.
    ///
    /// `change` also sets `created_at_us`. A rollback is a publication whose `change` puts an earlier manifest's content
    /// back; that way generations only ever grow. An error before `CURRENT` was renamed changes nothing; after it the
    /// outcome is unknown until the directory is read again, and nothing is retried here.
    pub fn publish(&self, lock: &WriterLock, change: impl FnOnce(&mut Manifest)) -> Result<Manifest, Error> {
        lock.assert_is_of(&self.root);
        let live = self.current()?;
        let live_generation = live.as_ref().map_or(0, |live| live.generation);
        let mut numbers = self.manifest_numbers()?;

        let mut next = live.clone().unwrap_or_else(Manifest::empty);
        change(&mut next);
        next.format_version = FORMAT_VERSION;
        next.generation = numbers.last().copied().unwrap_or(0).max(live_generation) + 1;
        self.refuse_missing_segments(live.as_ref(), &next)?;

        // The manifest first, whole and durable under a name that nobody has read yet.
        let folder = self.root.join(MANIFESTS);
        let name = file_name(next.generation);
        let (bytes, checksum) = envelope::seal(&folder.join(&name), &next)?;
        disk::replace(self.disk.as_ref(), &folder, &name, &bytes)?;

        // Publications that were killed right here left manifests that never were live. Only now, that a higher number is
        // durable, can they go without their numbers being given out again; and they must, before they look like history.
        let never_live = numbers.split_off(numbers.partition_point(|&number| number <= live_generation));
        for number in &never_live {
            disk::remove_file(self.disk.as_ref(), &folder.join(file_name(*number)))?;
        }
        if !never_live.is_empty() {
            disk::sync_folder(self.disk.as_ref(), &folder)?;
        }

        let manifest = Named { file: format!("{MANIFESTS}/{name}"), xxh3: checksum };
        point_at(self.disk.as_ref(), &self.root, Some(manifest))?;
        Ok(next)
    }

    /// The live generation; `None` before the first was published.
    pub fn current(&self) -> Result<Option<Manifest>, Error> {
        let mut live = self.live()?;
        loop {
            let manifest = self.current_manifest(live.as_ref());
            if manifest.is_ok() {
                return manifest;
            }
            // It may have been superseded and collected while it was read; then the news is to be read instead.
            let now = self.live()?;
            if now == live {
                return manifest;
            }
            live = now;
        }
    }

    fn current_manifest(&self, live: Option<&(u64, String)>) -> Result<Option<Manifest>, Error> {
        let Some((generation, checksum)) = live else { return Ok(None) };
        let (manifest, found) = self.read_manifest(*generation)?;
        if found != *checksum {
            let expected = format!("checksum {checksum}, which CURRENT names");
            return Err(corrupt(&self.manifest_file(*generation), &expected, &format!("checksum {found}")));
        }
        Ok(Some(manifest))
    }

    /// The manifest of a generation, live or earlier.
    pub fn manifest(&self, generation: u64) -> Result<Manifest, Error> {
        Ok(self.read_manifest(generation)?.0)
    }

    /// The generations whose manifests are kept, oldest first; the last one is live.
    pub fn generations(&self) -> Result<Vec<u64>, Error> {
        let Some((live, _)) = self.live()? else { return Ok(Vec::new()) };
        let mut numbers = self.manifest_numbers()?;
        numbers.retain(|&number| number <= live);
        Ok(numbers)
    }

    /// To be compared with an earlier one: one system call.
    pub fn stamp(&self) -> Result<Stamp, Error> {
        let file = self.root.join(CURRENT);
        let metadata = fs::metadata(&file).map_err(|source| failed("examine", &file, source))?;
        Ok(Stamp {
            inode: metadata.ino(),
            modified_s: metadata.mtime(),
            modified_ns: metadata.mtime_nsec(),
            bytes: metadata.len(),
        })
    }

    /// Numbers of all manifests, also of those that never became live; ascending.
    fn manifest_numbers(&self) -> Result<Vec<u64>, Error> {
        let entries = disk::list(self.disk.as_ref(), &self.root.join(MANIFESTS))?;
        let mut numbers: Vec<u64> = entries.iter().filter_map(|entry| number(&entry.name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(super) fn manifest_file(&self, generation: u64) -> PathBuf {
        self.root.join(MANIFESTS).join(file_name(generation))
    }

    /// The live generation's number and checksum.
    fn live(&self) -> Result<Option<(u64, String)>, Error> {
        let file = self.root.join(CURRENT);
        let bytes = disk::read(self.disk.as_ref(), &file)?.ok_or_else(|| corrupt(&file, "a file", "none"))?;
        let opened = envelope::open(&file, &bytes)?;
        refuse_other_versions(&file, &opened)?;
        let pointer: Pointer = opened.parse(&file, "a pointer to a manifest")?;
        let Some(named) = pointer.manifest else { return Ok(None) };
        let name = named.file.strip_prefix(MANIFESTS).and_then(|name| name.strip_prefix('/'));
        let generation = name.and_then(number).ok_or_else(|| corrupt(&file, "the name of a manifest", &named.file))?;
        Ok(Some((generation, named.xxh3)))
    }

    fn read_manifest(&self, generation: u64) -> Result<(Manifest, String), Error> {
        let file = self.manifest_file(generation);
        let bytes =
            disk::read(self.disk.as_ref(), &file)?.ok_or_else(|| corrupt(&file, "a manifest", "no such file"))?;
        let opened = envelope::open(&file, &bytes)?;
        refuse_other_versions(&file, &opened)?;
        let manifest: Manifest = opened.parse(&file, "a manifest")?;
        if manifest.generation != generation {
            let found = format!("generation {}", manifest.generation);
            return Err(corrupt(&file, &format!("generation {generation}"), &found));
        }
        if let Some(outside) = manifest.segments().find(|segment| !is_segment_path(&segment.file)) {
            return Err(corrupt(&file, "the path of a segment", &outside.file));
        }
        Ok((manifest, opened.checksum))
    }

    /// A manifest must not become live naming a segment that is not there whole. Those of the live one are not asked for
    /// again: damage to one table is no reason to refuse news of another.
    fn refuse_missing_segments(&self, live: Option<&Manifest>, next: &Manifest) -> Result<(), Error> {
        let known: HashSet<&SegmentEntry> = live.iter().flat_map(|live| live.segments()).collect();
        for segment in next.segments().filter(|segment| !known.contains(segment)) {
            let file = self.root.join(&segment.file);
            if !is_segment_path(&segment.file) {
                return Err(refused("publish", &file, "a segment's path must lead below segments/"));
            }
            let metadata = fs::metadata(&file).map_err(|source| failed("publish", &file, source))?;
            if metadata.len() != segment.bytes {
                let expected = format!("{} bytes", segment.bytes);
                return Err(corrupt(&file, &expected, &format!("{} bytes", metadata.len())));
            }
        }
        Ok(())
    }
}

/// What `CURRENT` holds.
#[derive(Debug, Serialize, Deserialize)]
struct Pointer {
    format_version: u32,
    manifest: Option<Named>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Named {
    file: String,
    /// Of the manifest's content: an older or foreign file under the right name is noticed.
    xxh3: String,
}

/// The first `CURRENT`. From then on it always exists, so that a lost one is damage and not a fresh start.
pub(super) fn point_at_nothing(disk: &dyn Disk, root: &Path) -> Result<(), Error> {
    point_at(disk, root, None)
}

fn point_at(disk: &dyn Disk, root: &Path, manifest: Option<Named>) -> Result<(), Error> {
    let pointer = Pointer { format_version: FORMAT_VERSION, manifest };
    let (bytes, _) = envelope::seal(&root.join(CURRENT), &pointer)?;
    disk::replace(disk, root, CURRENT, &bytes)
}

/// Asks for the version alone first: a newer format may differ in everything else.
pub(super) fn refuse_other_versions(file: &Path, opened: &envelope::Opened<'_>) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Version {
        format_version: u32,
    }
    let Version { format_version: found } = opened.parse(file, "a document with a format_version")?;
    if (FORMAT_VERSION_OLDEST..=FORMAT_VERSION).contains(&found) {
        return Ok(());
    }
    let file = file.display().to_string();
    Err(Error::Unsupported { file, what: "format version", found, supported: FORMAT_VERSION })
}

pub(super) fn corrupt(file: &Path, expected: &str, found: &str) -> Error {
    Error::Corrupt(Corrupt {
        file: file.display().to_string(),
        offset: 0,
        expected: expected.to_owned(),
        found: found.to_owned(),
    })
}

fn is_segment_path(path: &str) -> bool {
    disk::leads_below(path) && path.strip_prefix(SEGMENTS).is_some_and(|rest| rest.starts_with('/'))
}

fn file_name(generation: u64) -> String {
    format!("{generation:06}.json")
}

/// The generation that a manifest's name stands for; `None` when it is no manifest's name, to the digit.
fn number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".json")?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

pub(super) const CURRENT: &str = "CURRENT";
