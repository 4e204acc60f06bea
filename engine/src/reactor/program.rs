//! The program's own pages: what the kernel mapped of the binary and its libraries.
//!
//! Contract: reads and locks pages of this process, and changes none. Not for a serving core: it waits for the disk.
//!
//! Why: code is mapped from a file like any table, and when memory is short the kernel takes its pages back. A core that then
//! runs into one waits for the disk, with all its connections. It is some 16 MiB, and there is no second way to read code.

use std::{
    io,
    ops::Range,
    ptr::{self, NonNull},
};

/// What [`keep_program_in_memory`] came to.
#[derive(Debug, Default)]
pub struct ProgramMemory {
    /// In memory now.
    pub bytes: usize,
    /// Why not all of it is locked there, if it was to be. It is in memory, and the kernel may take it back.
    pub lock_refused: Option<io::Error>,
}

/// Reads the program and its libraries into memory and, if `lock`, keeps them there. Before serving: later, pages that were
/// never used would be read by the first request that needs them.
pub fn keep_program_in_memory(lock: bool) -> ProgramMemory {
    let mut kept = ProgramMemory::default();
    for range in loaded() {
        keep(&range, lock, &mut kept);
    }
    kept
}

fn keep(range: &Range<usize>, lock: bool, kept: &mut ProgramMemory) {
    let (start, length) = (ptr::without_provenance_mut(range.start), range.len());
    if lock && kept.lock_refused.is_none() {
        // SAFETY: locking changes where pages are, not what they hold, whatever the address; it reads them in, too.
        if unsafe { libc::mlock(start, length) } == 0 {
            kept.bytes += length;
            return;
        }
        kept.lock_refused = Some(io::Error::last_os_error());
    }
    // SAFETY: reading in changes where pages are, not what they hold, whatever the address.
    if unsafe { libc::madvise(start, length, libc::MADV_POPULATE_READ) } == 0 {
        kept.bytes += length;
    }
}

/// What of the binary and of each library is loaded, in whole pages.
fn loaded() -> Vec<Range<usize>> {
    let mut loaded: Vec<Range<usize>> = Vec::new();
    // SAFETY: the callback takes what it is called with here: the list, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(add_loaded), (&raw mut loaded).cast()) };
    loaded
}

/// # Safety
/// As `dl_iterate_phdr` calls it, with a `Vec<Range<usize>>` behind `list` that nobody else uses meanwhile.
unsafe extern "C" fn add_loaded(
    info: *mut libc::dl_phdr_info,
    _: libc::size_t,
    list: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the loader describes one object, and goes on describing it until we return.
    let info = unsafe { &*info };
    // SAFETY: the caller's promise.
    let list = unsafe { &mut *list.cast::<Vec<Range<usize>>>() };
    let headers = NonNull::new(info.dlpi_phdr.cast_mut()).unwrap_or(NonNull::dangling());
    // SAFETY: the loader says how many headers there are; if there are none the pointer may dangle.
    let headers = unsafe { std::slice::from_raw_parts(headers.as_ptr(), usize::from(info.dlpi_phnum)) };
    for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD) {
        let at = |address: u64| usize::try_from(info.dlpi_addr.wrapping_add(address)).unwrap_or(usize::MAX);
        let start = at(header.p_vaddr) / PAGE_BYTES * PAGE_BYTES;
        let end = at(header.p_vaddr.wrapping_add(header.p_memsz)).next_multiple_of(PAGE_BYTES);
        list.push(start..end.max(start));
    }
    0
}

const PAGE_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_function_is_in_what_is_loaded_and_brought_in() {
        let here = (keep as fn(&Range<usize>, bool, &mut ProgramMemory)) as usize;
        let code = loaded().into_iter().find(|range| range.contains(&here)).expect("the test binary is loaded");
        let kept = keep_program_in_memory(false);
        assert!(kept.bytes >= code.len(), "{kept:?}");
        let mut pages = vec![0_u8; code.len() / PAGE_BYTES];
        let start = ptr::without_provenance_mut(code.start);
        // SAFETY: one byte is written for each page of a loaded range, and there are as many.
        assert_eq!(unsafe { libc::mincore(start, code.len(), pages.as_mut_ptr()) }, 0);
        assert!(pages.iter().all(|page| page & 1 == 1));
    }

    #[test]
    fn what_may_not_be_locked_is_in_memory_all_the_same() {
        let mut kept = ProgramMemory { bytes: 0, lock_refused: Some(io::Error::from_raw_os_error(libc::ENOMEM)) };
        let all = loaded();
        for range in &all {
            keep(range, true, &mut kept);
        }
        assert!(kept.bytes > 0 && kept.lock_refused.is_some());
    }
}
