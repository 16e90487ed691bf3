//! What holds for the calls on sockets, and for what is under way in them, whatever happens.
//!
//! A call's number in, its manual page's errors out. Always true: an error that is not listed is a defect. The random
//! calls and events are in [`crate::properties`].

use std::vec::Vec;

use shim_abi::Errno;
use shim_abi::calls::{PSEUDO_BIND_PATH, PSEUDO_TAKE_FILE, PSEUDO_TAKE_RIGHTS, nr};

use super::rights::Right;
use super::{SocketId, Sockets, Unix};
use crate::file::FileId;

impl Sockets {
    /// The files that rights stand for, as often as they do. What is counted is right, too.
    pub(crate) fn held(&self) -> Vec<FileId> {
        let mut charges = std::collections::BTreeMap::new();
        let mut rights: Vec<Right> = Vec::new();
        for socket in self.sockets.values() {
            let Ok(unix) = socket.family.unix() else { continue };
            for (sender, charge_bytes, of_parcel) in unix.parcels() {
                *charges.entry(sender).or_insert(0) += charge_bytes;
                rights.extend(of_parcel);
            }
        }
        assert_eq!(self.rights_under_way, rights.len());
        for (id, charged_bytes) in self.unix_names.ghosts() {
            assert_eq!(charges.get(&id), Some(&charged_bytes));
        }
        let untaken: Vec<SocketId> = self
            .sockets
            .values()
            .filter_map(|s| s.family.unix().ok())
            .flat_map(Unix::untaken)
            .collect();
        assert!(self.unix_names.found().all(|id| self.sockets.contains_key(&id)));
        for (&id, socket) in &self.sockets {
            let Ok(unix) = socket.family.unix() else { continue };
            assert_eq!(unix.charged_bytes(), charges.get(&id).copied().unwrap_or(0));
        }
        rights.extend(self.calls.values().flat_map(|call| &call.baggage.rights));
        rights.extend(self.arrived.values().flatten());
        let file_of = |id: SocketId| self.get(id).expect("it waits to be taken").file;
        let mut natives = std::collections::BTreeMap::new();
        let files = rights.into_iter().filter_map(|right| match right {
            Right::File(file) => Some(file),
            Right::Native(number) => {
                *natives.entry(number).or_insert(0) += 1;
                None
            }
        });
        let files: Vec<FileId> = files.collect();
        assert_eq!(self.natives.counts(), &natives);
        files.into_iter().chain(untaken.into_iter().map(file_of)).collect()
    }
}

