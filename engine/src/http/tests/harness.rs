//! Plays bytes to an [`Inbound`] as a shard would, and writes down what came of them.

use crate::{
    http::{Fault, Head, Inbound, Method, Persistence, Step},
    limits::Limits,
};

/// What a shard would see, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Served {
        method: Method,
        path: Vec<u8>,
        query: Vec<u8>,
        authorization: Option<Vec<u8>>,
        content_encoding: Option<Vec<u8>>,
        body: Vec<u8>,
        consumed: usize,
        persistence: Persistence,
    },
    Refused {
        fault: Fault,
        consumed: Option<usize>,
        persistence: Persistence,
        head_only: bool,
    },
    /// The peer ended inside a message.
    Truncated,
}

impl Event {
    pub(super) fn body(&self) -> Option<&[u8]> {
        match self {
            Self::Served { body, .. } => Some(body),
            Self::Refused { .. } | Self::Truncated => None,
        }
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        match self {
            Self::Refused { fault, .. } => Some(*fault),
            Self::Served { .. } | Self::Truncated => None,
        }
    }

    pub(super) fn survives(&self) -> bool {
        match self {
            Self::Served { persistence, .. } => persistence.keep_alive,
            Self::Refused { consumed, .. } => consumed.is_some(),
            Self::Truncated => false,
        }
    }
}

fn served(head: &Head<'_>, body: &[u8], consumed: usize, persistence: Persistence) -> Event {
    Event::Served {
        method: head.method,
        path: head.path.to_vec(),
        query: head.query.to_vec(),
        authorization: head.authorization.map(<[u8]>::to_vec),
        content_encoding: head.content_encoding.map(<[u8]>::to_vec),
        body: body.to_vec(),
        consumed,
        persistence,
    }
}

/// Plays the pieces, then the peer's end.
pub(super) fn play<'p>(limits: &Limits, pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Event> {
    let mut connection = Inbound::new();
    let mut unconsumed = Vec::new();
    let mut events = Vec::new();
    let mut arrived = 0;
    let mut consumed_in_all = 0;
    for piece in pieces {
        unconsumed.extend_from_slice(piece);
        arrived += piece.len();
        loop {
            let (event, consumed) = match connection.next(limits, &mut unconsumed) {
                Step::NeedMore => break,
                Step::Expect(head) => {
                    assert!(head.expect_continue);
                    connection.continued();
                    continue;
                }
                Step::Request { head, body, consumed, persistence } => {
                    let event = served(&head, body, consumed, persistence);
                    // Whoever leaves it for later reads the same once more.
                    let length = body.len();
                    let mut again = Inbound::again(limits, &unconsumed, consumed, length);
                    let Step::Request { head, body, consumed, persistence } = again.next(limits, &mut unconsumed)
                    else {
                        panic!("{event:?} is no request the second time");
                    };
                    assert_eq!(served(&head, body, consumed, persistence), event);
                    // A reader may overwrite what it was given; nothing behind it may suffer.
                    body.fill(b'!');
                    (event, Some(consumed))
                }
                Step::Fault { fault, consumed, persistence, head_only, head: _ } => {
                    assert_eq!(persistence.keep_alive, consumed.is_some());
                    (Event::Refused { fault, consumed, persistence, head_only }, consumed)
                }
            };
            let survives = event.survives();
            events.push(event);
            if let Some(consumed) = consumed {
                assert!(consumed > 0, "a step that consumes nothing would be taken for ever");
                assert!(consumed <= unconsumed.len(), "a byte that has not come was consumed");
                consumed_in_all += consumed;
                unconsumed.drain(..consumed);
            }
            if !survives {
                // Closed: later bytes are never parsed.
                unconsumed.extend_from_slice(GOOD);
                assert!(matches!(connection.next(limits, &mut unconsumed), Step::NeedMore));
                assert_eq!(connection.end(unconsumed.len()), None);
                return events;
            }
        }
    }
    assert_eq!(consumed_in_all + unconsumed.len(), arrived, "a byte was counted twice or skipped");
    if let Some(fault) = connection.end(unconsumed.len()) {
        assert_eq!(fault, Fault::Truncated);
        events.push(Event::Truncated);
    }
    events
}

/// Plays the bytes in one piece, with the default limits.
pub(super) fn play_whole(bytes: &[u8]) -> Vec<Event> {
    play(&Limits::default(), [bytes])
}

/// A request that is served wherever it stands, with a body of its own to be recognised by.
pub(super) const GOOD: &[u8] = b"POST /canary?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\ncanary";

pub(super) fn is_good(event: &Event) -> bool {
    event.body() == Some(b"canary") && matches!(event, Event::Served { path, .. } if path == b"/canary")
}
