//! Room for many hosts within this process's limits.
//!
//! A number of hosts in, a raised limit or a sentence out. Always true: the soft limit of descriptors
//! is raised as far as the hard one allows, which needs no privilege; guests do not notice, their limits are
//! virtual.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Two memory files and the kernel's arena.
const DESCRIPTORS_PER_HOST: u64 = 3;
/// Mount namespace, root and working directory.
const DESCRIPTORS_PER_VIEW: u64 = 3;
/// Loopback and the interface to others.
const DESCRIPTORS_PER_CAPTURE: u64 = 2;
/// The simulator's own: standard streams, launcher, files that are open for a moment.
const DESCRIPTORS_OURS: u64 = 64;

/// Make room for the descriptors of `hosts` hosts, `views` of which have folders of their own, and `captures` their packets
/// recorded, and of `traces` open files.
pub(super) fn make_room(
    hosts: usize,
    views: usize,
    captures: usize,
    traces: usize,
) -> Result<(), String> {
    let needed = DESCRIPTORS_OURS
        + DESCRIPTORS_PER_HOST * hosts as u64
        + DESCRIPTORS_PER_VIEW * views as u64
        + DESCRIPTORS_PER_CAPTURE * captures as u64
        + traces as u64;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)
        .map_err(|error| format!("cannot ask for the limit of open files: {error}"))?;
    if needed <= soft {
        return Ok(());
    }
    if needed > hard {
        return Err(format!(
            "{hosts} hosts need {needed} open files, and the hard limit is {hard}: raise it (ulimit -Hn)"
        ));
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
        .map_err(|error| format!("cannot raise the limit of open files to {hard}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_told_in_numbers() {
        make_room(1, 1, 1, 0).unwrap();
        let error = make_room(1_000_000_000, 0, 0, 7).unwrap_err();
        assert!(error.contains("3000000071 open files"), "{error}");
        assert!(error.contains("ulimit -Hn"), "{error}");
    }
}
