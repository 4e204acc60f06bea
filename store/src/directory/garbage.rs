//! Removing what nothing names any more: old generations, and what killed runs left behind.

use std::{collections::HashSet, path::Path};

use crate::error::Error;

use super::{
    create::{DEFINITIONS, DataDirectory, MANIFESTS, SEGMENTS, TEMPORARY},
    disk,
    lock::{Building, WriterLock},
    publish::CURRENT,
};

/// What garbage collection removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    pub manifests: u64,
    /// Segments and temporary files.
    pub files: u64,
    pub bytes: u64,
}

impl DataDirectory {
    /// Keeps the newest `keep` generations (at least the live one) with all their segments, and every version of the
    /// definitions; removes older manifests, all other segments and what killed runs left.
    ///
    /// Publications hold the same lock, and so do most builds, so nothing under way is mistaken for left behind. While somebody builds
    /// beside it ([`Self::building`]), only segments go that manifests name which go as well; what killed runs left stays for the next
    /// time. A reader that has read
    /// a manifest but not yet opened its segments is safe if `keep` is at least 2. A damaged manifest among those to keep is
    /// an error before anything was removed, because what it names is not known.
    pub fn collect_garbage(&self, lock: &WriterLock, keep: usize) -> Result<Collected, Error> {
        lock.assert_is_of(&self.root);
        let disk = self.disk.as_ref();
        let mut collected = Collected::default();

        let generations = self.generations()?;
        let (old, kept) = generations.split_at(generations.len().saturating_sub(keep.max(1)));
        let live = self.current()?; // also verifies the one that CURRENT names
        let mut named: HashSet<String> = HashSet::new();
        for manifest in kept.iter().map(|&generation| self.manifest(generation)).chain(live.map(Ok)) {
            named.extend(manifest?.segments().map(|segment| segment.file.clone()));
        }

        // Looked at while they are there. One that is damaged says nothing; what it names goes when nobody builds.
        let superseded: HashSet<String> = old
            .iter()
            .filter_map(|&generation| self.manifest(generation).ok())
            .flat_map(|manifest| manifest.segments().map(|segment| segment.file.clone()).collect::<Vec<_>>())
            .filter(|file| !named.contains(file))
            .collect();

        // Manifests before segments, and durably so, or a crash leaves a manifest that names what is gone.
        for &generation in old {
            disk::remove_file(disk, &self.manifest_file(generation))?;
            collected.manifests += 1;
        }
        disk::sync_folder(disk, &self.root.join(MANIFESTS))?;

        let nobody_builds = Building::nobody(disk, &self.root)?;
        if nobody_builds.is_some() {
            self.collect_segments(SEGMENTS, &named, &mut collected)?;
            for entry in disk::list(self.disk.as_ref(), &self.root.join(TEMPORARY))? {
                self.collect_entry(&self.root.join(TEMPORARY), &entry, &mut collected)?;
            }
        } else {
            self.collect_superseded(&superseded, &mut collected)?;
        }
        for folder in [MANIFESTS, DEFINITIONS] {
            self.collect_temporary(&self.root.join(folder), &|_, _| true, &mut collected)?;
        }
        // Small files are replaced without the lock, so one that a living process writes is left alone.
        let is_left =
            |name: &str, owner| name.strip_prefix('.').is_some_and(|name| name.starts_with(CURRENT)) || is_dead(owner);
        self.collect_temporary(&self.root, &is_left, &mut collected)?;
        Ok(collected)
    }

    /// Removes every file below that is not named, and folders that are then empty. True if the folder itself is empty.
    fn collect_segments(
        &self,
        folder: &str,
        named: &HashSet<String>,
        collected: &mut Collected,
    ) -> Result<bool, Error> {
        let disk = self.disk.as_ref();
        let mut empty = true;
        for entry in disk::list(self.disk.as_ref(), &self.root.join(folder))? {
            let path = format!("{folder}/{}", entry.name);
            if entry.is_folder {
                if self.collect_segments(&path, named, collected)? {
                    let path = self.root.join(path);
                    disk.remove_folder(&path).map_err(|source| disk::failed("remove the folder", &path, source))?;
                } else {
                    empty = false;
                }
            } else if named.contains(&path) {
                empty = false;
            } else {
                self.collect_entry(&self.root.join(folder), &entry, collected)?;
            }
        }
        Ok(empty)
    }

    fn collect_superseded(&self, files: &HashSet<String>, collected: &mut Collected) -> Result<(), Error> {
        for file in files {
            let path = self.root.join(file);
            let Ok(metadata) = std::fs::metadata(&path) else { continue }; // gone already
            disk::remove_file(self.disk.as_ref(), &path)?;
            collected.files += 1;
            collected.bytes += metadata.len();
        }
        Ok(())
    }

    fn collect_temporary(
        &self,
        folder: &Path,
        is_garbage: &dyn Fn(&str, u32) -> bool,
        collected: &mut Collected,
    ) -> Result<(), Error> {
        for entry in disk::list(self.disk.as_ref(), folder)? {
            if disk::temporary_owner(&entry.name).is_some_and(|owner| is_garbage(&entry.name, owner)) {
                self.collect_entry(folder, &entry, collected)?;
            }
        }
        Ok(())
    }

    fn collect_entry(&self, folder: &Path, entry: &disk::Listed, collected: &mut Collected) -> Result<(), Error> {
        let path = folder.join(&entry.name);
        let (files, bytes) = if entry.is_folder {
            disk::remove_tree(self.disk.as_ref(), &path)?
        } else {
            disk::remove_file(self.disk.as_ref(), &path)?;
            (1, entry.bytes)
        };
        collected.files += files;
        collected.bytes += bytes;
        Ok(())
    }
}

fn is_dead(process: u32) -> bool {
    process != std::process::id() && !Path::new("/proc").join(process.to_string()).exists()
}
