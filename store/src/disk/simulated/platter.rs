//! What a simulated disk holds: what is durable, and what was done since and may or may not be after a crash.

use std::{
    collections::BTreeMap,
    path::{Component, Path},
};

use super::choices::Choices;

/// What a name stands for, with its number among the folders or files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Folder(usize),
    File(usize),
}

/// A name, and the folder that it is in. So a folder's names stay with it when it is renamed.
type Name = (usize, String);

type Names = BTreeMap<Name, Entry>;

/// A name that changed since its folder was synced.
#[derive(Debug, Clone)]
enum NameChange {
    Made { name: Name, entry: Entry },
    Renamed { from: Name, to: Name, entry: Entry },
    Removed { name: Name, entry: Entry },
}

impl NameChange {
    fn folder(&self) -> usize {
        let (Self::Made { name, .. } | Self::Renamed { to: name, .. } | Self::Removed { name, .. }) = self;
        name.0
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Self::Made { name, entry } => drop(names.insert(name.clone(), *entry)),
            Self::Renamed { from, to, entry } => {
                if names.get(from) == Some(entry) {
                    names.remove(from);
                }
                names.insert(to.clone(), *entry);
            }
            Self::Removed { name, entry } => {
                if names.get(name) == Some(entry) {
                    names.remove(name);
                }
            }
        }
    }
}

/// What was done to a file's bytes since it was synced.
#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Change {
    fn apply(&self, contents: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => write(contents, *at, bytes),
            Self::Length(length) => contents.resize(*length, 0),
        }
    }

    /// Applies none, a part or all of it.
    fn apply_torn(&self, contents: &mut Vec<u8>, choices: &mut Choices) {
        let Self::Write { at, bytes } = self else {
            if choices.either() {
                self.apply(contents);
            }
            return;
        };
        let all = bytes.len();
        if choices.is_each() {
            let whole = (0, all);
            let ways = [whole, (0, 0), (0, 512), (512, all), (0, 4096), (4096, all), (0, all.saturating_sub(100))];
            let ways = if all > 4096 { &ways[..] } else { &ways[..4] };
            let (from, to) = ways.get(choices.below(ways.len())).copied().unwrap_or(whole);
            return write(contents, *at + from.min(all), bytes.get(from.min(all)..to.min(all)).unwrap_or_default());
        }
        let units = |contents: &mut Vec<u8>, choices: &mut Choices, unit: usize| {
            for (number, part) in bytes.chunks(unit).enumerate() {
                if choices.either() {
                    write(contents, at + number * unit, part);
                }
            }
        };
        let cut = |choices: &mut Choices| bytes.split_at(choices.below(all + 1));
        match choices.below(8) {
            0 | 1 => write(contents, *at, bytes),
            2 => {}
            3 => write(contents, *at, cut(choices).0),
            4 => {
                let (start, rest) = cut(choices);
                write(contents, at + start.len(), rest);
            }
            5 => units(contents, choices, 512),
            6 => units(contents, choices, 4096),
            // The power went while a sector was written, and nobody knows what it holds now.
            _ => {
                let written = bytes.len().min(choices.below(all / 512 + 1) * 512);
                write(contents, *at, bytes.get(..written).unwrap_or_default());
                let noise: Vec<u8> = (0..512.min(all - written)).map(|_| noise(choices)).collect();
                write(contents, at + written, &noise);
            }
        }
    }
}

fn noise(choices: &mut Choices) -> u8 {
    u8::try_from(choices.below(256)).unwrap_or(0)
}

fn write(contents: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if !bytes.is_empty() && contents.len() < end {
        contents.resize(end, 0);
    }
    if let Some(place) = contents.get_mut(at..end) {
        place.copy_from_slice(bytes);
    }
}

#[derive(Debug, Clone, Default)]
struct FileState {
    durable: Vec<u8>,
    /// With all that was done since.
    seen: Vec<u8>,
    pending: Vec<Change>,
}

impl FileState {
    /// Leaves what a crash could leave.
    fn settle(&mut self, choices: &mut Choices) {
        let mut pending = std::mem::take(&mut self.pending);
        if !choices.is_each() {
            for last in (1..pending.len()).rev() {
                pending.swap(last, choices.below(last + 1));
            }
        }
        for change in pending {
            change.apply_torn(&mut self.durable, choices);
        }
        self.seen.clone_from(&self.durable);
    }
}

