//! `bind`, and ports for those that did not ask for one.
//!
//! Addresses in. Always true: the checks stand in Linux's order; a socket that has a port claims it, and claims it again
//! when what others must know of it changes.

use core::net::IpAddr;

use shim_abi::Errno;

use super::{Inet, Phase, Role, address};
use crate::context::{Answer, Context, done};
use crate::kernel::Kernel;
use crate::net::{Endpoint, FIRST_UNPRIVILEGED, Reach, Rules, is_for_many};
use crate::socket::SocketId;
use crate::socket::name::family_of;

impl Context<'_> {
    pub(in crate::socket) fn bind_inet(&mut self, id: SocketId, name: &[u8]) -> Answer {
        let inet = self.kernel.sockets.inet(id)?;
        let mut endpoint = match address::read(name, inet.is_v6) {
            // What 4.2BSD understood.
            Err(Errno::EAFNOSUPPORT) if !inet.is_v6 && family_of(name) == libc::AF_UNSPEC => {
                let endpoint = address::read_v4(name).filter(|it| it.ip.is_unspecified());
                endpoint.ok_or(Errno::EAFNOSUPPORT)
            }
            read => read,
        }?;
        let is_mapped = inet.is_v6 && endpoint.ip.is_ipv4();
        if is_mapped && inet.reach == Reach::V6 {
            return Err(Errno::EINVAL);
        }
        let is_stream = matches!(inet.role, Role::Stream(_));
        if endpoint.ip.is_multicast() && inet.is_v6 && is_stream {
            return Err(Errno::EINVAL);
        }
        let is_ours = self.kernel.sockets.network.is_local(endpoint.ip)
            || is_for_many(endpoint.ip)
            || endpoint.ip.is_unspecified()
            || inet.options.is_free_to_bind();
        if !is_ours {
            return Err(Errno::EADDRNOTAVAIL);
        }
        if (1..FIRST_UNPRIVILEGED).contains(&endpoint.port) && self.guest.user_ids()[1] != 0 {
            return Err(Errno::EACCES);
        }
        let inet = self.kernel.sockets.inet(id)?;
        if inet.port != 0 || inet.stream().is_ok_and(|stream| stream.phase != Phase::Fresh) {
            return Err(Errno::EINVAL);
        }
        let is_address_fixed = !endpoint.ip.is_unspecified();
        let is_port_fixed = endpoint.port != 0;
        if is_mapped && !is_address_fixed {
            self.kernel.sockets.inet_mut(id)?.reach = Reach::V4;
        }
        let local = is_address_fixed.then_some(endpoint.ip);
        self.kernel.take_port(id, local, &mut endpoint.port)?;
        let inet = self.kernel.sockets.inet_mut(id)?;
        (inet.is_address_fixed, inet.is_port_fixed) = (is_address_fixed, is_port_fixed);
        done(0)
    }
}

impl Kernel {
    /// Give a socket an address and a port, any if it asks for 0: EADDRINUSE if it cannot have them.
    fn take_port(
        &mut self,
        id: SocketId,
        local: Option<IpAddr>,
        port: &mut u16,
    ) -> Result<(), Errno> {
        let sockets = &mut self.sockets;
        let socket = sockets.sockets.get_mut(&id).ok_or(Errno::EBADF)?;
        let inet = socket.family.inet_mut()?;
        let old = core::mem::replace(&mut inet.local, local);
        let claim = socket.claim()?;
        let rules = socket.family.inet()?.rules();
        let network = &mut sockets.network;
        let found = match *port {
            0 => network.choose_port(rules, &claim),
            port => network.ports_mut(rules).is_free(port, &claim).then_some(port),
        };
        let inet = socket.family.inet_mut()?;
        let Some(found) = found else {
            inet.local = old;
            return Err(Errno::EADDRINUSE);
        };
        *port = found;
        (inet.port, inet.shown_port) = (found, found);
        inet.claim = Some(claim);
        network.ports_mut(rules).add(found, claim);
        if let Role::Datagram(_) = inet.role {
            network.add_receiver(rules, found, id);
        }
        Ok(())
    }

    /// A socket that has no port and needs one gets any: EAGAIN if there is none.
    pub(super) fn need_port(&mut self, id: SocketId) -> Result<(), Errno> {
        let inet = self.sockets.inet(id)?;
        if inet.port != 0 {
            return Ok(());
        }
        let local = inet.local;
        self.take_port(id, local, &mut 0).map_err(|_| Errno::EAGAIN)
    }

    /// What others must know of a socket's claim has changed.
    pub(in crate::socket) fn claim_again(&mut self, id: SocketId) {
        let Ok(socket) = self.sockets.get_mut(id) else { return };
        let Ok(claim) = socket.claim() else { return };
        let Ok(inet) = socket.family.inet_mut() else { return };
        let (port, rules) = (inet.port, inet.rules());
        let Some(old) = inet.claim.replace(claim) else {
            inet.claim = None;
            return;
        };
        let ports = self.sockets.network.ports_mut(rules);
        ports.remove(port, old);
        ports.add(port, claim);
    }

    /// A socket has no port any more.
    pub(super) fn give_up_port(&mut self, id: SocketId, inet: &mut Inet) {
        let (port, rules) = (inet.port, inet.rules());
        if let Some(claim) = inet.claim.take() {
            self.sockets.network.ports_mut(rules).remove(port, claim);
        }
        self.sockets.network.remove_receiver(rules, port, id);
        inet.port = 0;
    }

    /// A socket whose connection is over keeps the port that it has asked for.
    pub(super) fn claim_anew(&mut self, id: SocketId) {
        let Ok(socket) = self.sockets.get_mut(id) else { return };
        let Ok(claim) = socket.claim() else { return };
        let Ok(inet) = socket.family.inet_mut() else { return };
        if inet.claim.is_none() && inet.port != 0 {
            inet.claim = Some(claim);
            let (port, rules) = (inet.port, inet.rules());
            self.sockets.network.ports_mut(rules).add(port, claim);
        }
    }

    /// A socket forgets those of its addresses that it did not ask for.
    pub(super) fn forget_addresses(&mut self, id: SocketId) -> Result<(), Errno> {
        let inet = self.sockets.inet_mut(id)?;
        inet.remote = None;
        if !inet.is_address_fixed {
            inet.local = None;
        }
        if inet.is_port_fixed {
            self.claim_again(id);
            self.claim_anew(id);
            return Ok(());
        }
        let (port, rules, claim) = (inet.port, inet.rules(), inet.claim.take());
        inet.port = 0;
        if rules != Rules::Stream {
            inet.shown_port = 0;
        }
        if let Some(claim) = claim {
            self.sockets.network.ports_mut(rules).remove(port, claim);
        }
        self.sockets.network.remove_receiver(rules, port, id);
        Ok(())
    }
}

impl Inet {
    /// Where a socket that is not connected sends to: as on Linux to this machine, if the address is none.
    pub(super) fn reachable(&self, endpoint: Endpoint) -> Endpoint {
        let ip = match endpoint.ip {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(core::net::Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => match self.local {
                Some(IpAddr::V4(_)) => IpAddr::V4(core::net::Ipv4Addr::LOCALHOST),
                _ => IpAddr::V6(core::net::Ipv6Addr::LOCALHOST),
            },
            ip => ip,
        };
        Endpoint { ip, port: endpoint.port }
    }
}
