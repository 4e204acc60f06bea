//! A segment's file opened a second time, for reading past the page cache.
//!
//! Contract: whoever reads through it uses offsets, lengths and addresses that are multiples of a block. Where the file
//! system does not take such reads, or wants more than a block's alignment, it is an ordinary descriptor, and says so.

#![expect(unsafe_code, reason = "asks the kernel for alignments; the contract is above")]

use std::{
    fs::File,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::{FileExt as _, OpenOptionsExt as _},
    },
    path::Path,
    sync::Arc,
};

use crate::{disk::AlignedBuffer, error::Error, limits::BLOCK_BYTES};

/// The descriptor that cold reads go to.
#[derive(Debug)]
pub(crate) struct Direct {
    pub(crate) file: Arc<OwnedFd>,
    /// Whether reads pass the page cache by.
    pub(crate) is_direct: bool,
}

impl Direct {
    /// Opens `path`, which is `mapped` already.
    pub(super) fn open(mapped: &File, path: &Path) -> Result<Self, Error> {
        let opened = File::options().read(true).custom_flags(libc::O_DIRECT).open(path);
        match opened {
            Ok(file) if takes_blocks(&file) => Ok(Self { file: Arc::new(file.into()), is_direct: true }),
            _ => {
                let file = mapped.try_clone().map_err(|source| Error::io("open", path, source))?;
                Ok(Self { file: Arc::new(file.into()), is_direct: false })
            }
        }
    }

    /// The descriptor as a file of its own, for reading on this thread.
    pub(crate) fn to_file(&self) -> io::Result<File> {
        self.file.try_clone().map(File::from)
    }
}

/// Whether reads of whole blocks at multiples of a block will be taken.
fn takes_blocks(file: &File) -> bool {
    match alignments(file) {
        Some(alignments) => alignments.iter().all(|&bytes| bytes != 0 && BLOCK_BYTES.is_multiple_of(bytes as usize)),
        // Not known: older kernels, and file systems that do not tell.
        None => file.read_exact_at(AlignedBuffer::new(BLOCK_BYTES).bytes_mut(), 0).is_ok(),
    }
}

/// What the file system asks of addresses and of offsets; zero where it takes no such reads.
fn alignments(file: &File) -> Option<[u32; 2]> {
    let mut told = MaybeUninit::<libc::statx>::zeroed();
    let flags = libc::AT_EMPTY_PATH;
    // SAFETY: the path is empty and ends in a zero; the kernel fills what `told` points to, which is as large as it must be.
    let done = unsafe { libc::statx(file.as_raw_fd(), c"".as_ptr(), flags, libc::STATX_DIOALIGN, told.as_mut_ptr()) };
    // SAFETY: all-zero bytes are a valid `statx`, whether the kernel filled it or not.
    let told = unsafe { told.assume_init() };
    let known = done == 0 && told.stx_mask & libc::STATX_DIOALIGN != 0;
    known.then_some([told.stx_dio_mem_align, told.stx_dio_offset_align])
}
