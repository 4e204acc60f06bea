//! One core's service: requests of a turn are decoded, looked up together and answered one by one, or set aside until what
//! they need was read.

mod answer;
mod batch;
mod concurrency;
mod folding;
mod keys;
mod levels;
mod operations;
mod waiting;
mod writes;

use std::sync::{Arc, atomic::Ordering};

use gannet_engine::{
    Answer, Asked, Content, Finished, Form, Limited, Now, Read, Service, Ticket, Waiting,
    admission::{Criticality, Reason},
    http::{self, Head, Request, Status},
};
use gannet_store::{
    Corrupt,
    cache::RowCache,
    overlay::{Overlay, OverlayReader, Pin},
    plane::Submitter,
};

use self::{
    answer::{Rendering, answer, answered, refuse, refused, render},
    batch::{Batch, Deadline, Features, Folding, Pending, Seen, TurnRows, Unreadable},
    concurrency::Concurrency,
    keys::KeyEncoder,
    levels::Recent,
    waiting::{Held, WaitingRequests},
    writes::Writes,
};
use crate::{
    Catalog, Settings, Shared, State,
    auth::{Denied, Granted, KeyTable, Role},
    budget,
    error::{Fault, Quoted},
    limits::LOG_EVERY_NS,
    metrics::{self, CoreMetrics, Recorder},
    query::{Locator, Query},
    routes::{Route, is_ingest, route},
    tecton::{
        Decoder, latency_budget_field,
        response::{self, Outcome, StoreTime},
    },
};

/// One core's service.
#[derive(Debug)]
pub struct Core {
    shared: Arc<Shared>,
    core: usize,
    /// What [`Shared::version`] was when the four below were taken.
    version: Option<u64>,
    catalog: Option<Arc<Catalog>>,
    keys: Arc<KeyTable>,
    concurrency: Concurrency,
    /// What the key check of the request that was asked about last came to: `begin` follows, and need not hash again.
    known: Option<Result<Granted, Denied>>,
    state: Arc<State>,
    settings: Arc<Settings>,
    /// The plan found last: most callers ask one service many times.
    last_plan: Option<usize>,
    decoder: Decoder,
    encoder: KeyEncoder,
    batch: Batch,
    waiting: WaitingRequests,
    writes: Writes,
    /// Rows that had to be read, so that those asked for often are read once.
    cache: RowCache,
    /// What is in no file yet.
    overlaid: Option<Overlaid>,
    rendering: Rendering,
    metrics: Arc<CoreMetrics>,
    /// Of requests, and of reads. Absent only if their constant bounds were wrong, which a test rules out.
    recorder: Option<Recorder>,
    read_recorder: Option<Recorder>,
    corrupt_logged_ns: Option<u64>,
}

/// The overlay, as one core reads it.
#[derive(Debug)]
struct Overlaid {
    /// For as long as a turn.
    pin: Option<Pin>,
    reader: OverlayReader,
}

impl Overlaid {
    fn pin(&mut self) {
        self.pin = None; // or the new one would hold what the old one did
        self.pin = Some(self.reader.pin());
    }

    fn recent(&self, catalog: &Catalog) -> Option<Recent<'_>> {
        Some(Recent { sight: self.reader.sight(self.pin.as_ref()?), covered: catalog.covered() })
    }
}

impl Core {
    /// `core` names this core in log lines; one instance per core.
    pub fn new(shared: Arc<Shared>, core: usize) -> Self {
        let metrics = shared.metrics.core();
        Self {
            core,
            version: None,
            catalog: None,
            keys: Arc::default(),
            concurrency: Concurrency::new(shared.shards.len()),
            known: None,
            state: shared.state.load_full(),
            settings: shared.settings.load_full(),
            last_plan: None,
            decoder: Decoder::new(),
            encoder: KeyEncoder::default(),
            batch: Batch::default(),
            waiting: WaitingRequests::default(),
            writes: Writes::default(),
            cache: RowCache::new(0),
            overlaid: None,
            rendering: Rendering::default(),
            metrics,
            recorder: Recorder::new(),
            read_recorder: Recorder::new(),
            corrupt_logged_ns: None,
            shared,
        }
    }

