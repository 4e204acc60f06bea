//! The floor: the least that an HTTP/1.1 server over loopback TCP can cost here. One io_uring, multishot accept and
//! receive, provided buffers, one coalesced send per connection per turn; it tokenises the head, honours
//! Content-Length, and answers every request with the same bytes. No JSON, no lookup, no deadline, no admission.
//! Gannet's cost per request is quoted as a ratio to this, in the same run.
//!
//! usage: floor PORT RESPONSE_FILE     (a body; or, if it begins with `HTTP/1.1 `, a whole response)

use io_uring::{cqueue, opcode, squeue, types, IoUring};
use std::{
    os::fd::AsRawFd,
    sync::atomic::{AtomicU16, Ordering},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BUFFERS: u16 = 1024;
const BUFFER_BYTES: usize = 4096;
const ACCEPT: u64 = u64::MAX;

#[derive(Default)]
struct Connection {
    fd: i32,
    partial: Vec<u8>,
    out: Vec<u8>,
    sending: Vec<u8>,
    sent: usize,
    busy: bool,
    dead: bool,
}

fn anonymous(bytes: usize) -> *mut u8 {
    // SAFETY: a fresh anonymous mapping; checked below, never unmapped.
    let p = unsafe {
        libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_ANONYMOUS | libc::MAP_PRIVATE | libc::MAP_POPULATE, -1, 0)
    };
    assert_ne!(p, libc::MAP_FAILED);
    p.cast()
}

/// Answers every whole request in `bytes`; returns how many bytes were consumed.
fn answer(bytes: &[u8], response: &[u8], out: &mut Vec<u8>) -> usize {
    let mut at = 0;
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let Ok(httparse::Status::Complete(head)) = request.parse(&bytes[at..]) else { return at };
        let mut body = 0usize;
        for h in request.headers.iter() {
            if h.name.eq_ignore_ascii_case("content-length") {
                body = std::str::from_utf8(h.value).ok().and_then(|v| v.parse().ok()).unwrap_or(0);
            }
        }
        if at + head + body > bytes.len() {
            return at;
        }
        at += head + body;
        out.extend_from_slice(response);
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let port: u16 = args.next().and_then(|x| x.parse().ok()).expect("PORT");
    let body = std::fs::read(args.next().expect("RESPONSE_FILE")).expect("readable response");
    let response = if body.starts_with(b"HTTP/1.1 ") {
        body
    } else {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.into_bytes(), body].concat()
    };

    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let mut ring: IoUring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().setup_cqsize(8192).build(2048).unwrap();

    let entries: *mut types::BufRingEntry = anonymous(BUFFERS as usize * 16).cast();
    let buffers = anonymous(BUFFERS as usize * BUFFER_BYTES);
    // SAFETY: both mappings live for the whole process.
    unsafe { ring.submitter().register_buf_ring_with_flags(entries as u64, BUFFERS, 0, 0).unwrap() };
    // SAFETY: the tail lies inside the registered ring.
    let shared_tail = unsafe { types::BufRingEntry::tail(entries) } as *const AtomicU16;
    let mut tail: u16 = 0;
    let give_back = |id: u16, tail: &mut u16| {
        // SAFETY: the index is masked into the ring, the buffer id is below BUFFERS.
        unsafe {
            let e = &mut *entries.add((*tail & (BUFFERS - 1)) as usize);
            e.set_addr(buffers.add(id as usize * BUFFER_BYTES) as u64);
            e.set_len(BUFFER_BYTES as u32);
            e.set_bid(id);
        }
        *tail = tail.wrapping_add(1);
    };
    (0..BUFFERS).for_each(|id| give_back(id, &mut tail));
    // SAFETY: see above.
    unsafe { (*shared_tail).store(tail, Ordering::Release) };

    let mut connections: slab::Slab<Connection> = slab::Slab::new();
    let mut submissions: Vec<squeue::Entry> = vec![opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd())).build().user_data(ACCEPT)];
    let mut dirty: Vec<usize> = vec![];
    let receive = |fd: i32, k: usize| opcode::RecvMulti::new(types::Fd(fd), 0).build().user_data((k as u64) << 1);
    println!("listening");
    loop {
        for e in submissions.drain(..) {
            // SAFETY: every pointer in an entry outlives the operation (buffers and connections are freed only when idle).
            unsafe {
                while ring.submission_shared().push(&e).is_err() {
                    ring.submitter().submit().unwrap();
                }
            }
        }
        ring.submitter().submit_and_wait(1).unwrap();
        // SAFETY: the only user of the completion queue.
        let mut completions = unsafe { ring.completion_shared() };
        completions.sync();
        for c in &mut completions {
            if c.user_data() == ACCEPT {
                let fd = c.result();
                if fd < 0 {
                    continue;
                }
                let one: i32 = 1;
                // SAFETY: a plain setsockopt on a descriptor just accepted.
                unsafe { libc::setsockopt(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, (&raw const one).cast(), 4) };
                let k = connections.insert(Connection { fd, ..Connection::default() });
                submissions.push(receive(fd, k));
                continue;
            }
            let (k, n) = ((c.user_data() >> 1) as usize, c.result());
            let connection = &mut connections[k];
            if c.user_data() & 1 == 0 {
                if n == -libc::ENOBUFS {
                    submissions.push(receive(connection.fd, k));
                    continue;
                }
                if n <= 0 {
                    connection.dead = true;
                    if !connection.busy {
                        // SAFETY: nothing is in flight on this descriptor.
                        unsafe { libc::close(connection.fd) };
                        connections.remove(k);
                    }
                    continue;
                }
                let id = cqueue::buffer_select(c.flags()).unwrap();
                // SAFETY: the kernel filled n bytes of buffer `id`, which is ours until given back.
                let data = unsafe { std::slice::from_raw_parts(buffers.add(id as usize * BUFFER_BYTES), n as usize) };
                if connection.partial.is_empty() {
                    let used = answer(data, &response, &mut connection.out);
                    connection.partial.extend_from_slice(&data[used..]);
                } else {
                    connection.partial.extend_from_slice(data);
                    let used = answer(&connection.partial, &response, &mut connection.out);
                    connection.partial.drain(..used);
                }
                give_back(id, &mut tail);
                if !cqueue::more(c.flags()) {
                    submissions.push(receive(connection.fd, k));
                }
                if !connection.busy && !connection.out.is_empty() {
                    connection.busy = true;
                    dirty.push(k);
                }
            } else {
                if n < 0 || connection.dead {
                    connection.busy = false;
                    if connection.dead {
                        // SAFETY: nothing is in flight on this descriptor.
                        unsafe { libc::close(connection.fd) };
                        connections.remove(k);
                    }
                    continue;
                }
                connection.sent += n as usize;
                if connection.sent < connection.sending.len() {
                    let rest = &connection.sending[connection.sent..];
                    submissions.push(opcode::Send::new(types::Fd(connection.fd), rest.as_ptr(), rest.len() as u32).build().user_data((k as u64) << 1 | 1));
                    continue;
                }
                connection.sending.clear();
                connection.busy = !connection.out.is_empty();
                if connection.busy {
                    dirty.push(k);
                }
            }
        }
        drop(completions);
        // SAFETY: see above.
        unsafe { (*shared_tail).store(tail, Ordering::Release) };
        for k in dirty.drain(..) {
            let c = &mut connections[k];
            std::mem::swap(&mut c.out, &mut c.sending);
            c.sent = 0;
            submissions.push(opcode::Send::new(types::Fd(c.fd), c.sending.as_ptr(), c.sending.len() as u32).build().user_data((k as u64) << 1 | 1));
        }
    }
}
