//! What a message asks for: a list, one thing, or a change, which is refused.
//!
//! Messages in, answers in the socket's queue. Always true: the checks stand in Linux's order; who asks for something that
//! is not here gets EOPNOTSUPP, as on a Linux without it, and the shim names it.

use alloc::vec::Vec;

use shim_abi::Errno;

use super::diag::{BY_FAMILY, DESTROY, FIRST_COMPATIBLE, Inquiry};
use super::message::{DONE, ERROR, FIRST_TYPE, HEADER_BYTES, Message, Writer, flag};
use super::option::{SHORT_ERRORS, STRICT};
use super::{SOCK_DIAG, address, link, route, rule};
use crate::context::Context;
use crate::net::Network;
use crate::socket::SocketId;

/// Types of messages: those that ask stand behind two that change something.
pub(super) const NEW_LINK: u16 = 16;
pub(super) const GET_LINK: u16 = 18;
pub(super) const GET_ADDRESS: u16 = 22;
pub(super) const GET_ROUTE: u16 = 26;
pub(super) const GET_NEIGHBOUR: u16 = 30;
pub(super) const GET_RULE: u16 = 34;
/// The last type that Linux knows.
const LAST_TYPE: u16 = 123;
/// Where among four types that stands which asks.
const GET: u16 = 2;

/// A question.
pub(super) struct Question<'a> {
    pub(super) message: Message<'a>,
    pub(super) network: &'a Network,
    /// The port that asks.
    pub(super) port: u32,
    pub(super) is_strict: bool,
    /// The user that asks.
    pub(super) user: u32,
}

/// A list, as an answer.
#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) writer: Writer,
    /// Whether its end follows in the same part.
    pub(super) is_whole: bool,
    /// Whether not all are in it, because not all were asked for.
    pub(super) is_filtered: bool,
    /// What its end says.
    pub(super) error: Option<Errno>,
}

impl List {
    /// There is none, for this reason.
    pub(super) fn failed(errno: Errno, is_filtered: bool) -> List {
        List { is_whole: true, is_filtered, error: Some(errno), ..List::default() }
    }
}

