//! A core without sockets and without a service, in virtual time from a seed: requests come, some wait, reads end in time, late or never, and
//! connections go. Each answer leaves once, in order, and no later than its time is over.

use std::collections::BTreeMap;

use super::*;
use crate::deadlines::TICK_NS;

const US: u64 = 1000;
const CONNECTIONS: u32 = 8;
/// Added to the number of a request that is answered without what it waited for.
const LATE: u32 = 1 << 31;

#[derive(Debug)]
struct Asked {
    /// Tells it from others that have its place afterwards.
    id: u64,
    number: u32,
    until_ns: u64,
    /// When it is read.
    read_ns: u64,
}

#[derive(Default)]
struct Connection {
    answers: Answers,
    asked: u32,
    /// What must leave, and what has left.
    owed: Vec<u32>,
    left: Vec<u8>,
}

struct Core {
    now_ns: u64,
    aside: Aside,
    pool: Vec<Vec<u8>>,
    connections: Vec<Connection>,
    /// The service's places, and reads under way by when they end: of which place, for whom.
    places: Vec<Option<Asked>>,
    reads: BTreeMap<(u64, u64), u32>,
    ids: u64,
    late_reads: u32,
    seed: u64,
}

impl Core {
    fn new(seed: u64) -> Self {
        Self {
            now_ns: 12_345,
            aside: Aside::new(12_345),
            pool: Vec::new(),
            connections: (0..CONNECTIONS).map(|_| Connection::default()).collect(),
            places: Vec::new(),
            reads: BTreeMap::new(),
            ids: 0,
            late_reads: 0,
            seed,
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 16) % below
    }

    /// A request of a connection: a third is answered at once, the others read something for up to 3 ms and wait up to 2.
    fn ask(&mut self, slot: u32) {
        let (waits, read_ns, until_ns) = (self.random(3) > 0, self.random(3000) * US, self.random(2000) * US);
        let Self { now_ns, aside, pool, connections, places, reads, ids, .. } = self;
        let Connection { answers, asked, owed, .. } = &mut connections[slot as usize];
        let number = *asked;
        *asked += 1;
        if !waits {
            owed.push(number);
            return answers.next(pool).extend_from_slice(&number.to_le_bytes());
        }
        *ids += 1;
        let (id, read_ns, until_ns) = (*ids, *now_ns + read_ns, *now_ns + until_ns);
        let place = places.iter().position(Option::is_none).unwrap_or_else(|| {
            places.push(None);
            places.len() - 1
        });
        places[place] = Some(Asked { id, number, until_ns, read_ns });
        let waiting = Waiting(u32::try_from(place).unwrap());
        reads.insert((read_ns, id), waiting.0);
        let token = Token { slot, generation: 0 };
        let request = Parked { token, seen_ns: *now_ns, persistence: Persistence::CLOSE, head_only: false };
        aside.park(answers, waiting, until_ns, request);
    }

    /// Goes on to `to_ns`, from one moment to the next at which something happens.
    fn advance(&mut self, to_ns: u64) {
        loop {
            let read_ns = self.reads.first_key_value().map(|((at_ns, _), _)| *at_ns);
            let next_ns = self.aside.deadlines.next_ns().into_iter().chain(read_ns).min();
            let Some(at_ns) = next_ns.filter(|at_ns| *at_ns <= to_ns) else { break };
            self.now_ns = self.now_ns.max(at_ns);
            let (mut due, mut reminders) = (Vec::new(), Vec::new());
            while let Some(entry) = self.reads.first_entry().filter(|entry| entry.key().0 <= self.now_ns) {
                let ((_, id), place) = entry.remove_entry();
                match &self.places[place as usize] {
                    Some(asked) if asked.id == id => due.push(Waiting(place)),
                    _ => self.late_reads += 1, // for somebody who gave up, or went
                }
            }
            self.aside.deadlines.expire(self.now_ns, &mut reminders);
            due.extend(reminders.into_iter().map(|timer| match timer {
                Timer::Conclude(waiting) => waiting,
                other => panic!("{other:?} was not armed"),
            }));
            for waiting in due {
                self.conclude(waiting);
            }
        }
        self.now_ns = to_ns;
    }

    fn conclude(&mut self, waiting: Waiting) {
        let Some(parked) = self.aside.take(waiting) else {
            let asked = &self.places[waiting.0 as usize];
            return assert!(asked.is_none(), "{asked:?} is waiting and was not set aside");
        };
        let asked = self.places[waiting.0 as usize].take().expect("a request is concluded once");
        let is_read = asked.read_ns <= self.now_ns;
        assert!(is_read || asked.until_ns <= self.now_ns, "{asked:?} is concluded at {} for no reason", self.now_ns);
        assert!(self.now_ns <= asked.until_ns + TICK_NS, "{asked:?} is late at {}", self.now_ns);
        let told = asked.number | if is_read { 0 } else { LATE };
        let Connection { answers, owed, .. } = &mut self.connections[parked.token.slot as usize];
        owed.push(told);
        let place = answers.place_of(waiting).expect("its place is kept");
        answers.fill(place, &mut self.pool, |buffer| buffer.extend_from_slice(&told.to_le_bytes()));
    }

    /// What may leave does, and is what is owed, in order and without a gap.
    fn send(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        connection.left.append(&mut connection.answers.leave());
        let left = connection.left.chunks(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()));
        for (nth, told) in (0..).zip(left) {
            assert_eq!(told & !LATE, nth);
            assert!(connection.owed.contains(&told), "{told} was never told");
        }
    }

    /// A connection goes, whatever it still waits for, and another comes in its place.
    fn go(&mut self, slot: u32) {
        let Self { aside, pool, connections, places, .. } = self;
        let connection = std::mem::take(&mut connections[slot as usize]);
        let mut answers = connection.answers;
        let (expected, mut named) = (answers.waiting(), 0);
        let given_up = aside.give_up(&mut answers, pool, |waiting| {
            places[waiting.0 as usize].take().expect("a request is given up once");
            named += 1;
        });
        assert_eq!((given_up, named), (expected, expected));
        assert!(answers.none_waits() && answers.waiting() == 0);
    }
}

#[test]
fn every_answer_leaves_once_in_order_and_in_time() {
    for seed in 1..=20_u64 {
        let mut core = Core::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for step in 0..3000 {
            let after_ns = core.random(200) * US;
            core.advance(core.now_ns + after_ns);
            let slot = u32::try_from(core.random(u64::from(CONNECTIONS))).unwrap();
            for _ in 0..core.random(4) {
                core.ask(slot);
            }
            core.send(slot);
            if step % 50 == 49 {
                core.go(slot);
            }
            let waiting: usize = core.connections.iter().map(|connection| connection.answers.waiting()).sum();
            assert_eq!(core.aside.number(), waiting);
            assert_eq!(core.places.iter().flatten().count(), waiting);
        }
        core.advance(core.now_ns + 10_000 * US);
        assert_eq!((core.aside.number(), core.aside.deadlines.len(), core.aside.oldest_seen_ns()), (0, 0, None));
        assert!(core.late_reads > 100, "some reads come late: {}", core.late_reads);
        for slot in 0..CONNECTIONS {
            core.send(slot);
            let connection = &core.connections[slot as usize];
            assert_eq!(connection.left.len(), 4 * connection.asked as usize, "all was told");
            assert!(connection.answers.none_waits() && connection.answers.bytes() == 0);
        }
    }
}
