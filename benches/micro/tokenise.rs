//! Framing one request of 315 body bytes: head tokenised, every rule of docs/http.md checked, body found.
//!
//! Goal: at most 200 ns. Not the goal: requests that come in pieces or are refused.
#![expect(clippy::unwrap_used, reason = "a bench fails loudly")]

use divan::{Bencher, black_box};
use gannet_engine::{
    http::{Inbound, Step},
    limits::Limits,
};

fn main() {
    divan::main();
}

#[divan::bench]
fn one_request(bencher: Bencher<'_, '_>) {
    let limits = Limits::default();
    let mut inbound = Inbound::new();
    let mut bytes = gannet_benches::request(7);
    bencher.bench_local(|| match inbound.next(&limits, black_box(&mut bytes)) {
        Step::Request { consumed, .. } => consumed,
        step => panic!("{step:?}"),
    });
}

#[divan::bench]
fn httparse_alone(bencher: Bencher<'_, '_>) {
    let bytes = gannet_benches::request(7);
    bencher.bench_local(|| {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(black_box(&bytes)).unwrap().unwrap()
    });
}
