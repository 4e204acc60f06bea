//! What is asked: streams of requests, each with its keys and its bytes. Never when (that is `pacing`), never how it is
//! carried (that is `transport`).

pub(crate) mod keys;
pub(crate) mod request;
pub(crate) mod varied;

use fastrand::Rng;

use keys::Keys;
use request::Template;
use varied::Fill;

/// One class of traffic, recorded apart from the others.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) weight: f64,
    pub(crate) keys: Keys,
    /// Share of requests for keys that lie beyond the key space, so that no such key exists.
    pub(crate) absent: f64,
    pub(crate) template: Template,
    /// Which connections it uses: see [`crate::settings::Settings::pools`].
    pub(crate) pool: usize,
}

/// All streams, and the dice that choose among them.
#[derive(Debug)]
pub(crate) struct Workload {
    streams: Vec<Stream>,
    /// The running sum of weights, each as a share of all.
    upto: Vec<f64>,
    choosing: Rng,
    keys: Rng,
    /// For what stands in a request beside its key.
    filling: Rng,
    /// How many `{counter}` have been written.
    counted: u64,
}

impl Workload {
    pub(crate) fn new(streams: Vec<Stream>, seed: u64) -> Self {
        let all: f64 = streams.iter().map(|s| s.weight).sum();
        let mut sum = 0.0;
        let upto = streams.iter().map(|s| {
            sum += s.weight;
            sum / all
        });
        // Generators of their own: another mix of streams does not change which keys a stream of one is asked for.
        Self {
            upto: upto.collect(),
            streams,
            choosing: Rng::with_seed(seed.wrapping_add(1)),
            keys: Rng::with_seed(seed.wrapping_add(2)),
            filling: Rng::with_seed(seed.wrapping_add(3)),
            counted: 0,
        }
    }

    /// The next request: which stream, and which key.
    pub(crate) fn draw(&mut self) -> (u16, u64) {
        let stream = if self.streams.len() == 1 { 0 } else { self.choose() };
        let Stream { keys, absent, .. } = &self.streams[stream];
        let key = if *absent > 0.0 && self.keys.f64() < *absent {
            keys.count() + self.keys.u64(0..keys.count())
        } else {
            keys.draw(&mut self.keys)
        };
        (u16::try_from(stream).unwrap_or(u16::MAX), key)
    }

    fn choose(&mut self) -> usize {
        let dice = self.choosing.f64();
        self.upto.iter().position(|upto| dice < *upto).unwrap_or(self.streams.len() - 1)
    }

    pub(crate) fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// Appends the bytes of a request that is sent at `unix_us`.
    pub(crate) fn render(&mut self, stream: u16, key: u64, unix_us: u64, out: &mut Vec<u8>) {
        let Stream { template, keys, .. } = &self.streams[usize::from(stream)];
        let fill = Fill { key, unix_us, keys, random: &mut self.filling, counter: &mut self.counted };
        template.render(fill, out);
    }
}
