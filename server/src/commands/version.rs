//! `gannet version`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use gannet_store::directory::{FORMAT_VERSION, FORMAT_VERSION_OLDEST};

use crate::output;

/// Print versions and what this kernel offers.
#[derive(Debug, Args)]
pub(crate) struct Version {}

impl Version {
    pub(crate) fn run(self) -> Result<ExitCode> {
        output::say(format_args!("gannet {}", env!("CARGO_PKG_VERSION")))?;
        output::say(format_args!("data format {FORMAT_VERSION} (reads from {FORMAT_VERSION_OLDEST})"))?;
        let release = read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned());
        output::say(format_args!("kernel {release}: {}", enough(&release)))?;
        let io_uring = match read("/proc/sys/kernel/io_uring_disabled").as_deref() {
            None | Some("0") => "allowed",
            Some("1") => "for privileged processes only (kernel.io_uring_disabled = 1)",
            Some(_) => "disabled (kernel.io_uring_disabled = 2)",
        };
        output::say(format_args!("io_uring {io_uring}"))?;
        let huge = read("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_else(|| "unknown".to_owned());
        output::say(format_args!("transparent huge pages {}", chosen(&huge)))?;
        let cores = gannet_engine::server::allowed_cpus();
        output::say(format_args!("cores allowed {}", crate::serving::cores::text(&cores)))?;
        let limit = |resource: rlimit::Resource| resource.get().map_or(0, |(_, hard)| hard);
        let shown = |limit: u64| if limit == rlimit::INFINITY { "unlimited".to_owned() } else { limit.to_string() };
        output::say(format_args!("open files at most {}", shown(limit(rlimit::Resource::NOFILE))))?;
        output::say(format_args!("locked memory at most {} bytes", shown(limit(rlimit::Resource::MEMLOCK))))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn read(file: &str) -> Option<String> {
    std::fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
}

/// The word in brackets: `always [madvise] never`.
fn chosen(text: &str) -> &str {
    text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or(text, |(chosen, _)| chosen)
}

fn enough(release: &str) -> &'static str {
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) >= KERNEL_OLDEST => "new enough",
        (Some(_), Some(_)) => "too old, 6.1 is needed",
        _ => "unknown",
    }
}

/// DEFER_TASKRUN came with it.
const KERNEL_OLDEST: (u32, u32) = (6, 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_compared_by_number() {
        assert_eq!(enough("6.18.44-fc"), "new enough");
        assert_eq!(enough("6.1.0-30-amd64"), "new enough");
        assert_eq!(enough("5.15.0"), "too old, 6.1 is needed");
        assert_eq!(enough("odd"), "unknown");
    }

    #[test]
    fn the_choice_is_in_brackets() {
        assert_eq!(chosen("always [madvise] never"), "madvise");
    }
}
