//! What the gate of a shard adds to a turn: of 64 requests, and of none.
//!
//! Goal: at most 20 ns a request. Not the goal: what it does to latency and goodput; that is simulated in its tests.

use std::sync::Arc;

use divan::{Bencher, black_box};
use gannet_engine::admission::{AdmissionConfig, Ask, Criticality, Decision, Gate, Idle};

fn main() {
    divan::main();
}

/// A turn of `requests`, that took 8 µs each and of which the core slept through `slept` percent.
fn turns(bencher: Bencher<'_, '_>, requests: u32, slept_percent: u64) {
    let mut gate = Gate::new(AdmissionConfig::default(), Arc::default(), 0);
    let (mut now_ns, mut released) = (0, Vec::new());
    let wall_ns = u64::from(requests.max(1)) * 8000;
    bencher.bench_local(|| {
        now_ns += wall_ns;
        gate.turn_began(now_ns, Some(Idle { rested_ns: wall_ns * slept_percent / 100, delayed_ns: 0 }));
        let mut admitted = 0;
        for connection in 0..requests {
            let ask = Ask { seen_ns: now_ns, criticality: Criticality::Default, budget_ns: Some(1_000_000) };
            admitted += u32::from(gate.decide(now_ns, black_box(connection), ask) == Decision::Admit);
        }
        gate.release(now_ns, |_| true, &mut released);
        released.clear();
        admitted
    });
}

#[divan::bench]
fn admitting_64(bencher: Bencher<'_, '_>) {
    turns(bencher, 64, 30);
}

#[divan::bench]
fn nothing(bencher: Bencher<'_, '_>) {
    turns(bencher, 0, 30);
}
