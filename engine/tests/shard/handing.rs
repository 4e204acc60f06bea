//! A service whose requests another thread makes ready: each is handed over, and the shard is woken when it comes back.
//!
//! `/hand/<until_us>/<word>`: `back` comes back at once, `never` does not, `together` waits until `release` is handed over. Everything
//! else is answered at once.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
    mpsc::{Receiver, Sender, channel},
};

use gannet_engine::{
    Answer, Asked, Finished, Form, Now, Read, Service, Ticket, Waiting,
    admission::Criticality,
    http::{Head, Request, Status},
    server::Waker,
};

/// What goes to the other thread and comes back: place and generation, and what is asked.
type Item = (u32, u32, String);

#[derive(Debug)]
enum Asking {
    Now(Vec<u8>),
    Hand { until_us: u64, word: String, seen_ns: u64 },
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    taken: bool,
    is_back: bool,
}

#[derive(Debug)]
pub(crate) struct Handing {
    out: Sender<Item>,
    back: Receiver<(u32, u32)>,
    asked: Vec<Asking>,
    places: Vec<Place>,
    /// What came back when nobody waited any more.
    late: Arc<AtomicU64>,
}

impl Handing {
    pub(crate) fn new(waker: Waker, late: Arc<AtomicU64>) -> Self {
        let (out, items) = channel();
        let (give, back) = channel();
        std::thread::spawn(move || answer(&items, &give, &waker));
        Self { out, back, asked: Vec::new(), places: Vec::new(), late }
    }

    fn release(&mut self, waiting: Waiting) {
        let place = &mut self.places[waiting.0 as usize];
        assert!(place.taken, "released once");
        *place = Place { generation: place.generation + 1, ..Place::default() };
    }
}

/// The other thread, until the service goes.
fn answer(items: &Receiver<Item>, give: &Sender<(u32, u32)>, waker: &Waker) {
    let mut together = Vec::new();
    while let Ok((place, generation, word)) = items.recv() {
        match word.as_str() {
            "never" => continue,
            "together" => {
                together.push((place, generation));
                continue;
            }
            _ => together.push((place, generation)),
        }
        for back in together.drain(..).rev() {
            if give.send(back).is_err() {
                return;
            }
        }
        waker.wake(); // once for all that came back
    }
}

impl Service for Handing {
    fn turn(&mut self, _: Now) {
        assert!(self.asked.is_empty());
    }

    fn begin(&mut self, _: Now, request: Request<'_>) -> Ticket {
        let path = std::str::from_utf8(request.head.path).unwrap();
        let mut parts = path.split('/').skip(1);
        self.asked.push(match (parts.next(), parts.next(), parts.next()) {
            (Some("hand"), Some(until), Some(word)) => {
                Asking::Hand { until_us: until.parse().unwrap(), word: word.to_owned(), seen_ns: request.seen_ns }
            }
            _ => Asking::Now(request.body.to_vec()),
        });
        Ticket(u32::try_from(self.asked.len() - 1).unwrap())
    }

    fn asks(&mut self, _: Now, _: &Head<'_>) -> Asked {
        Asked::Features { criticality: Criticality::Default, budget_ns: None }
    }

    fn overloaded(&mut self, _: Now, _: Form, body: &mut Vec<u8>) {
        body.extend_from_slice(b"overloaded");
    }

    fn refuse_early(&mut self, _: Now, _: &Head<'_>) -> Option<Ticket> {
        None
    }

    fn gather(&mut self, _: Now) {}

    fn finish(&mut self, _: Now, ticket: Ticket, body: &mut Vec<u8>) -> Finished {
        let (until_us, word, seen_ns) = match &self.asked[ticket.0 as usize] {
            Asking::Now(bytes) => {
                body.extend_from_slice(bytes);
                return Finished::Answer(Answer::json(Status::OK));
            }
            Asking::Hand { until_us, word, seen_ns } => (*until_us, word.clone(), *seen_ns),
        };
        let place = self.places.iter().position(|place| !place.taken).unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() - 1
        });
        self.places[place].taken = true;
        let waiting = Waiting(u32::try_from(place).unwrap());
        // It may be back before this request is set aside.
        self.out.send((waiting.0, self.places[place].generation, word)).unwrap();
        Finished::Waits { waiting, until_ns: seen_ns + until_us * 1000 }
    }

    fn ready(&mut self, _: Now, due: &mut Vec<Waiting>) {
        while let Ok((place, generation)) = self.back.try_recv() {
            let held = &mut self.places[place as usize];
            if held.taken && held.generation == generation {
                held.is_back = true;
                due.push(Waiting(place));
            } else {
                self.late.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn take_reads(&mut self, _: &mut Vec<Read>) {}

    fn wants(&self, _: u64) -> bool {
        false
    }

    fn read_over(&mut self, _: Now, _: u64, _: Result<&[u8], i32>) -> Option<Waiting> {
        None
    }

    fn conclude(&mut self, _: Now, waiting: Waiting, body: &mut Vec<u8>) -> Answer {
        body.extend_from_slice(if self.places[waiting.0 as usize].is_back { b"back" } else { b"late" });
        self.release(waiting);
        Answer::json(Status::OK)
    }

    fn abandon(&mut self, waiting: Waiting) {
        self.release(waiting);
    }

    fn turned(&mut self, _: Now) {
        self.asked.clear();
    }

    fn tick(&mut self, _: Now) {}
}
