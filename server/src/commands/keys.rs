//! `gannet keys`.

use std::{num::NonZeroU32, path::Path, process::ExitCode};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, Subcommand};
use gannet_api::{
    LatencyBudget,
    auth::{KEY_RANDOM_BYTES, KeyRecord, KeyTable, Role, Roles, create_key},
};
use gannet_engine::admission::Criticality;
use gannet_store::directory::DataDirectory;

use crate::{clock, keys, output, text};

/// Manage API keys. A running server takes up changes within a second.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gannet keys create --description 'checkout service'
  gannet keys create --description 'batch job' --latency-budget 50ms --budget-cap
  gannet keys create --description 'backfill' --criticality sheddable --concurrency-max 16
  gannet keys create --description 'event forwarder' --role prod=editor
  gannet keys list
  gannet keys revoke 3kPz91LmQ

Callers send a key as `Authorization: Tecton-key <key>` or `Authorization: Bearer <key>`.")]
pub(crate) struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key and print it, this once: only its hash is stored
    Create(Create),
    /// List all keys, revoked ones included
    List,
    /// Refuse a key from now on
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct Create {
    /// What or whom the key is for
    #[arg(long, default_value = "")]
    description: String,

    /// Becomes part of the key, so that one found somewhere tells where it belongs; lower-case letters and digits
    #[arg(long, value_name = "NAME", default_value = "live", value_parser = environment)]
    environment: String,

    /// Refuse the key after so many days [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
    expires_in_days: Option<u16>,

    /// For requests with this key that set no latency budget themselves, such as 20ms, 0.5ms or 1s [default: none]
    #[arg(long, value_name = "TIME", value_parser = latency_budget)]
    latency_budget: Option<u32>,

    /// Requests with this key may ask for a shorter latency budget, but not for a longer one
    #[arg(long, requires = "latency_budget")]
    budget_cap: bool,

    /// How much is lost if a request with this key is refused under overload: critical, default or sheddable. Requests may say that
    /// they are less critical, but not more [default: what they say themselves]
    #[arg(long, value_name = "CLASS", value_parser = criticality)]
    criticality: Option<Criticality>,

    /// How many requests with this key may be in progress; each core lets in its part, rounded up [default: any number]
    #[arg(long, value_name = "N")]
    concurrency_max: Option<NonZeroU32>,

    /// What the key may do: viewer, consumer (reads features), editor (also writes and deletes) or admin; in every workspace, or as
    /// `prod=editor` in one. May be given several times; the higher counts [default: consumer]
    #[arg(long = "role", value_name = "[WORKSPACE=]ROLE", value_parser = role)]
    roles: Vec<(Option<String>, Role)>,
}

#[derive(Debug, Args)]
struct Revoke {
    /// The key's id, as `gannet keys list` shows it
    id: String,
}

