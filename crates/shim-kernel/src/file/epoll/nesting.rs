//! Instances that watch instances: no loops, and not too deep.
//!
//! Two instances in, yes or no out. Always true: afterwards no chain of instances is longer than five, so
//! whoever follows one ends. Linux's limit on the number of paths (EINVAL beyond 500 of them) is not kept.

use alloc::collections::BTreeMap;

use shim_abi::Errno;

use crate::file::table::{FileId, Files};

/// How many instances may lie below one.
const MAX_DEPTH: u32 = 4;

impl Files {
    /// ELOOP if `outer` may not watch `inner`.
    pub(super) fn check_nesting(&self, outer: FileId, inner: FileId) -> Result<(), Errno> {
        let below = self.depth_below(inner, outer, &mut BTreeMap::new()).ok_or(Errno::ELOOP)?;
        let above = self.depth_above(outer, &mut BTreeMap::new());
        if below + 1 + above > MAX_DEPTH { Err(Errno::ELOOP) } else { Ok(()) }
    }

    /// How many levels of instances are below one; `None` if `sought` is among them.
    fn depth_below(
        &self,
        id: FileId,
        sought: FileId,
        known: &mut BTreeMap<FileId, u32>,
    ) -> Option<u32> {
        if id == sought {
            return None;
        }
        if let Some(&depth) = known.get(&id) {
            return Some(depth);
        }
        let mut depth = 0;
        for key in self.epoll(id)?.keys() {
            if let Some(inner) = key.file.filter(|&file| self.epoll(file).is_some()) {
                depth = depth.max(self.depth_below(inner, sought, known)? + 1);
            }
        }
        known.insert(id, depth);
        Some(depth)
    }

    /// How many levels of instances watch one.
    fn depth_above(&self, id: FileId, known: &mut BTreeMap<FileId, u32>) -> u32 {
        if let Some(&depth) = known.get(&id) {
            return depth;
        }
        let watchers = self.get(id).map(|file| file.watchers.as_slice()).unwrap_or_default();
        let levels = watchers.iter().map(|watcher| self.depth_above(watcher.epoll, known) + 1);
        let depth = levels.max().unwrap_or(0);
        known.insert(id, depth);
        depth
    }
}
