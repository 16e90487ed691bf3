//! Options of SOL_NETLINK, and groups: what a socket wants to be told, and how.
//!
//! Numbers and values in and out. Always true: groups are kept although nothing ever changes that they would be told of.

use alloc::vec::Vec;

use shim_abi::Errno;

use super::SOL_NETLINK;
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::read_u32;
use crate::socket::SocketId;

const ADD_MEMBERSHIP: u32 = 1;
const DROP_MEMBERSHIP: u32 = 2;
/// NETLINK_PKTINFO.
pub(super) const PACKET_INFO: u32 = 3;
const BROADCAST_ERROR: u32 = 4;
/// NETLINK_NO_ENOBUFS.
pub(super) const NO_BUFFER_ERRORS: u32 = 5;
const LISTEN_ALL_NAMESPACES: u32 = 8;
const LIST_MEMBERSHIPS: u32 = 9;
/// NETLINK_CAP_ACK.
pub(super) const SHORT_ERRORS: u32 = 10;
const LONG_ERRORS: u32 = 11;
/// NETLINK_GET_STRICT_CHK.
pub(super) const STRICT: u32 = 12;
/// How many groups NETLINK_ROUTE has, RTNLGRP_MAX.
const GROUPS: u32 = 36;

/// What a socket has set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settings {
    /// Options that are on or off, by number.
    switches: u32,
    /// Group `n` at bit `n - 1`.
    groups: u64,
}

impl Settings {
    pub(super) fn is_on(&self, option: u32) -> bool {
        self.switches >> option & 1 != 0
    }
    /// Those that fit into an address.
    pub(super) fn first_groups(&self) -> u32 {
        self.groups as u32
    }
    pub(super) fn set_first_groups(&mut self, groups: u32) {
        self.groups = self.groups & !u64::from(u32::MAX) | u64::from(groups);
    }
}

fn is_switch(option: u32) -> bool {
    matches!(
        option,
        PACKET_INFO
            | BROADCAST_ERROR
            | NO_BUFFER_ERRORS
            | LISTEN_ALL_NAMESPACES
            | SHORT_ERRORS
            | LONG_ERRORS
            | STRICT
    )
}

impl Context<'_> {
    pub(in crate::socket) fn set_netlink_option(
        &mut self,
        id: SocketId,
        level: i32,
        option: i32,
        from: GuestAddr,
        bytes: i32,
    ) -> Answer {
        if level != SOL_NETLINK {
            return Err(Errno::ENOPROTOOPT);
        }
        let value = if bytes >= 4 { read_u32(self.guest, from)? } else { 0 };
        let option = option as u32;
        let is_privileged = self.guest.user_ids()[1] == 0;
        let settings = &mut self.kernel.sockets.netlink_mut(id)?.settings;
        match option {
            ADD_MEMBERSHIP | DROP_MEMBERSHIP => {
                if !(1..=GROUPS).contains(&value) {
                    return Err(Errno::EINVAL);
                }
                let bit = 1 << (value - 1);
                let added = if option == ADD_MEMBERSHIP { bit } else { 0 };
                settings.groups = settings.groups & !bit | added;
            }
            LISTEN_ALL_NAMESPACES if !is_privileged => return Err(Errno::EPERM),
            _ if is_switch(option) => {
                let bit = 1 << option;
                settings.switches = settings.switches & !bit | if value != 0 { bit } else { 0 };
            }
            _ => return Err(Errno::ENOPROTOOPT),
        }
        done(0)
    }

    pub(in crate::socket) fn netlink_option(
        &mut self,
        id: SocketId,
        level: i32,
        option: i32,
        to: GuestAddr,
        bytes_at: GuestAddr,
    ) -> Answer {
        if level != SOL_NETLINK {
            return Err(Errno::ENOPROTOOPT);
        }
        let room = read_u32(self.guest, bytes_at)? as i32;
        let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
        let settings = self.kernel.sockets.netlink(id)?.settings;
        let option = option as u32;
        if option == LIST_MEMBERSHIPS {
            let words: Vec<u8> = settings.groups.to_le_bytes().into();
            let shown = words.get(..room / 4 * 4).unwrap_or(&words);
            self.guest.write(to, shown)?;
            self.guest.write(bytes_at, &(words.len() as u32).to_le_bytes())?;
            return done(0);
        }
        if !is_switch(option) {
            return Err(Errno::ENOPROTOOPT);
        }
        if room < 4 {
            return Err(Errno::EINVAL);
        }
        self.guest.write(bytes_at, &4_u32.to_le_bytes())?;
        self.guest.write(to, &u32::from(settings.is_on(option)).to_le_bytes())?;
        done(0)
    }
}