    /// The same with a cache of this many bytes for rows that are not in memory otherwise.
    #[must_use]
    pub fn with_row_cache(mut self, bytes: usize) -> Self {
        self.cache = RowCache::new(bytes);
        self
    }

    /// The same, taking writes and reading those that are in no file yet. To be called on the core's own thread.
    #[must_use]
    pub fn with_writes(mut self, submitter: Submitter, overlay: &Overlay) -> Self {
        self.writes.hand_to(submitter);
        self.with_overlay(overlay)
    }

    /// The same, reading what was written lately and is in no file yet. To be called on the core's own thread.
    #[must_use]
    pub fn with_overlay(mut self, overlay: &Overlay) -> Self {
        self.overlaid = Some(Overlaid { pin: None, reader: overlay.reader() });
        self
    }

    fn ticket(&mut self, pending: Pending) -> Ticket {
        self.batch.pending.push(pending);
        // The engine bounds a turn's requests far below 2^32.
        Ticket(u32::try_from(self.batch.pending.len() - 1).unwrap_or(u32::MAX))
    }

    fn seen(&self, at_ns: u64, head: &Head<'_>) -> Seen {
        Seen { at_ns, server_timing: head.server_timing || self.settings.server_timing }
    }

    /// What is known from the head alone. `known` is what its key was found to be, if that was asked for already.
    fn admit<'h>(
        &mut self,
        now: Now,
        head: &Head<'h>,
        known: Option<Result<Granted, Denied>>,
    ) -> Result<(Route, Option<Granted>), Fault<'h>> {
        let route = route(head.method, head.path);
        let mut granted = None;
        if !route.is_public(head.path) {
            let checked = known.unwrap_or_else(|| self.keys.check(head.authorization, now.unix_us));
            granted = Some(checked.map_err(|why| {
                self.metrics.denied(why);
                Fault::Unauthenticated
            })?);
        }
        match route {
            Route::NotFound => Err(Fault::NotFound),
            Route::MethodNotAllowed { allow } => Err(Fault::MethodNotAllowed { allow }),
            Route::GetFeatures | Route::Ingest | Route::DeleteKeys => match (head.content_encoding, head.unclear) {
                (Some(coding), _) if !coding.eq_ignore_ascii_case(b"identity") => Err(Fault::ContentEncoding),
                // Who would be served by another class or budget than was meant had better know at once.
                (_, Some(unclear)) => Err(Fault::of_unclear(unclear)),
                _ if self.catalog.is_none() => Err(Fault::Unavailable),
                _ => Ok((route, granted)),
            },
            _ => Ok((route, None)),
        }
    }

    /// Decodes and plans a request for features, and starts its lookups.
    fn get_features(
        &mut self,
        now: Now,
        head: &Head<'_>,
        body: &mut [u8],
        mut seen: Seen,
        granted: Granted,
    ) -> Pending {
        let mut permits = match self.concurrency.enter_key(granted) {
            Ok(permits) => permits,
            Err(reason) => return self.limited(head, granted, reason, metrics::NONE, seen),
        };
        let Self { decoder, batch, metrics, .. } = self;
        let mut slot = metrics::NONE;
        let refused = |fault: Fault<'_>, slot, seen, batch: &mut Batch| batch.refused(&fault, Some(slot), seen);
        let Some(catalog) = &self.catalog else { return refused(Fault::Unavailable, slot, seen, batch) };
        let decoded = match decoder.decode(body) {
            Ok(decoded) => decoded,
            Err(fault) => {
                metrics.undecodable();
                return refused(fault, slot, seen, batch);
            }
        };
        let Query { workspace, locator, metadata, context_keys, latency_budget_us, server_timing, .. } = decoded.query;
        let Query { leading_edge, coerce_null_counts_to_zero, .. } = decoded.query;
        seen.server_timing |= server_timing;
        let workspace = match &workspace {
            Some(named) => named.of(decoded.body),
            None => self.settings.default_workspace.as_bytes(),
        };
        if !granted.may(&self.keys, workspace, Role::Consumer) && catalog.has_workspace(workspace) {
            return refused(Fault::Forbidden, slot, seen, batch);
        }
        let is_last = |place: &usize| {
            let plan = catalog.plan(*place);
            matches!(locator, Locator::Service(name) if name.of(decoded.body) == plan.name.as_bytes())
                && plan.workspace.as_bytes() == workspace
        };
        let found = self.last_plan.filter(is_last).or_else(|| catalog.find(workspace, locator, decoded.body));
        let Some(place) = found else {
            let service = Quoted(locator.span().of(decoded.body));
            return refused(Fault::UnknownService { service, workspace: Quoted(workspace) }, slot, seen, batch);
        };
        if matches!(locator, Locator::Service(_)) {
            self.last_plan = Some(place);
        }
        let plan = catalog.plan(place);
        slot = plan.service_slot;
        if let Some(view) = &plan.not_materialized {
            return refused(Fault::NotMaterialized { view }, slot, seen, batch);
        }
        if let Err(fault) = self.encoder.encode(plan, &decoded, batch.keys()) {
            return refused(fault, slot, seen, batch);
        }
        if context_keys > 0 {
            metrics.context_keys_ignored(context_keys);
        }
        if let Some(fault) = decoded.option_fault {
            return refused(fault, slot, seen, batch);
        }
        let of_field = match head.latency_budget_ms.map(latency_budget_field).transpose() {
            Ok(of_field) => of_field,
            Err(fault) => return refused(fault, slot, seen, batch),
        };
        let budget_us = budget::of(latency_budget_us.or(of_field), [plan.budget, granted.budget]);
        let deadline = Deadline::of(budget_us, seen.at_ns);
        if Deadline::end_ns(budget_us, seen.at_ns) <= now.monotonic_ns {
            // It was held, or other requests were before it. The gate did not know this budget, or would have told it sooner.
            return match deadline.partial {
                true => self.limited(head, granted, Reason::Budget, slot, seen),
                false => refused(Fault::TimedOut, slot, seen, batch),
            };
        }
        if let Err(reason) = self.concurrency.enter_service(plan, &mut permits) {
            return self.limited(head, granted, reason, slot, seen);
        }
        let lookups = batch.lookups_next();
        let recent = self.overlaid.as_ref().and_then(|overlaid| overlaid.recent(catalog));
        let recent = recent.filter(|recent| !recent.sight.is_empty());
        for view in &plan.views {
            batch.look_up(catalog.tables(), recent, view.table, self.encoder.key(view.key_set));
        }
        let folding = Folding { leading_edge, coerce_null_counts_to_zero };
        let options = metadata.unwrap_or(self.settings.default_metadata_options);
        let (permits, criticality) = (batch.keep(permits), granted.criticality(head.criticality));
        Pending::Features(Features { plan: place, options, folding, lookups, seen, deadline, permits, criticality })
    }

    /// As many are in progress as may be.
    fn limited(&mut self, head: &Head<'_>, granted: Granted, reason: Reason, slot: usize, seen: Seen) -> Pending {
        let limited = Some(Limited { criticality: granted.criticality(head.criticality), reason });
        match self.batch.refused(&Fault::Overloaded, Some(slot), seen) {
            Pending::Refused { refusal, message, service_slot, seen, .. } => {
                Pending::Refused { refusal, message, service_slot, seen, limited }
            }
            other => other,
        }
    }

    /// Renders an answer, or sets the request aside.
    fn features(&mut self, now: Now, features: Features, body: &mut Vec<u8>) -> Finished {
        // Taken out while the rest of `self` is at work, and put back: cloning would touch a counter that all cores share.
        let Some(catalog) = self.catalog.take() else {
            return Finished::Answer(refuse(&Fault::Unavailable, body));
        };
        let finished = self.features_of(now, &catalog, features, body);
        self.catalog = Some(catalog);
        finished
    }

    fn features_of(&mut self, now: Now, catalog: &Arc<Catalog>, features: Features, body: &mut Vec<u8>) -> Finished {
        let plan = catalog.plan(features.plan);
        let lookups = features.lookups..features.lookups + plan.views.len();
        if self.batch.is_cold(lookups.clone()) && now.monotonic_ns < features.deadline.at_ns {
            let Self { waiting, batch, cache, .. } = self;
            let timing = batch.timing(features.seen, now.monotonic_ns);
            match waiting.hold(features, timing, catalog, batch, cache) {
                Ok(Held::Waits(waiting)) => return Finished::Waits { waiting, until_ns: features.deadline.at_ns },
                Ok(Held::Full(reason)) => {
                    let limited = Some(Limited { criticality: features.criticality, reason });
                    let answer = Answer { server_timing: timing, limited, ..refuse(&Fault::Overloaded, body) };
                    let Self { metrics, recorder, .. } = self;
                    answered(metrics, recorder, now, plan.service_slot, answer.status, features.seen.at_ns);
                    return Finished::Answer(answer);
                }
                Err(unreadable) => {
                    let answer = self.told(now, catalog, features, Err(unreadable), body.len(), body);
                    return Finished::Answer(Answer { server_timing: timing, ..answer });
                }
            }
        }
        let Self { batch, rendering, cache, .. } = self;
        let start = body.len();
        let store_ns = if batch.reads_anything(lookups) { batch.store_ns(now.monotonic_ns) } else { 0 };
        let store = StoreTime::of_stage(store_ns);
        let server_timing = batch.timing(features.seen, now.monotonic_ns);
        let tables = catalog.tables();
        let rows = TurnRows { batch, tables, cache, lookups: features.lookups };
        let rendered = render(now, catalog, &features, &rows, store, rendering, body);
        Finished::Answer(Answer { server_timing, ..self.told(now, catalog, features, rendered, start, body) })
    }

    /// Renders the answer of a request that waited.
    fn waited(&mut self, now: Now, held: Waiting, body: &mut Vec<u8>) -> Answer {
        let Some((features, catalog)) = self.waiting.request(held) else { return refuse(&Fault::Internal, body) };
        let catalog = Arc::clone(catalog);
        let Self { waiting, rendering, .. } = self;
        let start = body.len();
        let (store, server_timing) = (waiting.store(held, now.monotonic_ns), waiting.timing(held, now.monotonic_ns));
        let rows = waiting.rows(held, &catalog);
        let rendered = render(now, &catalog, &features, &rows, store, rendering, body);
        let answer = self.told(now, &catalog, features, rendered, start, body);
        self.waiting.release(held);
        Answer { server_timing, ..answer }
    }

    /// Counts what was rendered; if a row cannot be trusted or the time is over, nothing of it is left but the fault.
    fn told(
        &mut self,
        now: Now,
        catalog: &Catalog,
        features: Features,
        rendered: Result<(), Unreadable>,
        start: usize,
        body: &mut Vec<u8>,
    ) -> Answer {
        let Self { shared, core, rendering, metrics, recorder, corrupt_logged_ns, .. } = self;
        let Rendering { outcomes, overflows, .. } = rendering;
        let plan = catalog.plan(features.plan);
        let late = outcomes.contains(&Outcome::TimedOut);
        let answer = match rendered {
            Ok(()) => {
                for (view, outcome) in plan.views.iter().zip(outcomes) {
                    metrics.looked_up(view.view_slot, *outcome);
                }
                metrics.sums_overflowed(*overflows);
                if late && !features.deadline.partial {
                    body.truncate(start);
                    refuse(&Fault::TimedOut, body)
                } else {
                    answer(200, Content::Json)
                }
            }
            Err(unreadable) => {
                if let Unreadable::Now(damage) = &unreadable {
                    report(shared, *core, corrupt_logged_ns, now.monotonic_ns, damage);
                }
                metrics.met_corrupt();
                body.truncate(start);
                refuse(&Fault::Internal, body)
            }
        };
        answered(metrics, recorder, now, plan.service_slot, answer.status, features.seen.at_ns);
        answer
    }

    fn publish(&mut self, now: Now) {
        if let Some(recorder) = &mut self.recorder {
            recorder.publish(now.monotonic_ns, &self.metrics.latency);
        }
        if let Some(recorder) = &mut self.read_recorder {
            recorder.publish(now.monotonic_ns, &self.metrics.read_latency);
        }
    }
}

