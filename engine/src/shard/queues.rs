//! Reads on their way to the ring. Each file has a queue of its own for each size, so that one whose disk does not answer holds up
//! no other, and large reads no small ones.

use std::collections::VecDeque;

use crate::{limits, reactor::reads::Size, service::Read};

/// All reads of one shard that have no buffer yet.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// Wanted since the last turn.
    pub(super) wanted: Vec<Read>,
    queues: Vec<Queue>,
}

#[derive(Debug)]
struct Queue {
    file_id: usize,
    size: Size,
    reads: VecDeque<Read>,
}

/// What became of a read that was offered a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offered {
    /// It has one, or none is needed.
    Done,
    /// Its file has its share. A buffer comes back with a completion, and with it the next turn.
    NoBuffer,
}

impl Reads {
    pub(super) fn queue(&mut self, read: Read) {
        let (file_id, size) = (read.file_id(), read.size());
        match self.queues.iter_mut().find(|queue| (queue.file_id, queue.size) == (file_id, size)) {
            Some(queue) => queue.reads.push_back(read),
            None => self.queues.push(Queue { file_id, size, reads: VecDeque::from([read]) }),
        }
    }

    /// Offers buffers to all that queue, until each file is refused one.
    pub(super) fn offer(&mut self, mut offer: impl FnMut(&Read) -> Offered) {
        for Queue { reads, .. } in &mut self.queues {
            while let Some(read) = reads.front()
                && offer(read) == Offered::Done
            {
                reads.pop_front();
            }
        }
        if self.queues.len() > QUEUES_KEPT {
            self.queues.retain(|queue| !queue.reads.is_empty());
        }
    }

    /// Takes out those that nobody wants any more, behind others that are wanted, if many queue.
    pub(super) fn thin_out(&mut self, wants: impl Fn(&Read) -> bool) {
        if self.queued() > limits::READS_QUEUED_KEPT {
            self.queues.iter_mut().for_each(|queue| queue.reads.retain(&wants));
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.queues.iter().map(|queue| queue.reads.len()).sum()
    }
}

/// So many keep their memory when they are empty: a read that need not wait then allocates nothing.
const QUEUES_KEPT: usize = 64;

#[cfg(test)]
mod tests {
    use std::{os::fd::OwnedFd, sync::Arc};

    use super::*;

    fn read(file: &Arc<OwnedFd>, length: u32, tag: u64) -> Read {
        Read { file: Arc::clone(file), offset: 0, length, tag, delay_ns: 0 }
    }

    fn file() -> Arc<OwnedFd> {
        Arc::new(std::io::pipe().unwrap().0.into()) // any descriptor will do: nothing is read
    }

    #[test]
    fn who_is_refused_holds_up_nobody_else() {
        let (mut reads, hung, good) = (Reads::default(), file(), file());
        for (tag, (file, length)) in
            (0..).zip([(&hung, 4096), (&good, 4096), (&hung, 65536), (&hung, 4096), (&good, 4096)])
        {
            reads.queue(read(file, length, tag));
        }
        let mut offered = Vec::new();
        reads.offer(|read| {
            offered.push(read.tag);
            let is_refused = read.file_id() == Arc::as_ptr(&hung).addr() && read.size() == Size::Small;
            if is_refused { Offered::NoBuffer } else { Offered::Done }
        });
        assert_eq!((offered, reads.queued()), (vec![0, 1, 4, 2], 2));
        reads.offer(|_| Offered::Done);
        assert_eq!(reads.queued(), 0);
    }

    #[test]
    fn many_files_leave_nothing_behind() {
        let (mut reads, files) =
            (Reads::default(), std::iter::repeat_with(file).take(QUEUES_KEPT + 1).collect::<Vec<_>>());
        for file in &files {
            reads.queue(read(file, 4096, 0));
        }
        reads.offer(|read| if Arc::ptr_eq(&read.file, &files[7]) { Offered::NoBuffer } else { Offered::Done });
        assert_eq!((reads.queues.len(), reads.queued()), (1, 1));
    }

    #[test]
    fn what_nobody_wants_is_taken_out_once_many_queue() {
        let (mut reads, file) = (Reads::default(), file());
        let many = limits::READS_QUEUED_KEPT as u64;
        let is_even = |read: &Read| read.tag.is_multiple_of(2);
        (0..many).for_each(|tag| reads.queue(read(&file, 4096, tag)));
        reads.thin_out(is_even);
        assert_eq!(reads.queued() as u64, many);
        reads.queue(read(&file, 65536, many + 1));
        reads.thin_out(is_even);
        assert_eq!(reads.queued() as u64, many / 2);
    }
}
