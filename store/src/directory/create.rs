//! Making and opening a data directory.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::error::{Corrupt, Error};

use super::{
    disk::{self, Disk, SystemDisk, failed},
    lock::{Building, WriterLock},
    publish,
};

/// A data directory, open. Cheap to open; holds nothing but its path.
#[derive(Debug, Clone)]
pub struct DataDirectory {
    pub(super) root: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
}

impl DataDirectory {
    /// Opens a data directory that [`Self::create`] made.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_on(root.as_ref(), Arc::new(SystemDisk))
    }

    /// Makes a data directory, readable by its owner only, in a folder that is missing or empty. One that is already a data
    /// directory is opened; one whose creation was interrupted is completed; any other folder is refused.
    pub fn create(root: impl AsRef<Path>) -> Result<Self, Error> {
        Self::create_on(root.as_ref(), Arc::new(SystemDisk))
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Becomes the one writer. Fails at once, naming the holder, when there is another.
    pub fn lock(&self) -> Result<WriterLock, Error> {
        WriterLock::take(self.disk.as_ref(), &self.root)
    }

    /// To be held by whoever builds segments without being the one writer, from before the first is made until they are published.
    pub fn building(&self) -> Result<Building, Error> {
        Building::share(self.disk.as_ref(), &self.root)
    }

    pub(super) fn open_on(root: &Path, disk: Arc<dyn Disk>) -> Result<Self, Error> {
        let marker = root.join(VERSION);
        let Some(text) = disk::read(disk.as_ref(), &marker)? else {
            let reason = if root.is_dir() { "it has no file VERSION" } else { "there is no such folder" };
            return Err(Error::NotADataDirectory { folder: root.to_owned(), reason: reason.to_owned() });
        };
        let text = String::from_utf8_lossy(&text);
        if text != MARKER {
            let version = text.strip_prefix(MARKER_START).and_then(|rest| rest.strip_suffix('\n'));
            let file = marker.display().to_string();
            return Err(match version.and_then(|version| version.parse().ok()) {
                Some(found) => Error::Unsupported { file, what: "layout version", found, supported: LAYOUT_VERSION },
                None => Error::Corrupt(Corrupt {
                    file,
                    offset: 0,
                    expected: MARKER.trim_end().to_owned(),
                    found: text.chars().take(64).collect(),
                }),
            });
        }
        Ok(Self { root: root.to_owned(), disk })
    }

    pub(crate) fn create_on(root: &Path, disk: Arc<dyn Disk>) -> Result<Self, Error> {
        match disk.create_folder(root) {
            Ok(()) => {}
            Err(source) if source.kind() == ErrorKind::AlreadyExists => {
                if disk::read(disk.as_ref(), &root.join(VERSION))?.is_some() {
                    return Self::open_on(root, disk);
                }
                refuse_foreign(disk.as_ref(), root)?;
                disk.restrict_folder(root).map_err(|source| failed("restrict to its owner", root, source))?;
            }
            Err(source) => return Err(failed("create the folder", root, source)),
        }
        for folder in FOLDERS {
            disk::create_folders(disk.as_ref(), root, Path::new(folder))?;
        }
        publish::point_at_nothing(disk.as_ref(), root)?;
        if let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            disk::sync_folder(disk.as_ref(), parent)?;
        }
        // Last: with the marker there, everything else is there, the folder's own name, too.
        disk::replace(disk.as_ref(), root, VERSION, MARKER.as_bytes())?;
        Self::open_on(root, disk)
    }
}

/// A folder with anything in it that an interrupted creation cannot have left is somebody else's.
fn refuse_foreign(disk: &dyn Disk, root: &Path) -> Result<(), Error> {
    for entry in disk::list(disk, root)? {
        let ours = FOLDERS.contains(&entry.name.as_str())
            || entry.name == publish::CURRENT
            || entry.name == "lost+found" // a file system of its own has this
            || disk::temporary_owner(&entry.name).is_some();
        if !ours {
            let reason =
                format!("it holds {} and has no file VERSION; give a folder that is missing or empty", entry.name);
            return Err(Error::NotADataDirectory { folder: root.to_owned(), reason });
        }
    }
    Ok(())
}

/// Of the directory's layout as a whole; what the files hold has versions of its own.
const LAYOUT_VERSION: u32 = 1;
const VERSION: &str = "VERSION";
const MARKER_START: &str = "gannet data directory, layout ";
const MARKER: &str = "gannet data directory, layout 1\n";
pub(super) const MANIFESTS: &str = "manifests";
pub(crate) const SEGMENTS: &str = "segments";
pub(super) const DEFINITIONS: &str = "definitions";
pub(crate) const TEMPORARY: &str = "tmp";
const FOLDERS: [&str; 4] = [MANIFESTS, SEGMENTS, DEFINITIONS, TEMPORARY];