impl Service for Core {
    fn turn(&mut self, now: Now) {
        self.batch.begin(now.monotonic_ns);
        // Before the look for a new catalog: what is in no file that the catalog names is in what is seen from here on.
        if let Some(overlaid) = &mut self.overlaid {
            overlaid.pin();
        }
        let version = self.shared.version.load(Ordering::Acquire);
        if self.version != Some(version) {
            self.version = Some(version); // before the loads: a change in between is taken up again next turn
            self.catalog = self.shared.catalog.load_full();
            let keys = self.shared.keys.load_full();
            if !Arc::ptr_eq(&keys, &self.keys) {
                self.concurrency.rekey(&self.keys, &keys);
                self.keys = keys;
                self.known = None; // found in the table of before
            }
            self.state = self.shared.state.load_full();
            self.settings = self.shared.settings.load_full();
            self.last_plan = None;
        }
    }

    fn begin(&mut self, now: Now, request: Request<'_>) -> Ticket {
        let seen = self.seen(request.seen_ns, &request.head);
        let known = self.known.take().filter(|_| request.asked);
        let pending = match self.admit(now, &request.head, known) {
            Ok((Route::GetFeatures, Some(granted))) => {
                self.get_features(now, &request.head, request.body, seen, granted)
            }
            Ok((route @ (Route::Ingest | Route::DeleteKeys), Some(granted))) => {
                self.take_write(now, route, &request.head, request.body, seen, granted)
            }
            Err(fault) if is_ingest(request.head.path) => self.refuse_write(&fault, seen),
            Ok((Route::GetFeatures | Route::Ingest | Route::DeleteKeys, None)) => {
                self.batch.refused(&Fault::Unauthenticated, Some(metrics::NONE), seen)
            }
            Ok((Route::Healthz, _)) => Pending::Healthz,
            Ok((Route::Readyz, _)) => Pending::Readyz,
            Ok((Route::Metrics, _)) => Pending::Metrics,
            Ok((Route::Observability, _)) => Pending::Observability,
            Ok((Route::Options { allow }, _)) => Pending::Options { allow },
            Ok((Route::MethodNotAllowed { .. } | Route::NotFound, _)) => {
                self.batch.refused(&Fault::NotFound, Some(metrics::NONE), seen)
            }
            Err(fault) => self.batch.refused(&fault, Some(metrics::NONE), seen),
        };
        self.ticket(pending)
    }

