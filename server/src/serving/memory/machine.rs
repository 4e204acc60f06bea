//! How much memory there is: the machine's, or what control groups leave of it, as files of the kernel tell.

use std::{fs, path::Path};

/// What this process may use at most: the smallest limit of its control groups, or all that the machine has. The kernel's files are
/// looked for below `root`.
pub(super) fn memory_bytes(root: &Path) -> u64 {
    let machine = fs::read_to_string(root.join("proc/meminfo")).ok().and_then(|text| total(&text)).unwrap_or(u64::MAX);
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    machine.min(limit_of_groups(&groups, &root.join("sys/fs/cgroup")))
}

/// `MemTotal` in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The smallest memory limit on the way from the process's control group to the root, in either version of the interface.
fn limit_of_groups(groups: &str, mount: &Path) -> u64 {
    let mut smallest = u64::MAX;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (folder, file) = match controllers {
            "" => (mount.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|controller| controller == "memory") => {
                (mount.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // A container sees its own group at the mount point, under whatever path it has outside.
        for ancestor in Path::new(path.trim_start_matches('/')).ancestors() {
            let limit = fs::read_to_string(folder.join(ancestor).join(file)).ok();
            if let Some(limit) = limit.and_then(|text| text.trim().parse().ok()) {
                smallest = smallest.min(limit); // `max` is no number, and no limit
            }
        }
    }
    smallest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    const GIB: u64 = 1 << 30;

    /// A machine of 16 GiB with these files below `/sys/fs/cgroup`.
    #[track_caller]
    fn check(groups: &str, files: &[(&str, &str)], expected: u64) {
        let root = Scratch::new();
        root.write("proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\n");
        root.write("proc/self/cgroup", groups);
        for (path, text) in files {
            root.write(&format!("sys/fs/cgroup/{path}"), text);
        }
        assert_eq!(memory_bytes(root.path()), expected, "{groups} {files:?}");
    }

    #[test]
    fn the_machines_memory_is_read() {
        assert_eq!(total("MemTotal:       24601432 kB\nMemFree: 1 kB\n"), Some(24_601_432 * 1024));
        assert_eq!(total("nothing"), None);
        assert!(memory_bytes(Path::new("/")) > 1 << 26);
        let nothing = Scratch::new();
        assert_eq!(memory_bytes(nothing.path()), u64::MAX);
    }

    #[test]
    fn version_2_has_one_tree_and_the_smallest_limit_on_the_way_up_counts() {
        let slice = "0::/kubepods.slice/pod1.slice/gannet.scope\n";
        let at = |folder: &str, text| (format!("kubepods.slice/{folder}memory.max"), text);
        let limits = |own, pod, all| {
            let files = [at("pod1.slice/gannet.scope/", own), at("pod1.slice/", pod), at("", all)];
            files.map(|(path, text)| (path, text))
        };
        for (own, pod, all, expected) in [
            ("max\n", "max\n", "max\n", 16 * GIB),
            ("1073741824\n", "max\n", "max\n", GIB),
            ("max\n", "2147483648\n", "max\n", 2 * GIB),
            ("4294967296\n", "2147483648\n", "3221225472\n", 2 * GIB),
            ("68719476736\n", "max\n", "max\n", 16 * GIB),
            ("", "x", "-1", 16 * GIB),
        ] {
            let files = limits(own, pod, all);
            check(slice, &files.each_ref().map(|(path, text)| (path.as_str(), *text)), expected);
        }
        check(slice, &[], 16 * GIB); // no controller for memory, or nothing mounted
        check(slice, &[("other.slice/memory.max", "1")], 16 * GIB);
    }

    /// Under a name space of its own the path is `/`; without, the path is the host's and the mount shows the container's alone.
    #[test]
    fn a_container_finds_its_limit_at_the_mount() {
        for groups in ["0::/\n", "0::/docker/6f3a\n", "0::/../6f3a\n"] {
            check(groups, &[("memory.max", "536870912\n"), ("memory.current", "1\n")], GIB / 2);
        }
    }

    #[test]
    fn version_1_has_a_tree_for_memory() {
        let memory = [
            ("memory/c/memory.limit_in_bytes", "1073741824\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("cpu/a/memory.limit_in_bytes", "1\n"),
        ];
        check("5:cpu:/a\n4:memory:/c\n", &memory, GIB);
        check("4:cpu,memory:/c\n", &memory, GIB);
        check("4:memory:/elsewhere\n", &memory, 16 * GIB);
        check("4:name=memory:/c\n", &memory, 16 * GIB);
    }

    #[test]
    fn both_versions_at_once_and_lines_that_mean_nothing() {
        let both = [("memory/c/memory.limit_in_bytes", "2147483648\n"), ("a/memory.max", "1073741824\n")];
        check("4:cpu,memory:/c\n0::/a\n", &both, GIB);
        check("4:cpu,memory:/c\n0::/b\n", &both, 2 * GIB);
        check("", &both, 16 * GIB);
        check("nonsense\n0\n::\n", &both, 16 * GIB);
    }
}
