//! Sockets that only messages in each other's queues refer to: nobody can ever receive them.
//!
//! Nothing in, sockets that are closed out. Always true: a socket is kept if a descriptor or a call refers to it, or
//! one that is kept has it in its queue. Linux looks at times of its own choice; here somebody looks whenever a
//! reference to a socket goes that others remain of.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use shim_abi::SimTime;

use crate::file::{FileId, Object};
use crate::kernel::Kernel;
use crate::socket::SocketId;
use crate::socket::rights::Right;

impl Kernel {
    /// The sockets in a socket's queue, as often as they are there, and those that wait at a listener.
    fn sockets_in_queue(&self, id: SocketId) -> Vec<(SocketId, FileId)> {
        let Ok(unix) = self.sockets.unix(id) else { return Vec::new() };
        let rights = unix.queue.iter().flat_map(|parcel| &parcel.rights);
        let socket_of = |right: &Right| {
            let Right::File(file) = *right else { return None };
            match self.files.get(file).ok()?.object {
                Object::Socket(id) => Some((id, file)),
                _ => None,
            }
        };
        let file_of = |&id: &SocketId| Some((id, self.sockets.get(id).ok()?.file));
        let waiting = unix.listener.iter().flat_map(|listener| &listener.waiting);
        rights.filter_map(socket_of).chain(waiting.filter_map(file_of)).collect()
    }

    /// Whether a socket is in its own queue, or in that of one that is, and so on.
    fn holds_itself(&self, id: SocketId) -> bool {
        let mut found = [id].to_vec();
        let mut seen = BTreeSet::new();
        while let Some(outer) = found.pop() {
            for (inner, _) in self.sockets_in_queue(outer) {
                if inner == id {
                    return true;
                }
                if seen.insert(inner) {
                    found.push(inner);
                }
            }
        }
        false
    }

    /// Close the sockets that nobody can receive any more. If there are such, one of the suspects, to which somebody
    /// has just ceased to refer, holds itself.
    pub(crate) fn collect_sockets(&mut self, now: SimTime, suspects: &[SocketId]) {
        if !suspects.iter().any(|&id| self.holds_itself(id)) {
            return;
        }
        let mut under_way: BTreeMap<SocketId, (FileId, usize)> = BTreeMap::new();
        for &id in self.sockets.sockets.keys() {
            for (inner, file) in self.sockets_in_queue(id) {
                under_way.entry(inner).or_insert((file, 0)).1 += 1;
            }
        }
        let is_held = |id: &&SocketId| {
            let Some(&(file, count)) = under_way.get(id) else { return true };
            self.files.reference_count(file) > count
        };
        let mut found: Vec<SocketId> =
            self.sockets.sockets.keys().filter(is_held).copied().collect();
        let mut kept: BTreeSet<SocketId> = found.iter().copied().collect();
        while let Some(id) = found.pop() {
            for (inner, _) in self.sockets_in_queue(id) {
                if kept.insert(inner) {
                    found.push(inner);
                }
            }
        }
        for id in under_way.into_keys().filter(|id| !kept.contains(id)) {
            let Ok(unix) = self.sockets.unix_mut(id) else { continue };
            let lost = core::mem::take(&mut unix.queue);
            let waiting = unix.listener.as_mut().map(|it| core::mem::take(&mut it.waiting));
            lost.into_iter().for_each(|parcel| self.discard_parcel(now, parcel));
            for id in waiting.unwrap_or_default() {
                if let Ok(file) = self.sockets.get(id).map(|socket| socket.file) {
                    self.release(now, file);
                }
            }
        }
    }
}