    fn asks(&mut self, now: Now, head: &Head<'_>) -> Asked {
        self.known = None;
        let asked = route(head.method, head.path);
        if !matches!(asked, Route::GetFeatures | Route::Ingest | Route::DeleteKeys) {
            return Asked::Operation;
        }
        let checked = self.keys.check(head.authorization, now.unix_us);
        self.known = Some(checked);
        // Nobody gets room by claiming to be critical with a key that does not exist.
        let Ok(granted) = checked else {
            return Asked::Features { criticality: Criticality::Sheddable, budget_ns: None };
        };
        // What is no budget is told when the request begins.
        let of_field = head.latency_budget_ms.and_then(|text| latency_budget_field(text).ok());
        // A default of the key may be overridden by the body, which nobody has read yet; a cap may not.
        let budget_us = budget::of(of_field, [granted.budget.filter(|budget| budget.cap), None]);
        Asked::Features {
            criticality: granted.criticality(head.criticality),
            budget_ns: budget_us.map(|us| u64::from(us) * 1000),
        }
    }

    fn form(&self, head: &Head<'_>) -> Form {
        if is_ingest(head.path) { WRITES } else { READS }
    }

    fn refused(&mut self, fault: http::Fault, form: Form, body: &mut Vec<u8>) {
        writes::told_by_http(fault, form == WRITES, body);
    }

