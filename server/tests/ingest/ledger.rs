//! What clients know of their writes, kept outside of the server: which were sent, which were answered, and what was found of the
//! others after a restart. It shares nothing with the server but the JSON.

use std::io;

use serde_json::{Value, json};

use crate::{
    client::Connection,
    data::{at, nothing, purchase, request, visit},
    server::features,
};

/// What must be true of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nobody was answered: all of it is there, or nothing.
    Unknown,
    /// Answered, or found to be there once.
    There,
    /// Refused, or found not to be there once.
    Gone,
}

/// One client's requests, numbered from 1. Each writes to keys of its own and to one key that all of them share.
pub(crate) struct Ledger {
    client: usize,
    fates: Vec<Fate>,
    /// Requests up to here were looked at since they were decided, and are looked at again at the end.
    checked: usize,
}

impl Ledger {
    pub(crate) fn new(client: usize) -> Self {
        Self { client, fates: Vec::new(), checked: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.fates.len()
    }

    pub(crate) fn there(&self) -> usize {
        self.fates.iter().filter(|fate| **fate == Fate::There).count()
    }

    /// Writes one request after another until the server is gone.
    pub(crate) fn write(&mut self, connection: &mut Connection) {
        loop {
            let n = self.fates.len() + 1;
            let body = self.body(n).to_string();
            self.fates.push(Fate::Unknown); // before it is sent
            let Ok(answer) = connection.ask("POST", "/ingest", &body) else { return };
            self.fates[n - 1] = match answer.status {
                200 => Fate::There,
                429 => Fate::Gone,
                503 if !answer.body.contains("log failed") => Fate::Gone,
                504 => Fate::Unknown, // it was not durable in time, and may be by now
                _ => panic!("{answer:?}"),
            };
        }
    }

    /// Of two sources: a purchase and a visit for each of the request's keys, and one purchase for the shared key.
    fn body(&self, n: usize) -> Value {
        let number = i64::try_from(n).unwrap();
        let keys: Vec<_> = (0..parts(n)).map(|part| self.key(n, part)).collect();
        let mut purchases: Vec<_> = keys.iter().map(|key| purchase(key, number, number)).collect();
        purchases.push(purchase(&self.shared_key(), number, number));
        let visits: Vec<_> = keys.iter().map(|key| visit(key, number, number)).collect();
        request(&json!({"purchases": purchases, "visits": visits}))
    }

    fn key(&self, n: usize, part: usize) -> String {
        format!("client-{}-request-{n}-part-{part}", self.client)
    }

    fn shared_key(&self) -> String {
        format!("client-{}", self.client)
    }

    /// Looks at what was written since the last time, and at the sum of everything.
    pub(crate) fn check_new(&mut self, connection: &mut Connection) -> io::Result<()> {
        for n in self.checked + 1..=self.fates.len() {
            self.check(n, connection)?;
        }
        self.checked = self.fates.len();
        self.check_shared(connection)
    }

    pub(crate) fn check_all(&mut self, connection: &mut Connection) -> io::Result<()> {
        self.checked = 0;
        self.check_new(connection)
    }

    fn check(&mut self, n: usize, connection: &mut Connection) -> io::Result<()> {
        let text = n.to_string();
        let whole = json!([text, "1", text, text]);
        let (mut there, mut gone) = (0, 0);
        for part in 0..parts(n) {
            let key = self.key(n, part);
            let found = features(connection, "streamed", &key)?;
            if found == whole {
                there += 1;
            } else if found == nothing() {
                gone += 1;
            } else {
                panic!("of {key}, written at {}, there is {found}", at(i64::try_from(n).unwrap()));
            }
        }
        let fate = &mut self.fates[n - 1];
        let client = self.client;
        assert!(there == 0 || gone == 0, "half of request {n} of client {client} is there: {there} keys, not {gone}");
        assert!(*fate != Fate::There || gone == 0, "request {n} of client {client} was acknowledged and is lost");
        assert!(
            *fate != Fate::Gone || there == 0,
            "request {n} of client {client} was never done, and now it is there"
        );
        *fate = if there > 0 { Fate::There } else { Fate::Gone };
        Ok(())
    }

    /// Every request that is there counts once, however often it was read back from the log.
    fn check_shared(&self, connection: &mut Connection) -> io::Result<()> {
        let there = self.fates.iter().enumerate().filter(|(_, fate)| **fate == Fate::There).map(|(at, _)| at + 1);
        let found = features(connection, "streamed", &self.shared_key())?;
        let expected = match there.clone().next_back() {
            None => nothing(),
            Some(last) => {
                let (count, sum): (usize, usize) = (there.clone().count(), there.sum());
                json!([last.to_string(), count.to_string(), sum.to_string(), null])
            }
        };
        assert_eq!(found, expected, "client {}", self.client);
        Ok(())
    }
}

/// How many keys a request has of its own.
fn parts(n: usize) -> usize {
    1 + n % 5
}
