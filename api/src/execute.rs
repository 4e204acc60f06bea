//! stub
use std::sync::Arc;

use gannet_engine::{
    Answer, Content, Now, Service, Ticket,
    http::{Head, Request, Status},
};

use crate::Shared;

/// One core's service.
#[derive(Debug)]
pub struct Core {
    _shared: Arc<Shared>,
}

impl Core {
    /// `core` becomes the label of this core's counters; one instance per core.
    pub fn new(shared: Arc<Shared>, _core: usize) -> Self {
        Self { _shared: shared }
    }
}

impl Service for Core {
    fn turn(&mut self, _now: Now) {}
    fn begin(&mut self, _now: Now, _request: Request<'_>) -> Ticket {
        Ticket(0)
    }
    fn refuse_early(&mut self, _now: Now, _head: &Head<'_>) -> Option<Ticket> {
        None
    }
    fn gather(&mut self) {}
    fn finish(&mut self, _now: Now, _ticket: Ticket, _body: &mut Vec<u8>) -> Answer {
        Answer {
            status: Status(503),
            content: Content::None,
            allow: None,
            retry_after_s: None,
            authenticate: None,
            accept_encoding: None,
        }
    }
    fn turned(&mut self, _now: Now) {}
    fn tick(&mut self, _now: Now) {}
}
