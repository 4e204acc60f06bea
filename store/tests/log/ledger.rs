//! What was appended and what was acknowledged, kept outside the log. Shares nothing with it but the numbers it gave.

use gannet_store::log::{Record, Sequence};

/// Something the log must never do.
#[derive(Debug)]
pub(crate) struct Violation(pub(crate) String);

pub(crate) fn violation<T>(what: impl Into<String>) -> Result<T, Violation> {
    Err(Violation(what.into()))
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    /// In order. The first so many were acknowledged.
    records: Vec<(u64, Vec<u8>)>,
    acknowledged: usize,
    /// Up to where a generation holds everything.
    pub(crate) covered: u64,
}

impl Ledger {
    /// An append that went through.
    pub(crate) fn appended(&mut self, sequence: Sequence, payload: Vec<u8>) -> Result<(), Violation> {
        if self.records.last().is_some_and(|(last, _)| sequence.0 <= *last) || sequence.0 <= self.covered {
            return violation(format!("{sequence} was given out again"));
        }
        self.records.push((sequence.0, payload));
        Ok(())
    }

    /// A commit that went through.
    pub(crate) fn committed(&mut self, sequence: Sequence) -> Result<(), Violation> {
        if self.records.last().is_some_and(|(last, _)| sequence.0 < *last) {
            return violation(format!("a commit acknowledges {sequence} only"));
        }
        self.acknowledged = self.records.len();
        Ok(())
    }

    /// A commit that said that nothing was written.
    pub(crate) fn refused(&mut self) {
        self.records.truncate(self.acknowledged);
    }

    pub(crate) fn last_acknowledged(&self) -> u64 {
        self.acknowledged.checked_sub(1).map_or(self.covered, |last| self.records[last].0)
    }

    /// A generation holds everything that was acknowledged.
    pub(crate) fn cover(&mut self) -> Sequence {
        self.covered = self.last_acknowledged();
        self.records.drain(..self.acknowledged);
        self.acknowledged = 0;
        Sequence(self.covered)
    }

    /// Compares what a log read back from. Nothing else than what was appended may come, without a gap.
    pub(crate) fn replay(&self) -> Replay<'_> {
        Replay { ledger: self, delivered: 0, wrong: None }
    }

    /// Opening went through and delivered the first so many: these are acknowledged from here on, and the rest never comes back.
    /// An opening is a record of its own, but where there is no room for it (`has_begun`); then there is none for anything else.
    pub(crate) fn opened(&mut self, delivered: usize, committed: Sequence, has_begun: bool) -> Result<(), Violation> {
        if delivered < self.acknowledged {
            return violation(format!(
                "{} acknowledged records behind {}, of which {delivered} came back",
                self.acknowledged, self.covered
            ));
        }
        if committed.0 < self.last_acknowledged() + u64::from(has_begun) {
            return violation(format!("an opening at {committed}, behind {}", self.last_acknowledged()));
        }
        self.records.truncate(delivered);
        self.acknowledged = delivered;
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct Replay<'l> {
    ledger: &'l Ledger,
    pub(crate) delivered: usize,
    pub(crate) wrong: Option<Violation>,
}

impl Replay<'_> {
    pub(crate) fn record(&mut self, record: Record<'_>) {
        let is_expected = match self.ledger.records.get(self.delivered) {
            Some((sequence, payload)) => *sequence == record.sequence.0 && payload == record.payload,
            None => false,
        };
        if !is_expected && self.wrong.is_none() {
            let (sequence, bytes) = (record.sequence, record.payload.len());
            let text = format!("record {sequence} of {bytes} bytes came back as number {}", self.delivered);
            self.wrong = Some(Violation(text));
        }
        self.delivered += 1;
    }
}