impl Keys {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        match self.command {
            Command::Create(create) => create.run(&directory(root)?)?,
            Command::List => list(&super::open(root)?)?,
            Command::Revoke(revoke) => revoke.run(&super::open(root)?)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    fn run(self, data: &DataDirectory) -> Result<()> {
        let mut random = [0; KEY_RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|e| anyhow!("no randomness from the kernel: {e}"))?;
        let now_us = clock::unix_us();
        let (key, mut record) = create_key(&random, &self.environment, &self.description, now_us);
        record.expires_at_us = self.expires_in_days.map(|days| now_us + i64::from(days) * DAY_US);
        record.latency_budget = self.latency_budget.map(|us| LatencyBudget { us, cap: self.budget_cap });
        record.criticality = self.criticality;
        record.concurrency_max = self.concurrency_max;
        if !self.roles.is_empty() {
            record.roles = Roles::none();
            self.roles.iter().for_each(|(workspace, role)| record.roles.add(workspace.as_deref(), *role));
        }
        let id = record.id.clone();
        keys::change(data, |table| Ok((with(&table, record)?, ())))?;
        output::note(format_args!("Created key {id}. It is shown this once:"));
        output::say(key) // alone on stdout, so that it can be piped into a secret store
    }
}

/// The data directory that a key is made in; a folder that was prepared for one becomes one. A path with nothing there is more likely
/// mistyped than meant: a key in a directory that nobody serves is let in nowhere.
fn directory(root: &Path) -> Result<DataDirectory> {
    if !root.is_dir() {
        return super::open(root);
    }
    DataDirectory::create(root).context("cannot open the data directory")
}

/// The table with one more record.
fn with(table: &KeyTable, record: KeyRecord) -> Result<KeyTable> {
    let mut records = table.records().to_vec();
    records.push(record);
    Ok(KeyTable::new(records)?)
}

impl Revoke {
    fn run(self, data: &DataDirectory) -> Result<()> {
        let changed = keys::change(data, |table| {
            let mut records = table.records().to_vec();
            let Some(record) = records.iter_mut().find(|record| record.id == self.id) else {
                bail!("there is no key with the id `{}`; see `gannet keys list`", self.id);
            };
            let changed = !std::mem::replace(&mut record.revoked, true);
            Ok((KeyTable::new(records)?, changed))
        })?;
        let what = if changed { "Revoked" } else { "Already revoked:" };
        output::say(format_args!("{what} key {}.", self.id))
    }
}

fn list(data: &DataDirectory) -> Result<()> {
    let table = keys::read(data)?;
    if table.records().is_empty() {
        return output::say("No keys. Make one with `gannet keys create`.");
    }
    let now_us = clock::unix_us();
    let heading = format!("{:<12} {:<8} {:<28} {:<28} {:<12} ", "ID", "STATE", "CREATED", "EXPIRES", "BUDGET");
    output::say(format_args!("{heading}{:<12} {:<12} {:<20} DESCRIPTION", "CRITICALITY", "CONCURRENCY", "ROLES"))?;
    for record in table.records() {
        let state = match record.expires_at_us {
            _ if record.revoked => "revoked",
            Some(at) if at <= now_us => "expired",
            _ => "active",
        };
        let created = text::time(record.created_at_us);
        let expires = record.expires_at_us.map_or_else(|| "never".to_owned(), text::time);
        let budget = match record.latency_budget {
            None => "none".to_owned(),
            Some(budget) => format!("{}{}", budget.text(), if budget.cap { " cap" } else { "" }),
        };
        let criticality = record.criticality.map_or("as said", Criticality::label);
        let concurrency = record.concurrency_max.map_or_else(|| "any".to_owned(), |max| max.to_string());
        let roles = record.roles.to_string();
        let line = format!(
            "{:<12} {state:<8} {created:<28} {expires:<28} {budget:<12} {criticality:<12} {concurrency:<12} {roles:<20} {}",
            record.id, record.description
        );
        output::say(line.trim_end())?;
    }
    Ok(())
}

fn environment(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if fits { Ok(text.to_owned()) } else { Err("expected lower-case letters and digits, such as prod".to_owned()) }
}

fn latency_budget(text: &str) -> Result<u32, String> {
    LatencyBudget::parse(text).ok_or_else(|| format!("expected {}", LatencyBudget::EXPECTED))
}

fn criticality(text: &str) -> Result<Criticality, String> {
    Criticality::from_label(text.as_bytes()).ok_or_else(|| "expected critical, default or sheddable".to_owned())
}

fn role(text: &str) -> Result<(Option<String>, Role), String> {
    let (workspace, role) = match text.split_once('=') {
        Some((workspace, role)) => (Some(workspace), role),
        None => (None, text),
    };
    let expected = || "expected viewer, consumer, editor or admin, or one of them in a workspace, such as prod=editor";
    let role = Role::from_label(role).filter(|_| workspace != Some("")).ok_or_else(expected)?;
    Ok((workspace.map(str::to_owned), role))
}

const DAY_US: i64 = 86_400_000_000;
