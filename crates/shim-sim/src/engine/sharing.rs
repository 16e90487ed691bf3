//! Files that several hosts of a simulation opened for writing: there they are not separate machines.
//!
//! What each host opened in, [`SharedFile`]s out. Always true: a host's own folders do not count, nor what
//! is no file of a disk; the order is that of paths and of hosts. How hosts get folders of their own is told in
//! the configuration (`private`, `overlay`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::scenario::Files;

/// A file that several hosts opened for writing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SharedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Which hosts.
    pub hosts: Vec<String>,
}

/// Who opened what.
#[derive(Default)]
pub(super) struct Sharing {
    writers: BTreeMap<PathBuf, Vec<String>>,
}

impl Sharing {
    /// These files were opened by the host of this name.
    pub(super) fn add(
        &mut self,
        host: &str,
        own: &Files,
        files: impl IntoIterator<Item = PathBuf>,
    ) {
        let is_own = |path: &Path| {
            own.private.iter().chain(&own.overlay).any(|folder| path.starts_with(folder))
        };
        for path in files {
            if !is_own(&path) && !path.starts_with("/proc") && !path.starts_with("/sys") {
                self.writers.entry(path).or_default().push(host.to_owned());
            }
        }
    }

    /// Those that more than one opened.
    pub(super) fn finish(self) -> Vec<SharedFile> {
        let shared = self.writers.into_iter().filter(|(_, hosts)| hosts.len() > 1);
        shared.map(|(path, hosts)| SharedFile { path, hosts }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_two_hosts_share_is_told() {
        let mut sharing = Sharing::default();
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        let own = Files { private: paths(&["/run"]), overlay: paths(&["/etc"]) };
        let files = ["/tmp/x", "/run/x", "/etc/x", "/proc/7/comm", "/srv/a"];
        sharing.add("a", &own, paths(&files));
        sharing.add("b", &own, paths(&files[..4]));
        sharing.add("c", &Files::default(), paths(&["/run/x"]));
        let hosts = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(sharing.finish(), [SharedFile { path: "/tmp/x".into(), hosts }]);
    }
}