/// The errors that a call may fail with; `None` for a call that is not here.
pub(crate) fn allowed(number: u32) -> Option<&'static [Errno]> {
    const EACCES: Errno = Errno::EACCES;
    const EADDRINUSE: Errno = Errno::EADDRINUSE;
    const EADDRNOTAVAIL: Errno = Errno::EADDRNOTAVAIL;
    const EALREADY: Errno = Errno::EALREADY;
    const EDESTADDRREQ: Errno = Errno::EDESTADDRREQ;
    const EINPROGRESS: Errno = Errno::EINPROGRESS;
    const ENETUNREACH: Errno = Errno::ENETUNREACH;
    const ENODEV: Errno = Errno::ENODEV;
    const ENOENT: Errno = Errno::ENOENT;
    const ETIMEDOUT: Errno = Errno::ETIMEDOUT;
    const EAFNOSUPPORT: Errno = Errno::EAFNOSUPPORT;
    const EAGAIN: Errno = Errno::EAGAIN;
    const EBADF: Errno = Errno::EBADF;
    const ECONNABORTED: Errno = Errno::ECONNABORTED;
    const ECONNREFUSED: Errno = Errno::ECONNREFUSED;
    const ECONNRESET: Errno = Errno::ECONNRESET;
    const EDOM: Errno = Errno::EDOM;
    const EFAULT: Errno = Errno::EFAULT;
    const EINTR: Errno = Errno::EINTR;
    const EINVAL: Errno = Errno::EINVAL;
    const EISCONN: Errno = Errno::EISCONN;
    const EMFILE: Errno = Errno::EMFILE;
    const EMSGSIZE: Errno = Errno::EMSGSIZE;
    const ENOBUFS: Errno = Errno::ENOBUFS;
    const ENODATA: Errno = Errno::ENODATA;
    const ENOPROTOOPT: Errno = Errno::ENOPROTOOPT;
    const ENOTCONN: Errno = Errno::ENOTCONN;
    const ENOTSOCK: Errno = Errno::ENOTSOCK;
    const EOPNOTSUPP: Errno = Errno::EOPNOTSUPP;
    const EPERM: Errno = Errno::EPERM;
    const EPIPE: Errno = Errno::EPIPE;
    const EPROTOTYPE: Errno = Errno::EPROTOTYPE;
    const EPROTONOSUPPORT: Errno = Errno::EPROTONOSUPPORT;
    const ESOCKTNOSUPPORT: Errno = Errno::ESOCKTNOSUPPORT;
    const ETOOMANYREFS: Errno = Errno::ETOOMANYREFS;
    const RESTART: Errno = Errno::ERESTARTSYS;
    Some(match number {
        nr::socket => {
            &[EACCES, EAFNOSUPPORT, EBADF, EINVAL, EMFILE, EPERM, EPROTONOSUPPORT, ESOCKTNOSUPPORT]
        }
        nr::socketpair => {
            &[EAFNOSUPPORT, EBADF, EINVAL, EMFILE, EOPNOTSUPP, EPROTONOSUPPORT, ESOCKTNOSUPPORT]
        }
        nr::sendto => &[
            EACCES,
            EAFNOSUPPORT,
            EAGAIN,
            EBADF,
            ECONNREFUSED,
            ECONNRESET,
            EDESTADDRREQ,
            EFAULT,
            EINTR,
            EINVAL,
            EISCONN,
            EMSGSIZE,
            ENETUNREACH,
            ENOTCONN,
            ENOTSOCK,
            EOPNOTSUPP,
            EPERM,
            EPIPE,
            EPROTOTYPE,
            ETIMEDOUT,
            RESTART,
        ],
        nr::sendmsg => &[
            EACCES,
            EAFNOSUPPORT,
            EAGAIN,
            EBADF,
            ECONNREFUSED,
            ECONNRESET,
            EDESTADDRREQ,
            EFAULT,
            EINTR,
            EINVAL,
            EISCONN,
            EMSGSIZE,
            ENETUNREACH,
            ENOBUFS,
            ENOTCONN,
            ENOTSOCK,
            EOPNOTSUPP,
            EPERM,
            EPIPE,
            EPROTOTYPE,
            ETIMEDOUT,
            ETOOMANYREFS,
            RESTART,
        ],
        nr::recvfrom | nr::recvmsg => &[
            EAGAIN,
            EBADF,
            ECONNREFUSED,
            ECONNRESET,
            EFAULT,
            EINTR,
            EINVAL,
            EMSGSIZE,
            ENOTCONN,
            ENOTSOCK,
            EOPNOTSUPP,
            EPIPE,
            ETIMEDOUT,
            RESTART,
        ],
        nr::shutdown => &[EBADF, EINVAL, ENOTCONN, ENOTSOCK],
        nr::getsockname => &[EBADF, EFAULT, EINVAL, ENOTSOCK],
        nr::getpeername => &[EBADF, EFAULT, EINVAL, ENOTCONN, ENOTSOCK],
        nr::bind => {
            &[EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EBADF, EFAULT, EINVAL, ENOTSOCK]
        }
        PSEUDO_BIND_PATH => &[EBADF, EFAULT, EINVAL, ENOTSOCK],
        nr::connect => &[
            EACCES,
            EADDRNOTAVAIL,
            EAFNOSUPPORT,
            EAGAIN,
            EALREADY,
            EBADF,
            ECONNABORTED,
            ECONNREFUSED,
            ECONNRESET,
            EFAULT,
            EINPROGRESS,
            EINTR,
            EINVAL,
            EISCONN,
            ENETUNREACH,
            ENOTSOCK,
            EPERM,
            EPROTOTYPE,
            ETIMEDOUT,
            RESTART,
        ],
        nr::listen => &[EADDRINUSE, EBADF, EINVAL, ENOTSOCK, EOPNOTSUPP],
        nr::accept | nr::accept4 => &[
            EAGAIN,
            EBADF,
            ECONNABORTED,
            EFAULT,
            EINTR,
            EINVAL,
            EMFILE,
            ENOTSOCK,
            EOPNOTSUPP,
            RESTART,
        ],
        nr::setsockopt => &[
            EACCES,
            EADDRINUSE,
            EADDRNOTAVAIL,
            EBADF,
            EDOM,
            EFAULT,
            EINVAL,
            ENODEV,
            ENOENT,
            ENOPROTOOPT,
            ENOTSOCK,
            EOPNOTSUPP,
            EPERM,
        ],
        nr::getsockopt => {
            &[EBADF, EFAULT, EINVAL, EMFILE, ENODATA, ENOPROTOOPT, ENOTCONN, ENOTSOCK, EOPNOTSUPP]
        }
        PSEUDO_TAKE_RIGHTS => &[EFAULT],
        PSEUDO_TAKE_FILE => &[EBADF],
        _ => return None,
    })
}

/// Whether a call may wait.
pub(crate) fn may_wait(number: u32) -> bool {
    matches!(number, nr::sendto | nr::sendmsg | nr::recvfrom | nr::recvmsg)
        || matches!(number, nr::accept | nr::accept4 | nr::connect)
}
