//! A server that answers as told: one thread for each connection, and a script that sees every request.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
};

#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// The request line and all headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Answer(u16, &'static str),
    AnswerAndClose,
    Close,
    /// Hold the connection and never answer on it again.
    FallSilent,
}

/// Serves on a port of its own until the test's process ends.
pub(crate) fn serve(script: impl Fn(&Request) -> Act + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = Arc::new(script);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, script) = (stream.unwrap(), Arc::clone(&script));
            std::thread::spawn(move || converse(&stream, &*script));
        }
    });
    address
}

fn converse(stream: &TcpStream, script: &dyn Fn(&Request) -> Act) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let request = read(&mut reader)?;
        let answer = |status: u16, more: &str, body: &str| {
            let head = format!("HTTP/1.1 {status} Told\r\n{more}Content-Length: {}\r\n\r\n", body.len());
            (&*stream).write_all((head + body).as_bytes()).ok()
        };
        match script(&request) {
            Act::Answer(status, body) => answer(status, "", body)?,
            Act::AnswerAndClose => return answer(200, "Connection: close\r\n", ""),
            Act::Close => return None,
            Act::FallSilent => {
                while reader.read(&mut [0; 4096]).ok()? > 0 {}
                return None;
            }
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut request = Request::default();
    let mut body_bytes = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.to_ascii_lowercase();
        if let Some(length) = line.strip_prefix("content-length:") {
            body_bytes = length.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        request.head += &line;
    }
    let mut body = vec![0; body_bytes];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).unwrap();
    Some(request)
}
