//! `gannet version`.

use std::{path::Path, process::ExitCode};

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
        for told in kernel(Path::new("/")) {
            output::say(told)?;
        }
        let cores = gannet_engine::server::allowed_cpus();
        output::say(format_args!("cores allowed {}", crate::serving::cores::text(&cores)))?;
        let limit = |resource: rlimit::Resource| resource.get().map_or(0, |(_, hard)| hard);
        let shown = |limit: u64| if limit == rlimit::INFINITY { "unlimited".to_owned() } else { limit.to_string() };
        output::say(format_args!("open files at most {}", shown(limit(rlimit::Resource::NOFILE))))?;
        output::say(format_args!("locked memory at most {} bytes", shown(limit(rlimit::Resource::MEMLOCK))))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What the kernel's files below `root` say of what a server needs.
fn kernel(root: &Path) -> [String; 3] {
    let read = |file| std::fs::read_to_string(root.join(file)).ok().map(|text| text.trim().to_owned());
    let release = read("proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned());
    let io_uring = match read("proc/sys/kernel/io_uring_disabled").as_deref() {
        None | Some("0") => "allowed",
        Some("1") => "for privileged processes only (kernel.io_uring_disabled = 1)",
        Some(_) => "disabled (kernel.io_uring_disabled = 2)",
    };
    let huge = read("sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_else(|| "unknown".to_owned());
    [
        format!("kernel {release}: {}", enough(&release)),
        format!("io_uring {io_uring}"),
        format!("transparent huge pages {}", chosen(&huge)),
    ]
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
    use crate::scratch::Scratch;

    #[test]
    fn kernels_are_compared_by_number() {
        assert_eq!(enough("6.18.44-fc"), "new enough");
        assert_eq!(enough("6.1.0-30-amd64"), "new enough");
        assert_eq!(enough("5.15.0"), "too old, 6.1 is needed");
        assert_eq!(enough("odd"), "unknown");
    }

    #[test]
    fn what_the_kernel_allows_is_told() {
        let root = Scratch::new();
        assert_eq!(
            kernel(root.path()),
            ["kernel unknown: unknown", "io_uring allowed", "transparent huge pages unknown"]
        );
        root.write("proc/sys/kernel/osrelease", "5.15.0-91-generic\n");
        root.write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
        for (disabled, expected) in [
            ("0\n", "io_uring allowed"),
            ("1\n", "io_uring for privileged processes only (kernel.io_uring_disabled = 1)"),
            ("2\n", "io_uring disabled (kernel.io_uring_disabled = 2)"),
        ] {
            root.write("proc/sys/kernel/io_uring_disabled", disabled);
            let release = "kernel 5.15.0-91-generic: too old, 6.1 is needed";
            assert_eq!(kernel(root.path()), [release, expected, "transparent huge pages madvise"]);
        }
    }

    #[test]
    fn the_choice_is_in_brackets() {
        assert_eq!(chosen("always [madvise] never"), "madvise");
    }
}
