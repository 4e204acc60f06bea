//! A server whose gate refuses every request, on core 0: what a 429 costs. `benches/refusal.sh` drives it.
//!
//! The gate's marks are set where an operator cannot set them: everything is shed, and the whole core may go to saying so.

use std::{net::SocketAddr, sync::Arc, thread, time::Duration};

use gannet_api::{Core, Settings, Shared};
use gannet_engine::{
    admission::{AdmissionConfig, Mark},
    clock::Origin,
    limits::Limits,
    server::{self, ServerConfig, ShardMetrics},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen: SocketAddr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8108".to_owned()).parse()?;
    let everything = Mark { enter_percent: 0, leave_percent: 0, limit_percent: 0 };
    let admission = AdmissionConfig {
        critical: everything,
        default: everything,
        sheddable: everything,
        queue_time_min: Duration::ZERO,
        refusal_percent: 100_000,
        refusal_percent_held: 100_000,
        ..AdmissionConfig::default()
    };
    let shared = Arc::new(Shared::new(Settings::default(), Vec::new()));
    let config = ServerConfig {
        listen,
        cores: vec![0],
        allowed: vec![0],
        spin: Duration::ZERO,
        limits: Limits::default(),
        admission,
        connections_per_core: 4096,
        metrics: vec![Arc::new(ShardMetrics::default())],
        origin: Origin::now(),
    };
    let server = server::start(&config, |core, _| {
        let shared = Arc::clone(&shared);
        move || Core::new(shared, core)
    })?;
    while !server.is_finished() {
        thread::sleep(Duration::from_millis(100));
    }
    server.join()?;
    Ok(())
}
