//! A server that runs out of descriptors: who is connected is served on, who is not waits, and when some have gone all is as before.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::process::CommandExt as _,
    process::Command,
    time::Duration,
};

use crate::{data::world, serve::Server};

/// Enough to start; the rest is for connections.
const OPEN_FILES: u64 = 64;

/// More than fit, and fewer than the kernel's queue takes.
const CONNECTIONS: usize = 100;

fn send(stream: &mut TcpStream) {
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
}

/// Reads one whole answer.
fn is_ok(stream: &mut TcpStream) -> bool {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return false;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    head.starts_with("HTTP/1.1 200")
}

#[test]
fn without_descriptors_the_connected_are_served_the_others_wait_and_the_log_says_so() {
    let world = world();
    world.write("few.toml", "connections_per_core = 1000\n");
    let served = world.command(&["serve", "--listen", "127.0.0.1:0", "--cores", "0", "--config", "few.toml"]);
    let mut command = Command::new("sh");
    command.arg0("sh").arg("-c").arg(format!("ulimit -n {OPEN_FILES} && exec \"$0\" \"$@\"")).arg(served.get_program());
    command.args(served.get_args()).current_dir(world.path("")).env("GANNET_DATA", "store");
    let mut server = Server::start(command);
    let connect = |server: &Server| {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    };
    let mut first = connect(&server);
    send(&mut first);
    assert!(is_ok(&mut first));

    let mut others: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect(&server)).collect();
    for stream in &mut others {
        send(stream);
    }
    server.log_until("no descriptors or memory for new connections");
    for _ in 0..10 {
        send(&mut first);
        assert!(is_ok(&mut first), "who is connected is served");
    }

    // Each that was served makes room for one that waits, so that all are in the end.
    for (n, mut stream) in others.into_iter().enumerate() {
        assert!(is_ok(&mut stream), "connection {n}");
    }
    server.log_until("there is room for new connections again");
    send(&mut first);
    assert!(is_ok(&mut first));
    let metrics = server.ask("GET", "/metrics", "", "").1;
    let failed = metrics.lines().find_map(|line| line.strip_prefix("gannet_accept_failed_total{core=\"0\"} ")).unwrap();
    assert!(failed.parse::<u64>().unwrap() > 0, "{failed}");
    server.signal("TERM");
    drop(first);
    assert_eq!(server.wait().code(), Some(0));
}
