//! When new connections find no descriptors or no memory: what is told of it, and how often. Shards log nothing; they count.

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Accepting stopped so many times since the last line.
    Gone { times: u64 },
    /// It has not for a while.
    Back,
}

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Starved {
    /// Of the count, how much was told.
    told: u64,
    /// The count at the last look, and when it last was another.
    seen: u64,
    rose_ns: u64,
    told_ns: Option<u64>,
    is_gone: bool,
}

impl Starved {
    /// `failed` is how often accepting stopped since the start.
    pub(super) fn look(&mut self, now_ns: u64, failed: u64) -> Option<Room> {
        if failed > self.seen {
            (self.seen, self.rose_ns) = (failed, now_ns);
        }
        let may_tell = self.told_ns.is_none_or(|told_ns| now_ns.saturating_sub(told_ns) >= TELL_EVERY_NS);
        if failed > self.told && may_tell {
            let times = failed - self.told;
            (self.told, self.told_ns, self.is_gone) = (failed, Some(now_ns), true);
            return Some(Room::Gone { times });
        }
        // A shard tries again every tenth of a second, so a second without a failure is no chance.
        if self.is_gone && failed == self.told && now_ns.saturating_sub(self.rose_ns) >= TELL_EVERY_NS {
            self.is_gone = false;
            return Some(Room::Back);
        }
        None
    }
}

/// At most one line in so long a time.
const TELL_EVERY_NS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_a_second_and_when_it_is_over() {
        let mut starved = Starved::default();
        let mut check = |ms: u64, failed, expected| {
            assert_eq!(starved.look(ms * 1_000_000, failed), expected, "{ms} ms");
        };
        check(0, 0, None);
        check(200, 1, Some(Room::Gone { times: 1 }));
        check(400, 3, None);
        check(1000, 9, None);
        check(1200, 11, Some(Room::Gone { times: 10 }));
        check(1400, 12, None);
        check(2200, 12, Some(Room::Gone { times: 1 }));
        check(2399, 12, None);
        check(2400, 12, Some(Room::Back));
        check(9000, 12, None);
        check(9200, 13, Some(Room::Gone { times: 1 }));
        check(10_200, 13, Some(Room::Back));
    }
}