    fn overloaded(&mut self, _: Now, form: Form, body: &mut Vec<u8>) {
        let fault = Fault::Overloaded;
        if form == WRITES {
            return self.shed_write(body);
        }
        response::error(fault.to_string().as_bytes(), fault.refusal().code, body);
        self.metrics.answered(metrics::NONE, fault.refusal().status);
    }

    fn refuse_early(&mut self, now: Now, head: &Head<'_>) -> Option<Ticket> {
        let fault = self.admit(now, head, None).err()?;
        let seen = self.seen(now.monotonic_ns, head);
        let pending = match is_ingest(head.path) {
            true => self.refuse_write(&fault, seen),
            false => self.batch.refused(&fault, Some(metrics::NONE), seen),
        };
        Some(self.ticket(pending))
    }

    fn gather(&mut self, now: Now) {
        let Self { shared, core, catalog, batch, overlaid, cache, corrupt_logged_ns, .. } = self;
        let now_ns = now.monotonic_ns;
        batch.gather_from(now_ns);
        let Some(catalog) = catalog else { return };
        let recent = overlaid.as_ref().and_then(|overlaid| overlaid.recent(catalog));
        let corrupt = |damage: &Corrupt| report(shared, *core, corrupt_logged_ns, now_ns, damage);
        batch.gather(catalog.tables(), recent, cache, corrupt);
    }

