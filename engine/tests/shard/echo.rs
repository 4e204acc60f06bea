//! A service that echoes bodies.

use std::time::Duration;

use gannet_engine::{
    Answer, Asked, Content, Finished, Form, Limited, Now, Read, Service, Ticket, Waiting,
    admission::{Criticality, Reason},
    http::{Fault, Head, Request, Status},
};

#[derive(Debug, Default)]
pub(crate) struct Echo {
    bodies: Vec<(u16, Vec<u8>)>,
    /// The address of the head that it was asked about last, until a request begins.
    asked: Option<usize>,
    /// A turn that ends without a word would keep what it holds over a sleep.
    is_in_turn: bool,
}

impl Service for Echo {
    fn turn(&mut self, _: Now) {
        assert!(self.bodies.is_empty());
        assert!(!std::mem::replace(&mut self.is_in_turn, true), "the turn before has not ended");
    }

    fn begin(&mut self, _: Now, request: Request<'_>) -> Ticket {
        // What is remembered of `asks` is this very request's, or nobody's.
        let asked = self.asked.take();
        assert!(!request.asked || asked == Some(request.head.path.as_ptr().addr()));
        let (status, body) = match request.head.path {
            b"/echo" => (200, request.body.to_vec()),
            b"/limited" => (429, b"limited".to_vec()),
            b"/fixed" => (200, b"fixed".to_vec()),
            _ => (404, b"no".to_vec()),
        };
        self.bodies.push((status, body));
        Ticket(u32::try_from(self.bodies.len() - 1).unwrap())
    }

    fn asks(&mut self, _: Now, head: &Head<'_>) -> Asked {
        self.asked = Some(head.path.as_ptr().addr());
        if head.path == b"/operation" {
            return Asked::Operation;
        }
        let criticality = head.fields.first("criticality").and_then(Criticality::from_label);
        let budget = head.latency_budget_ms.and_then(|text| std::str::from_utf8(text).ok()?.parse::<f64>().ok());
        let budget_ns = budget.map(|ms| u64::try_from(Duration::from_secs_f64(ms / 1e3).as_nanos()).unwrap());
        Asked::Features { criticality: criticality.unwrap_or(Criticality::Default), budget_ns }
    }

    fn form(&self, head: &Head<'_>) -> Form {
        Form(u8::from(head.path == b"/formed"))
    }

    fn refused(&mut self, fault: Fault, form: Form, body: &mut Vec<u8>) {
        match form {
            Form(0) => body.extend_from_slice(fault.body().as_bytes()),
            Form(form) => body.extend_from_slice(format!("{} in form {form}", fault.label()).as_bytes()),
        }
    }

    fn overloaded(&mut self, _: Now, _: Form, body: &mut Vec<u8>) {
        body.extend_from_slice(b"overloaded");
    }

    fn refuse_early(&mut self, _: Now, head: &Head<'_>) -> Option<Ticket> {
        (head.path == b"/refused").then(|| {
            self.bodies.push((404, b"no".to_vec()));
            Ticket(u32::try_from(self.bodies.len() - 1).unwrap())
        })
    }

    fn gather(&mut self, _: Now) {}

    fn finish(&mut self, _: Now, ticket: Ticket, body: &mut Vec<u8>) -> Finished {
        let (status, bytes) = &self.bodies[ticket.0 as usize];
        body.extend_from_slice(bytes);
        Finished::Answer(Answer {
            status: Status(*status),
            content: Content::Json,
            allow: None,
            retry_after_s: None,
            authenticate: None,
            accept_encoding: None,
            server_timing: None,
            limited: (*status == 429)
                .then_some(Limited { criticality: Criticality::Default, reason: Reason::KeyConcurrency }),
        })
    }

    fn ready(&mut self, _: Now, _: &mut Vec<Waiting>) {}

    fn take_reads(&mut self, _: &mut Vec<Read>) {}

    fn wants(&self, _: u64) -> bool {
        false
    }

    fn read_over(&mut self, _: Now, _: u64, _: Result<&[u8], i32>) -> Option<Waiting> {
        None
    }

    fn conclude(&mut self, _: Now, _: Waiting, _: &mut Vec<u8>) -> Answer {
        unreachable!("nothing waits here")
    }

    fn abandon(&mut self, _: Waiting) {}

    fn turned(&mut self, _: Now) {
        self.is_in_turn = false;
        self.bodies.clear();
    }

    fn tick(&mut self, _: Now) {}
}
