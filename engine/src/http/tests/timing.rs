//! `Gannet-Server-Timing`: what a service is told of it.

use crate::{
    http::{Inbound, Step},
    limits::Limits,
};

#[test]
fn only_a_one_asks_for_server_timing() {
    let check = |field: &str, expected: bool| {
        let mut bytes = format!("GET /x HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n").into_bytes();
        let mut connection = Inbound::new();
        let Step::Request { head, .. } = connection.next(&Limits::default(), &mut bytes) else { panic!("{field}") };
        assert_eq!(head.server_timing, expected, "{field}");
    };
    check("Gannet-Server-Timing: 1", true);
    check("gannet-server-timing:  1 ", true);
    check("GANNET-SERVER-TIMING: 1", true);
    check("Gannet-Server-Timing: 0", false);
    check("Gannet-Server-Timing:", false);
    check("Gannet-Server-Timing: yes", false);
    check("Gannet-Server-Timinh: 1", false);
    check("Server-Timing: 1", false);
}
