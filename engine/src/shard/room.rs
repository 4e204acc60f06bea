//! Memory for input that cannot be taken up yet: how much of it the connections of a core keep, and may.
//!
//! What a buffer has room for counts, and not what is in it, so that the bound is one of memory. The first few KiB of each connection do not
//! count: an ordinary request that comes in two parts is kept whatever others keep, and connections are bounded themselves.

use crate::limits::POOLED_BUFFER_BYTES;

#[derive(Debug)]
pub(super) struct Room {
    bytes: usize,
    bytes_max: usize,
}

impl Room {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes: 0, bytes_max }
    }

    /// What is kept, beyond the first few KiB of each connection.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A buffer for the input of a connection that has kept none, from the pool unless what lies there is too large.
    pub(super) fn take(&mut self, pool: &mut Vec<Vec<u8>>) -> Vec<u8> {
        let left = self.bytes_max.saturating_sub(self.bytes);
        let pooled = pool.pop_if(|buffer| counted(buffer.capacity()) <= left);
        let buffer = pooled.unwrap_or_else(|| Vec::with_capacity(POOLED_BUFFER_BYTES));
        self.bytes += counted(buffer.capacity());
        buffer
    }

    /// Makes a buffer large enough for `more`: twice as large as it was, but not beyond `typical_max` unless it must be. False, and nothing
    /// done, if there is no room for that.
    #[must_use]
    pub(super) fn grow(&mut self, buffer: &mut Vec<u8>, more: usize, typical_max: usize) -> bool {
        let (now, needed) = (buffer.capacity(), buffer.len() + more);
        if needed <= now {
            return true;
        }
        let grown = needed.max((2 * now).min(typical_max));
        if self.bytes - counted(now) + counted(grown) > self.bytes_max {
            return false;
        }
        buffer.reserve_exact(grown - buffer.len());
        self.bytes = self.bytes - counted(now) + counted(buffer.capacity());
        true
    }

    /// A buffer is kept no longer.
    pub(super) fn let_go(&mut self, buffer: &Vec<u8>) {
        self.bytes -= counted(buffer.capacity());
    }
}

fn counted(capacity: usize) -> usize {
    capacity.saturating_sub(POOLED_BUFFER_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    #[test]
    fn what_is_kept_never_takes_more_than_it_may() {
        let (mut room, mut pool) = (Room::new(100 * KIB), Vec::new());
        let mut buffers: Vec<Vec<u8>> = (0..100).map(|_| room.take(&mut pool)).collect();
        assert_eq!(room.bytes(), 0, "the first few KiB of each are free");
        let mut refused = 0;
        for turn in 0..30 {
            for buffer in &mut buffers {
                if room.grow(buffer, KIB, 64 * KIB) {
                    let bytes = buffer.len() + KIB;
                    buffer.resize(bytes, 0);
                } else {
                    refused += 1;
                    assert!(turn >= 4 && buffer.len() >= POOLED_BUFFER_BYTES, "{turn}");
                }
            }
            let kept: usize = buffers.iter().map(|buffer| counted(buffer.capacity())).sum();
            assert_eq!(room.bytes(), kept);
            assert!(kept <= 100 * KIB, "{kept}");
        }
        assert!(refused > 2000, "{refused}");
        buffers.iter().for_each(|buffer| room.let_go(buffer));
        assert_eq!(room.bytes(), 0);
    }

    #[test]
    fn a_buffer_grows_by_doubling_and_not_far_beyond_what_a_message_takes() {
        let (mut room, mut pool) = (Room::new(1024 * KIB), vec![Vec::with_capacity(8 * KIB)]);
        let mut buffer = room.take(&mut pool);
        assert_eq!((buffer.capacity(), room.bytes()), (8 * KIB, 4 * KIB), "the pool's");
        let mut check = |more, capacity| {
            assert!(room.grow(&mut buffer, more, 50 * KIB));
            buffer.resize(buffer.len() + more, 0);
            assert_eq!(buffer.capacity(), capacity);
        };
        check(8 * KIB, 8 * KIB);
        check(1, 16 * KIB);
        check(24 * KIB, 32 * KIB + 1);
        check(KIB, 50 * KIB);
        check(20 * KIB, 53 * KIB + 1);
    }

    #[test]
    fn a_pooled_buffer_that_does_not_fit_is_left_where_it_is() {
        let (mut room, mut pool) = (Room::new(8 * KIB), vec![Vec::with_capacity(64 * KIB)]);
        assert_eq!(room.take(&mut pool).capacity(), POOLED_BUFFER_BYTES);
        assert_eq!((pool.len(), room.bytes()), (1, 0));
    }
}