    fn finish(&mut self, now: Now, ticket: Ticket, body: &mut Vec<u8>) -> Finished {
        let Some(pending) = self.batch.pending.get(ticket.0 as usize).copied() else {
            return Finished::Answer(refuse(&Fault::Internal, body));
        };
        Finished::Answer(match pending {
            Pending::Features(features) => return self.features(now, features, body),
            Pending::Write(place) => return self.hand_over(now, place, body),
            Pending::Refused { refusal, message, service_slot, seen, limited } => {
                let server_timing = self.batch.timing(seen, now.monotonic_ns);
                response::error(self.batch.message(message), refusal.code, body);
                if let Some(service_slot) = service_slot {
                    let Self { metrics, recorder, .. } = self;
                    answered(metrics, recorder, now, service_slot, Status(refusal.status), seen.at_ns);
                }
                Answer { server_timing, limited, ..refused(refusal) }
            }
            Pending::Healthz => {
                body.extend_from_slice(b"{\"status\":\"ok\"}");
                answer(200, Content::Json)
            }
            Pending::Readyz => self.readyz(body),
            Pending::Metrics => self.expose(now, body),
            Pending::Observability => self.observability(now, body),
            Pending::Options { allow } => Answer { allow: Some(allow), ..answer(204, Content::None) },
        })
    }

    fn ready(&mut self, _: Now, due: &mut Vec<Waiting>) {
        let Self { writes, waiting, .. } = self;
        writes.take_done(|tag, outcome| due.extend(waiting.write_over(tag, outcome)));
    }

    fn take_reads(&mut self, reads: &mut Vec<Read>) {
        self.waiting.take_reads(reads);
    }

    fn wants(&self, tag: u64) -> bool {
        self.waiting.wants(tag)
    }

    fn read_over(&mut self, now: Now, tag: u64, outcome: Result<&[u8], i32>) -> Option<Waiting> {
        let Self { shared, core, waiting, cache, read_recorder, corrupt_logged_ns, .. } = self;
        let over = waiting.read_over(now.monotonic_ns, tag, outcome, cache);
        if let Some(damage) = &over.damage {
            report(shared, *core, corrupt_logged_ns, now.monotonic_ns, damage);
        }
        if let (Some(recorder), Some(took_ns)) = (read_recorder, over.took_ns) {
            recorder.record(took_ns);
        }
        over.ready
    }

    fn conclude(&mut self, now: Now, waiting: Waiting, body: &mut Vec<u8>) -> Answer {
        match self.waiting.write(waiting) {
            Some(_) => self.written(now, waiting, body),
            None => self.waited(now, waiting, body),
        }
    }

    fn abandon(&mut self, waiting: Waiting) {
        self.waiting.release(waiting);
    }

    fn turned(&mut self, now: Now) {
        self.batch.clear();
        self.writes.clear();
        if let Some(overlaid) = &mut self.overlaid {
            overlaid.pin = None;
        }
        self.decoder.release();
        self.publish(now);
    }

    fn tick(&mut self, now: Now) {
        self.publish(now);
        self.metrics.cache(&self.cache.stats());
    }
}

/// In which form errors are told.
const READS: Form = Form(0);
const WRITES: Form = Form(1);

fn report(shared: &Shared, core: usize, logged_ns: &mut Option<u64>, now_ns: u64, damage: &Corrupt) {
    if logged_ns.is_some_and(|last| now_ns.saturating_sub(last) < LOG_EVERY_NS) {
        return;
    }
    *logged_ns = Some(now_ns);
    shared.log(&format!("core {core}: a request failed: {damage}"));
}
