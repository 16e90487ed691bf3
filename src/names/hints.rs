//! Which socket types and protocols a question means.
//!
//! A socket type and a protocol, 0 for any, and a service in; the combinations that results have, each
//! with its port, out. Always true: the table, its order and what fails are glibc's; a protocol of
//! [`SOCK_RAW`](libc::SOCK_RAW) is whatever was asked for, and has no ports. Finding a port by a name is
//! `services`.

use core::ffi::c_int;

use super::Failure;
use super::services::{self, Service};

/// A socket type, a protocol and a port (as a number) that a result has.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// `SOCK_*`.
    pub socktype: c_int,
    /// `IPPROTO_*`.
    pub protocol: c_int,
    /// The port.
    pub port: u16,
}

/// At most as many as there are lines in the table.
pub const MAX_KINDS: usize = TABLE.len();

struct Line {
    socktype: c_int,
    protocol: c_int,
    /// What services call the protocol.
    name: &'static str,
    /// Any protocol, and no service.
    is_raw: bool,
    /// Among the results if nothing was asked for.
    is_default: bool,
}

const SOCK_DCCP: c_int = 6;

const fn line(socktype: c_int, protocol: c_int, name: &'static str, is_default: bool) -> Line {
    Line { socktype, protocol, name, is_raw: false, is_default }
}

const TABLE: [Line; 7] = [
    line(libc::SOCK_STREAM, libc::IPPROTO_TCP, "tcp", true),
    line(libc::SOCK_DGRAM, libc::IPPROTO_UDP, "udp", true),
    line(SOCK_DCCP, libc::IPPROTO_DCCP, "dccp", false),
    line(libc::SOCK_DGRAM, libc::IPPROTO_UDPLITE, "udplite", false),
    line(libc::SOCK_STREAM, libc::IPPROTO_SCTP, "sctp", false),
    line(libc::SOCK_SEQPACKET, libc::IPPROTO_SCTP, "sctp", false),
    Line { socktype: libc::SOCK_RAW, protocol: 0, name: "raw", is_raw: true, is_default: true },
];

/// A list of kinds.
pub struct Kinds {
    kinds: [Kind; MAX_KINDS],
    len: usize,
}

impl Kinds {
    fn push(&mut self, kind: Kind) {
        if let Some(place) = self.kinds.get_mut(self.len) {
            *place = kind;
            self.len += 1;
        }
    }
    /// The kinds.
    pub fn as_slice(&self) -> &[Kind] {
        &self.kinds[..self.len]
    }
}

/// The kinds of results for `socktype` and `protocol`.
pub fn kinds(socktype: c_int, protocol: c_int, service: Service<'_>) -> Result<Kinds, Failure> {
    let mut found =
        Kinds { kinds: [Kind { socktype: 0, protocol: 0, port: 0 }; MAX_KINDS], len: 0 };
    let is_any = socktype == 0 && protocol == 0;
    let fits = |line: &&Line| {
        (socktype == 0 || socktype == line.socktype)
            && (protocol == 0 || line.is_raw || protocol == line.protocol)
    };
    let Some(first) = TABLE.iter().find(fits) else {
        let why = if socktype != 0 { libc::EAI_SOCKTYPE } else { libc::EAI_SERVICE };
        return Err(Failure(why));
    };
    if !is_any && first.is_raw && !matches!(service, Service::None) {
        return Err(Failure(libc::EAI_SERVICE));
    }
    let kind = |line: &Line, port| Kind {
        socktype: line.socktype,
        protocol: if line.is_raw { protocol } else { line.protocol },
        port,
    };
    match service {
        Service::Name(name) => {
            for line in TABLE.iter().filter(fits).filter(|line| !line.is_raw) {
                if let Some(port) = services::port(name, line.name) {
                    found.push(kind(line, port));
                }
            }
            if found.len == 0 {
                return Err(Failure(libc::EAI_SERVICE));
            }
        }
        Service::None | Service::Number(_) => {
            let port = if let Service::Number(number) = service { number } else { 0 };
            if is_any {
                for line in TABLE.iter().filter(|line| line.is_default) {
                    found.push(kind(line, port));
                }
            } else {
                found.push(kind(first, port));
            }
        }
    }
    Ok(found)
}
