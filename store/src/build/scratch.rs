//! A build's folder for runs: made when first needed, gone with the build. Of a killed build, garbage collection removes it.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{
    directory::{
        TEMPORARY,
        disk::{self, Disk, DiskFile, failed},
    },
    disk::Access,
    error::Error,
};

/// Makes the files of one build.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: Arc<Folder>,
    files: AtomicU64,
}

/// The folder, for as long as any of its files.
#[derive(Debug)]
struct Folder {
    root: PathBuf,
    /// Relative to the root.
    below: PathBuf,
    disk: Arc<dyn Disk>,
    is_made: Mutex<bool>,
}

impl Scratch {
    pub(super) fn new(root: &Path, disk: Arc<dyn Disk>) -> Self {
        let below = Path::new(TEMPORARY).join(format!("build-{:016x}", disk::random()));
        let folder = Folder { root: root.to_owned(), below, disk, is_made: Mutex::new(false) };
        Self { folder: Arc::new(folder), files: AtomicU64::new(0) }
    }

    /// A new file.
    pub(super) fn create(&self) -> Result<(ScratchFile, Box<dyn DiskFile>), Error> {
        let folder = &self.folder;
        folder.make()?;
        let name = format!("{:06}.run", self.files.fetch_add(1, Relaxed));
        let path = folder.root.join(&folder.below).join(name);
        let open = folder.disk.create(&path, Access::Buffered).map_err(|source| failed("create", &path, source))?;
        Ok((ScratchFile { path, folder: Arc::clone(folder) }, open))
    }
}

impl Folder {
    fn make(&self) -> Result<(), Error> {
        let mut is_made = self.is_made.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_made {
            disk::create_folders(self.disk.as_ref(), &self.root, &self.below)?;
            *is_made = true;
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if *self.is_made.get_mut().unwrap_or_else(PoisonError::into_inner) {
            // Empty by now, unless removing a file failed; garbage collection takes what stays.
            let _ = self.disk.remove_folder(&self.root.join(&self.below));
        }
    }
}

/// A file's name; the file goes with it.
#[derive(Debug)]
pub(super) struct ScratchFile {
    path: PathBuf,
    folder: Arc<Folder>,
}

impl ScratchFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        let _ = self.folder.disk.remove_file(&self.path); // garbage collection takes what stays
    }
}
