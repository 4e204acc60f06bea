//! A plan as text: one line a change, its fields below, `+` added, `~` changed, `-` removed, `!` what breaks.

use super::{Action, Change, FieldChange, Kind, Plan};

const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";
const BOLD: &str = "1";

pub(super) fn render(plan: &Plan, colour: bool) -> String {
    if plan.is_empty() {
        return "No changes: the definitions mean what is applied already.\n".to_owned();
    }
    let mut page = Page { out: String::new(), colour };
    let mut workspace = None;
    for change in &plan.changes {
        if workspace != Some(&change.workspace) {
            if workspace.is_some() {
                page.line(0, "");
            }
            workspace = Some(&change.workspace);
            page.workspace(change);
        }
        if change.kind != Kind::Workspace {
            page.change(change);
        }
    }
    page.line(0, "");
    let summary = page.paint(BOLD, &plan.summary());
    page.line(0, &summary);
    page.consequences(plan);
    page.out
}

#[derive(Debug)]
struct Page {
    out: String,
    colour: bool,
}

impl Page {
    fn workspace(&mut self, first: &Change) {
        let symbol = match first.kind {
            Kind::Workspace => format!("{} ", self.symbol(first.action)),
            _ => String::new(),
        };
        let title = self.paint(BOLD, &format!("workspace {}", first.workspace));
        self.line(0, &format!("{symbol}{title}"));
    }

    fn change(&mut self, change: &Change) {
        let title = self.paint(BOLD, &format!("{} {}", change.kind.name(), change.name));
        let note = if change.materialize { "  (materialize)" } else { "" };
        let symbol = self.symbol(change.action);
        self.line(1, &format!("{symbol} {title}{note}"));
        let width = change.fields.iter().map(|field| field.field.chars().count()).max().unwrap_or(0);
        for field in &change.fields {
            self.field(field, width.min(FIELD_WIDTH_MAX));
        }
        for reason in &change.breaks {
            let mark = self.paint(RED, "!");
            self.line(3, &format!("{mark} {reason}"));
        }
    }

    fn field(&mut self, change: &FieldChange, width: usize) {
        let (action, value) = match (&change.old, &change.new) {
            (None, new) => (Action::Add, new.clone().unwrap_or_default()),
            (Some(old), None) => (Action::Remove, old.clone()),
            (Some(old), Some(new)) => (Action::Change, format!("{old} → {new}")),
        };
        let symbol = self.symbol(action);
        self.line(3, &format!("{symbol} {:width$}  {value}", change.field));
    }

    fn consequences(&mut self, plan: &Plan) {
        let views: Vec<_> = plan.to_materialize().map(|(workspace, view)| format!("{workspace}/{view}")).collect();
        if !views.is_empty() {
            self.line(0, &format!("To materialize: {}.", views.join(", ")));
        }
        let interrupted = plan.interrupted.iter();
        let interrupted: Vec<_> =
            interrupted.map(|gone| format!("{} {}/{}", gone.kind.name(), gone.workspace, gone.name)).collect();
        if !interrupted.is_empty() {
            let what = format!("Not served from apply until materialized: {}.", interrupted.join(", "));
            self.line(0, &format!("{} `gannet apply --materialize` leaves no such gap.", self.paint(YELLOW, &what)));
        }
        let breaking = plan.changes.iter().filter(|change| !change.breaks.is_empty()).count();
        if breaking > 0 {
            let (noun, verb) = if breaking == 1 { ("change", "breaks") } else { ("changes", "break") };
            let warning = self.paint(RED, &format!("{breaking} {noun} {verb} what somebody may rely on (marked !)."));
            self.line(0, &warning);
        }
    }

    fn symbol(&self, action: Action) -> String {
        match action {
            Action::Add => self.paint(GREEN, "+"),
            Action::Change => self.paint(YELLOW, "~"),
            Action::Remove => self.paint(RED, "-"),
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(&mut self, level: usize, text: &str) {
        if !text.is_empty() {
            self.out.push_str(&"  ".repeat(level));
            self.out.push_str(text.trim_end());
        }
        self.out.push('\n');
    }
}

/// Longer field names push their own value to the right, not everybody's.
const FIELD_WIDTH_MAX: usize = 48;
