//! The end of a shard's listening: whoever got a connection is answered, and whoever comes later is refused by the kernel.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use crate::client::Started;

const ASK: &[u8] = b"POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
const CALLERS: usize = 8;
/// How many connections there are before it ends: every caller is at it.
const CONNECTIONS_BEFORE: f64 = 500.0;
const ROUNDS: usize = 20;

/// How a caller who makes a connection for each request, as fast as answers come, saw the server end.
#[derive(Debug, Default)]
struct Told {
    answered: usize,
    /// Connections that were established and ended without an answer.
    reset: Vec<String>,
}

/// Connects and asks until the port is closed.
fn reconnect_until_closed(address: SocketAddr) -> Told {
    let mut told = Told::default();
    loop {
        let mut stream = match TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
            Ok(stream) => stream,
            // Refused; or what asked for a connection was dropped while the server stopped listening.
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => return told,
            Err(e) if e.kind() == ErrorKind::TimedOut => continue,
            Err(e) => {
                told.reset.push(format!("while connecting: {e}"));
                continue;
            }
        };
        let mut answer = String::new();
        let asked = stream.write_all(ASK).and_then(|()| stream.read_to_string(&mut answer));
        match asked {
            Ok(_) if answer.starts_with("HTTP/1.1 200 ") => told.answered += 1,
            Ok(_) => told.reset.push(format!("closed after {answer:?}")),
            Err(e) => told.reset.push(e.to_string()),
        }
    }
}

#[test]
fn whoever_was_connected_before_the_listener_closed_is_answered() {
    for round in 0..ROUNDS {
        let mut server = Started::new();
        let address = server.address();
        let callers: Vec<_> = (0..CALLERS).map(|_| thread::spawn(move || reconnect_until_closed(address))).collect();
        server.wait_until("gannet_connections_accepted_total", |accepted| accepted >= CONNECTIONS_BEFORE);
        server.drain(Duration::from_secs(10));
        for caller in callers {
            let told = caller.join().unwrap();
            assert_eq!(told.reset, [""; 0], "round {round}, after {} answers", told.answered);
        }
        server.join();
    }
}
