//! The real disk.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use rustix::fs::{Advice, FallocateFlags, OFlags, fadvise, fallocate, fcntl_setfl};

use super::{
    Access, AlignedBuffer, Disk, DiskFile, HeldLock, Hold, Listed,
    lock::{FileLock, FolderLock},
};
use crate::{error::Error, limits::BLOCK_BYTES};

/// The operating system's.
#[derive(Debug, Clone, Copy)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(folder)
    }

    fn restrict_folder(&self, folder: &Path) -> io::Result<()> {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
    }

    fn create(&self, file: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(SystemFile::open(OpenOptions::new().create_new(true).mode(0o600), file, access)?))
    }

    fn open(&self, file: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let open = SystemFile::open(&mut OpenOptions::new(), file, access)?;
        // Where an earlier sync failed, the page cache may hold bytes that the disk does not, marked as clean. What is dirty is
        // written, and everything dropped, so that what is read came from the disk.
        open.file.sync_data()?;
        fadvise(&open.file, 0, None, Advice::DontNeed)?;
        Ok(Box::new(open))
    }

    fn read(&self, file: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(file)?.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, file: &Path) -> io::Result<()> {
        fs::remove_file(file)
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        fs::remove_dir(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        let mut listed = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(source) if source.kind() == ErrorKind::NotFound => continue, // renamed or removed meanwhile
                Err(source) => return Err(source),
            };
            if let Ok(name) = entry.file_name().into_string() {
                listed.push(Listed { name, is_folder: metadata.is_dir(), bytes: metadata.len() });
            }
        }
        listed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    fn lock(&self, file: &Path) -> Result<Box<dyn HeldLock>, Error> {
        Ok(Box::new(FileLock::take(file)?))
    }

    fn lock_folder(&self, folder: &Path, hold: Hold) -> Result<Box<dyn HeldLock>, Error> {
        Ok(Box::new(FolderLock::take(folder, hold)?))
    }
}

#[derive(Debug)]
struct SystemFile {
    file: File,
    /// Whether the descriptor passes the page cache by. Some file systems say only at the first access that they cannot.
    is_direct: AtomicBool,
}

impl SystemFile {
    fn open(options: &mut OpenOptions, path: &Path, access: Access) -> io::Result<Self> {
        options.read(true).write(true);
        if access == Access::Direct {
            let flags = OFlags::DIRECT.bits().cast_signed();
            match options.clone().custom_flags(flags).open(path) {
                Ok(file) => return Ok(Self { file, is_direct: AtomicBool::new(true) }),
                // With `create_new` the file may be there by now.
                Err(source) if source.kind() == ErrorKind::InvalidInput => {
                    options.create_new(false).create(true);
                }
                Err(source) => return Err(source),
            }
        }
        Ok(Self { file: options.open(path)?, is_direct: AtomicBool::new(false) })
    }

    /// Tries `access`, and once more through the page cache when a direct one is refused for its form, not for a failure.
    fn or_buffered<T>(&self, mut access: impl FnMut(&File) -> io::Result<T>) -> io::Result<T> {
        match access(&self.file) {
            Err(source) if source.kind() == ErrorKind::InvalidInput && self.is_direct.load(Relaxed) => {
                fcntl_setfl(&self.file, OFlags::empty())?;
                self.is_direct.store(false, Relaxed);
                access(&self.file)
            }
            done => done,
        }
    }
}

impl DiskFile for SystemFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let mut filled = 0;
        loop {
            let rest = bytes.get_mut(filled..).unwrap_or_default();
            match self.or_buffered(|file| file.read_at(rest, at + filled as u64)) {
                Ok(0) => return Ok(filled),
                // A direct read that ends within a block met the end of the file.
                Ok(more) if !more.is_multiple_of(BLOCK_BYTES) && self.is_direct.load(Relaxed) => {
                    return Ok(filled + more);
                }
                Ok(more) => filled += more,
                Err(source) if source.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(source),
            }
        }
    }

    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        if !self.is_direct.load(Relaxed) {
            return self.file.write_all_at(bytes, at);
        }
        // What is left of a direct write that was cut short is not aligned any more, and being cut short is a failure.
        let written = self.or_buffered(|file| match file.write_at(bytes, at) {
            Err(source) if source.kind() == ErrorKind::Interrupted => file.write_at(bytes, at),
            done => done,
        })?;
        if written == bytes.len() {
            return Ok(());
        }
        Err(io::Error::new(ErrorKind::WriteZero, format!("{written} of {} bytes were written", bytes.len())))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        match fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
            // File systems without it take the space when the zeros are written.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
            Err(source) => return Err(source.into()),
        }
        // Space that was only reserved costs a commit of the file system's journal with the sync after its first write.
        let zeros = AlignedBuffer::new(ZEROS_BYTES);
        let mut at = 0;
        while at < bytes {
            let length = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(ZEROS_BYTES);
            self.write_at(zeros.bytes().get(..length).unwrap_or_default(), at)?;
            at += length as u64;
        }
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }
}

/// Makes the calling thread so much nicer, or less nice, which needs a privilege.
pub(crate) fn change_nice(by: i32) {
    let _ = rustix::process::nice(by); // refused or not, it goes on
}

const ZEROS_BYTES: usize = 1 << 20;
