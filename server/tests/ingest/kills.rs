//! kill -9, again and again, at any moment, also while the server is starting: what was acknowledged is there afterwards, what was not
//! is there as a whole or not at all, and nobody has to help.

use std::{thread, time::Duration};

use fastrand::Rng;

use crate::{
    data::world,
    ledger::Ledger,
    server::{Server, command, create_key, small_overlay},
};

/// `GANNET_KILLS` says how many; the seed that a failure prints is taken from `GANNET_SEED`.
const KILLS: u64 = 100;

const CLIENTS: usize = 4;

#[test]
fn kill_9_at_any_moment_loses_nothing_and_halves_nothing() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let kills = number("GANNET_KILLS").unwrap_or(KILLS);
    let seed = number("GANNET_SEED").unwrap_or_else(|| fastrand::u64(..));
    #[expect(clippy::print_stderr, reason = "only a failure shows it, and that is what it is for")]
    let say = |text: String| eprintln!("{text}");
    say(format!("GANNET_SEED={seed}"));

    let world = world();
    let config = small_overlay(&world);
    let key = create_key(&world, &["--role", "admin"]);
    let start = || Server::start(command(&world, &["--config", config]), &key);
    let mut random = Rng::with_seed(seed);
    let mut ledgers: Vec<_> = (0..CLIENTS).map(Ledger::new).collect();
    for kill in 0..kills {
        if random.u8(0..4) == 0 {
            let server = Server::spawn(command(&world, &["--config", config]), &key);
            thread::sleep(Duration::from_micros(random.u64(0..80_000)));
            server.kill();
            continue;
        }
        let server = start();
        each(&mut ledgers, |ledger| ledger.check_new(&mut server.connect()).unwrap());
        thread::scope(|scope| {
            for ledger in &mut ledgers {
                let mut connection = server.connect();
                scope.spawn(move || ledger.write(&mut connection));
            }
            // Most often soon, and now and then late enough for the overlay to have been flushed and compacted.
            let milliseconds = if random.u8(0..10) == 0 { random.u64(0..1_500) } else { random.u64(0..150) };
            thread::sleep(Duration::from_millis(milliseconds));
            server.kill();
        });
        let count = |of: fn(&Ledger) -> usize| ledgers.iter().map(of).sum::<usize>();
        say(format!("kill {kill}: {} requests sent, {} there", count(Ledger::len), count(Ledger::there)));
    }
    let server = start();
    each(&mut ledgers, |ledger| ledger.check_all(&mut server.connect()).unwrap());
    assert!(ledgers.iter().all(|ledger| ledger.there() as u64 > kills), "they hardly wrote anything");
    assert_eq!(server.stop().code(), Some(0));
    world.succeed(&["verify", "--all"]);
}

/// Does it for all of them at once.
fn each(ledgers: &mut [Ledger], work: impl Fn(&mut Ledger) + Sync) {
    thread::scope(|scope| {
        for ledger in ledgers {
            scope.spawn(|| work(ledger));
        }
    });
}
