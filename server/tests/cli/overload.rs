//! A core that is full, through the whole process: what the gate refuses is told in the words of the API.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use crate::{
    data::world,
    memory::metric,
    serve::{Server, within},
};

/// The sheddable are refused as soon as they take a tenth of the core, and half of it may go to telling them.
const TINY: &str = "[admission]\nsheddable_enter_percent = 10\nsheddable_leave_percent = 1\nsheddable_limit_percent = 10\n\
                    window_ms = 1\nqueue_time_us_min = 0\nrefusal_percent = 50\nrefusal_percent_held = 50\n";

const BODY: &str = r#"{"params":{"featureServiceName":"model","joinKeyMap":{"user_id":"a"}}}"#;

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

/// A connection that sends without waiting for answers.
struct Pipelining(BufReader<TcpStream>);

impl Pipelining {
    fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, key: &str, fields: &str, times: usize) {
        let length = BODY.len();
        let request = format!(
            "POST /api/v1/feature-service/get-features HTTP/1.1\r\nHost: x\r\nAuthorization: Tecton-key {key}\r\n\
             {fields}Content-Length: {length}\r\n\r\n{BODY}"
        );
        self.0.get_mut().write_all(request.repeat(times).as_bytes()).unwrap();
    }

    fn answer(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "closed after {head}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: String::new() };
        let length: usize = answer.header("content-length").unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        answer.body = String::from_utf8(body).unwrap();
        answer
    }
}

#[test]
fn what_a_full_core_refuses_is_told_as_tecton_tells_it_and_the_connection_lives() {
    const AT_ONCE: usize = 64;
    let world = world();
    world.write("gannet.toml", TINY);
    let key = world.succeed(&["keys", "create", "--criticality", "critical"]).trim().to_owned();
    let mut server =
        Server::start(world.command(&["serve", "--listen", "127.0.0.1:0", "--cores", "0", "--config", "gannet.toml"]));
    let mut connections: Vec<Pipelining> = (0..8).map(|_| Pipelining::connect(&server)).collect();
    let (mut refused, mut rounds) = (0, 0);
    while refused == 0 {
        rounds += 1;
        assert!(rounds <= 500, "so many requests at once, and none was refused");
        connections
            .iter_mut()
            .for_each(|connection| connection.send(&key, "Gannet-Criticality: sheddable\r\n", AT_ONCE));
        for connection in &mut connections {
            for answer in (0..AT_ONCE).map(|_| connection.answer()) {
                if answer.status == 200 {
                    assert_eq!(answer.body, r#"{"result":{"features":["2",1.5]}}"#);
                    continue;
                }
                refused += 1;
                let text = "GetFeatures exceeded the concurrent request limit, please retry later";
                let body = format!("{{\"error\":\"{text}\",\"message\":\"{text}\",\"code\":8}}");
                assert_eq!((answer.status, answer.body.as_str()), (429, body.as_str()));
                assert_eq!(answer.header("content-type"), Some("application/json"));
                assert!(["1", "2", "3"].contains(&answer.header("retry-after").unwrap()), "{}", answer.head);
                assert_eq!(answer.header("connection"), None);
            }
        }
    }
    let refused = f64::from(refused);
    within(Duration::from_secs(5), &refused, || metric(&server, "gannet_shed_sheddable_total"));
    for connection in &mut connections {
        connection.send(&key, "", 1);
        assert_eq!(connection.answer().status, 200, "it is critical");
    }
    drop(connections);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}