impl Question<'_> {
    /// Write a message of an answer.
    pub(super) fn write(
        &self,
        writer: &mut Writer,
        kind: u16,
        flags: u16,
        fill: impl FnOnce(&mut Writer),
    ) {
        writer.message((kind, flags), self.message.sequence, self.port, fill);
    }

    /// Whether the body has a fixed part of so many bytes: EINVAL. For a list, less is enough if nobody wants more.
    pub(super) fn check_size(&self, bytes: usize) -> Result<(), Errno> {
        let is_list = self.message.has(flag::DUMP) && !self.is_strict;
        let is_enough = is_list || self.message.body().len() >= bytes;
        if is_enough { Ok(()) } else { Err(Errno::EINVAL) }
    }

    fn list(&self) -> Result<List, Errno> {
        match self.message.kind {
            GET_LINK => link::list(self),
            GET_ADDRESS => address::list(self),
            GET_ROUTE => route::list(self),
            GET_RULE => rule::list(self),
            // There are no neighbours.
            GET_NEIGHBOUR => Ok(List::default()),
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    fn one(&self) -> Result<Writer, Errno> {
        match self.message.kind {
            GET_LINK => link::one(self),
            GET_ADDRESS => address::one(self),
            GET_ROUTE => route::one(self),
            GET_NEIGHBOUR => Err(Errno::ENOENT),
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    /// The parts of a list with its end.
    fn parts(&self) -> Result<Vec<Vec<u8>>, Errno> {
        let list = match self.list() {
            Err(Errno::EOPNOTSUPP) => return Err(Errno::EOPNOTSUPP),
            list => list.unwrap_or_else(|errno| List::failed(errno, false)),
        };
        let List { mut writer, is_whole, is_filtered, error } = list;
        let errno = error.map_or(0, |errno| -errno.number());
        let mut parts = Vec::new();
        if !is_whole && !writer.is_empty() {
            parts.push(core::mem::take(&mut writer).into_bytes());
        }
        let flags = flag::MULTI | if is_filtered { flag::DUMP_FILTERED } else { 0 };
        self.write(&mut writer, DONE, flags, |writer| writer.put(&errno.to_le_bytes()));
        parts.push(writer.into_bytes());
        Ok(parts)
    }
}

impl Context<'_> {
    /// A program's messages for the kernel; the type of one that was refused because it is not here.
    pub(super) fn ask(
        &mut self,
        id: SocketId,
        port: u32,
        mut bytes: &[u8],
    ) -> Result<Option<u16>, Errno> {
        let mut refused = None;
        while let Some((message, rest)) = Message::split(bytes) {
            bytes = rest;
            let is_question = message.has(flag::REQUEST) && message.kind >= FIRST_TYPE;
            let answer = if is_question { self.answer(id, port, message) } else { Ok(true) };
            if matches!(answer, Err(Errno::EOPNOTSUPP | Errno::EPERM)) {
                refused = Some(message.kind);
            }
            let errno = match answer {
                // The end of a list says it.
                Ok(false) => continue,
                Ok(true) if !message.has(flag::ACK) => continue,
                Ok(true) => 0,
                Err(errno) => -errno.number(),
            };
            self.acknowledge(id, port, message, errno)?;
        }
        Ok(refused)
    }

    /// Answer a question; whether it may be acknowledged.
    fn answer(&mut self, id: SocketId, port: u32, message: Message<'_>) -> Result<bool, Errno> {
        if self.kernel.sockets.netlink(id)?.protocol == SOCK_DIAG {
            return self.tell_sockets(id, port, message);
        }
        if message.kind > LAST_TYPE {
            return Err(Errno::EOPNOTSUPP);
        }
        if message.body().is_empty() {
            return Ok(true);
        }
        if message.kind % 4 != GET {
            // So iproute2 finds out whether this can be asked for at all.
            let is_trial = message.kind == NEW_LINK && message.body().iter().all(|&byte| byte == 0);
            return Err(if is_trial { Errno::ENODEV } else { Errno::EPERM });
        }
        let netlink = self.kernel.sockets.netlink(id)?;
        let is_list = message.has(flag::DUMP);
        if is_list && !netlink.later.is_empty() {
            return Err(Errno::EBUSY);
        }
        let question = Question {
            message,
            network: &self.kernel.sockets.network,
            port,
            is_strict: netlink.settings.is_on(STRICT),
            user: self.guest.user_ids()[1],
        };
        if !is_list {
            let answer = question.one()?.into_bytes();
            self.kernel.deliver_netlink(self.now, id, answer, 0);
            return Ok(true);
        }
        let parts = question.parts()?;
        self.deliver_parts(id, parts)?;
        Ok(false)
    }

    fn deliver_parts(&mut self, id: SocketId, parts: Vec<Vec<u8>>) -> Result<(), Errno> {
        let mut parts = parts.into_iter();
        let first = parts.next().unwrap_or_default();
        self.kernel.deliver_netlink(self.now, id, first, 0);
        self.kernel.sockets.netlink_mut(id)?.later.extend(parts);
        Ok(())
    }

    /// Answer a question of NETLINK_SOCK_DIAG.
    fn tell_sockets(
        &mut self,
        id: SocketId,
        port: u32,
        message: Message<'_>,
    ) -> Result<bool, Errno> {
        /// What any question of the kind begins with.
        const LEAST_BYTES: usize = 2;
        match message.kind {
            BY_FAMILY => {}
            FIRST_COMPATIBLE..BY_FAMILY => return Err(Errno::ENOENT),
            DESTROY => return Err(Errno::EOPNOTSUPP),
            _ => return Err(Errno::EINVAL),
        }
        if message.body().len() < LEAST_BYTES {
            return Err(Errno::EINVAL);
        }
        let is_list = message.has(flag::DUMP);
        if is_list && !self.kernel.sockets.netlink(id)?.later.is_empty() {
            return Err(Errno::EBUSY);
        }
        let inquiry = Inquiry { message, kernel: self.kernel, now: self.now, port };
        let parts = inquiry.parts()?;
        self.deliver_parts(id, parts)?;
        Ok(!is_list)
    }

    /// Say what became of a message.
    fn acknowledge(
        &mut self,
        id: SocketId,
        port: u32,
        message: Message<'_>,
        errno: i32,
    ) -> Result<(), Errno> {
        let is_short = errno == 0 || self.kernel.sockets.netlink(id)?.settings.is_on(SHORT_ERRORS);
        let shown = if is_short { message.bytes.get(..HEADER_BYTES) } else { Some(message.bytes) };
        let flags = if is_short { flag::CAPPED } else { 0 };
        let mut writer = Writer::default();
        writer.message((ERROR, flags), message.sequence, port, |writer| {
            writer.put(&errno.to_le_bytes());
            writer.put(shown.unwrap_or_default());
        });
        self.kernel.deliver_netlink(self.now, id, writer.into_bytes(), 0);
        Ok(())
    }
}