/// Files and names.
#[derive(Debug, Clone, Default)]
pub(super) struct Platter {
    files: Vec<FileState>,
    /// The root, 0, not counted.
    folders: usize,
    durable_names: Names,
    /// With all that was done since.
    names: Names,
    pending_names: Vec<NameChange>,
}

impl Platter {
    /// What a path stands for.
    pub(super) fn entry(&self, path: &Path) -> Option<Entry> {
        path.components().filter(|part| *part != Component::RootDir).try_fold(ROOT, |folder, part| match folder {
            Entry::Folder(number) => self.names.get(&(number, part.as_os_str().to_str()?.to_owned())).copied(),
            Entry::File(_) => None,
        })
    }

    fn name(&self, path: &Path) -> Option<Name> {
        match self.entry(path.parent()?)? {
            Entry::Folder(number) => Some((number, path.file_name()?.to_str()?.to_owned())),
            Entry::File(_) => None,
        }
    }

    /// What is in a folder, by name.
    pub(super) fn list(&self, folder: usize) -> impl Iterator<Item = (&str, Entry)> {
        let names = self.names.range((folder, String::new())..(folder + 1, String::new()));
        names.map(|((_, name), entry)| (name.as_str(), *entry))
    }

    pub(super) fn make_file(&mut self, path: &Path) -> usize {
        self.files.push(FileState::default());
        let number = self.files.len() - 1;
        self.make(path, Entry::File(number));
        number
    }

    pub(super) fn make_folder(&mut self, path: &Path) {
        self.folders += 1;
        self.make(path, Entry::Folder(self.folders));
    }

    fn make(&mut self, path: &Path, entry: Entry) {
        if let Some(name) = self.name(path) {
            self.change_name(NameChange::Made { name, entry });
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path, entry: Entry) {
        if let (Some(from), Some(to)) = (self.name(from), self.name(to)) {
            self.change_name(NameChange::Renamed { from, to, entry });
        }
    }

    pub(super) fn remove(&mut self, path: &Path, entry: Entry) {
        if let Some(name) = self.name(path) {
            self.change_name(NameChange::Removed { name, entry });
        }
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    pub(super) fn sync_folder(&mut self, folder: usize) {
        let durable = &mut self.durable_names;
        self.pending_names.retain(|change| {
            let is_of_folder = change.folder() == folder;
            if is_of_folder {
                change.apply(durable);
            }
            !is_of_folder
        });
    }

    pub(super) fn contents(&self, file: usize) -> &[u8] {
        self.files.get(file).map_or(&[], |file| &file.seen)
    }

    pub(super) fn write(&mut self, file: usize, at: usize, bytes: &[u8]) {
        self.change(file, Change::Write { at, bytes: bytes.to_vec() });
    }

    pub(super) fn set_length(&mut self, file: usize, length: usize) {
        self.change(file, Change::Length(length));
    }

    fn change(&mut self, file: usize, change: Change) {
        if let Some(file) = self.files.get_mut(file) {
            change.apply(&mut file.seen);
            file.pending.push(change);
        }
    }

    pub(super) fn sync(&mut self, file: usize) {
        if let Some(file) = self.files.get_mut(file) {
            for change in file.pending.drain(..) {
                change.apply(&mut file.durable);
            }
        }
    }

    /// A sync that failed: what was pending is lost in part and counts as clean from now on.
    pub(super) fn fail_sync(&mut self, file: usize, choices: &mut Choices) {
        if let Some(file) = self.files.get_mut(file) {
            file.settle(choices);
        }
    }

    /// The power goes.
    pub(super) fn crash(&mut self, choices: &mut Choices) {
        self.files.iter_mut().filter(|file| !file.pending.is_empty()).for_each(|file| file.settle(choices));
        for change in std::mem::take(&mut self.pending_names) {
            if choices.either() {
                change.apply(&mut self.durable_names);
            }
        }
        self.names.clone_from(&self.durable_names);
    }

    /// Puts bytes where no disk would have done so.
    pub(super) fn put(&mut self, path: &Path, bytes: &[u8]) {
        let number = match self.entry(path) {
            Some(Entry::File(number)) => number,
            _ => self.make_file(path),
        };
        if let Some(file) = self.files.get_mut(number) {
            *file = FileState { durable: bytes.to_vec(), seen: bytes.to_vec(), pending: Vec::new() };
        }
        if let Some(name) = self.name(path) {
            self.durable_names.insert(name, Entry::File(number));
        }
    }
}

pub(super) const ROOT: Entry = Entry::Folder(0);
