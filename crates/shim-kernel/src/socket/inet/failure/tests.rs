//! What sockets hear of packets that did not arrive, by who tells it and what they have asked for.
//!
//! Complaints in, results of calls out. Always true: the numbers are those of Linux (`icmp_err_convert`, and that of
//! IPv6), whose loopback interface never tells most of them.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::vec;
use std::vec::Vec;

use shim_abi::calls::nr;

use super::*;
use crate::guest::Guest as _;
use crate::net::Body;
use crate::net::icmp::Trouble;
use crate::net::tcp::Segment;
use crate::testing::{DATA, TestGuest, machine};
use crate::{GuestAddr, Outcome, VirtualTid};

const NOW: SimTime = SimTime::ZERO;
const NAME: u64 = DATA + 0x1000;
const HEADER: u64 = DATA + 0x1100;
const CONTROL: u64 = DATA + 0x1200;
const V4: i32 = libc::AF_INET;
const V6: i32 = libc::AF_INET6;

struct Bench {
    kernel: Kernel,
    guest: TestGuest,
    tid: VirtualTid,
}

/// Somebody on the way.
fn router(is_v4: bool) -> IpAddr {
    if is_v4 {
        Ipv4Addr::new(10, 9, 9, 9).into()
    } else {
        Ipv6Addr::from_bits(0xfd << 120 | 9).into()
    }
}

impl Bench {
    fn new() -> Bench {
        let (kernel, guest, tid) = machine();
        Bench { kernel, guest, tid }
    }
    fn call(&mut self, number: u32, args: &[u64]) -> i64 {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        match self.kernel.call(NOW, self.tid, number, all, &mut self.guest) {
            Outcome::Done(result) => result,
            other => panic!("{other:?}"),
        }
    }
    fn socket(&mut self, fd: u64, family: i32, kind: i32, protocol: i32) {
        let kind = (kind | libc::SOCK_NONBLOCK) as u64;
        assert_eq!(self.call(nr::socket, &[family as u64, kind, protocol as u64, fd]), 0);
    }
    /// The host itself at a port; the address's length.
    fn name(&mut self, family: i32, port: u16) -> u64 {
        let ip: IpAddr = match family {
            V4 => Ipv4Addr::LOCALHOST.into(),
            _ => Ipv6Addr::LOCALHOST.into(),
        };
        let name = address::write(Some(ip), port, family == V6, crate::net::Reach::Both);
        self.guest.write(GuestAddr(NAME), &name).unwrap();
        name.len() as u64
    }
    fn by_name(&mut self, number: u32, fd: u64, family: i32, port: u16) -> i64 {
        let bytes = self.name(family, port);
        self.call(number, &[fd, NAME, bytes])
    }
    fn set(&mut self, fd: u64, level: i32, option: i32, value: u64) {
        self.guest.put_words(DATA, &[value]);
        let args = [fd, level as u64, option as u64, DATA, 4];
        assert_eq!(self.call(nr::setsockopt, &args), 0);
    }
    fn error(&mut self, fd: u64) -> u64 {
        self.guest.put_words(DATA, &[0, 4]);
        let (level, option) = (libc::SOL_SOCKET as u64, libc::SO_ERROR as u64);
        assert_eq!(self.call(nr::getsockopt, &[fd, level, option, DATA, DATA + 8]), 0);
        self.guest.words::<1>(DATA)[0]
    }
    fn port(&mut self, fd: u64) -> u16 {
        self.guest.put_words(DATA, &[128]);
        assert_eq!(self.call(nr::getsockname, &[fd, NAME, DATA]), 0);
        u16::from_be_bytes(
            (self.guest.words::<1>(NAME)[0] >> 16).to_le_bytes()[..2].try_into().unwrap(),
        )
    }
    /// Somebody complains about a packet that this host may have sent to itself.
    fn complain(&mut self, family: i32, body: Body, trouble: Trouble) {
        let ip: IpAddr = match family {
            V4 => Ipv4Addr::LOCALHOST.into(),
            _ => Ipv6Addr::LOCALHOST.into(),
        };
        let lost = Packet { source: ip, target: ip, hops: 1, class: 0, most_bytes: 0, body };
        let error = icmp::error_about_packet(&lost, trouble, router(family == V4)).unwrap();
        self.kernel.sockets.network.send(error);
        self.kernel.settle_network(NOW);
    }
    fn complain_of_udp(&mut self, family: i32, port: u16, trouble: Trouble) {
        let bytes = b"abc".to_vec();
        let body = Body::Udp { source_port: port, target_port: 99, is_lite: false, bytes };
        self.complain(family, body, trouble);
    }
    /// What MSG_ERRQUEUE has: the message, and the control message behind its header.
    fn details(&mut self, fd: u64) -> Option<(Vec<u8>, Vec<u8>)> {
        self.guest.put_words(HEADER, &[NAME, 128, HEADER + 0x80, 1, CONTROL, 256, 0]);
        self.guest.put_words(HEADER + 0x80, &[DATA, 64]);
        let flags = libc::MSG_ERRQUEUE as u64;
        let bytes = match self.call(nr::recvmsg, &[fd, HEADER, flags]) {
            bytes @ 0.. => bytes as usize,
            error => {
                assert_eq!(error, Errno::EAGAIN.as_return());
                return None;
            }
        };
        let mut message = vec![0; bytes];
        self.guest.read(GuestAddr(DATA), &mut message).unwrap();
        let length = self.guest.words::<1>(CONTROL)[0] as usize;
        let mut control = vec![0; length - 16];
        self.guest.read(GuestAddr(CONTROL + 16), &mut control).unwrap();
        Some((message, control))
    }
}

const TROUBLES: [Trouble; 9] = [
    Trouble::NetUnreachable,
    Trouble::HostUnreachable,
    Trouble::ProtocolUnreachable,
    Trouble::PortUnreachable,
    Trouble::Prohibited,
    Trouble::TooBig { mtu: 1300 },
    Trouble::OutOfHops,
    Trouble::OutOfTime,
    Trouble::BadHeader { at: 8 },
];
const V4_ERRNOS: [Errno; 9] = [
    Errno::ENETUNREACH,
    Errno::EHOSTUNREACH,
    Errno::ENOPROTOOPT,
    Errno::ECONNREFUSED,
    Errno::EHOSTUNREACH,
    Errno::EMSGSIZE,
    Errno::EHOSTUNREACH,
    Errno::EHOSTUNREACH,
    Errno::EPROTO,
];
const V6_ERRNOS: [Errno; 9] = [
    Errno::ENETUNREACH,
    Errno::EHOSTUNREACH,
    Errno::EPROTO,
    Errno::ECONNREFUSED,
    Errno::EACCES,
    Errno::EMSGSIZE,
    Errno::EHOSTUNREACH,
    Errno::EHOSTUNREACH,
    Errno::EPROTO,
];
const V4_NUMBERS: [[u8; 2]; 9] =
    [[3, 0], [3, 1], [3, 2], [3, 3], [3, 13], [3, 4], [11, 0], [11, 1], [12, 0]];
const V6_NUMBERS: [[u8; 2]; 9] =
    [[1, 0], [1, 3], [4, 1], [1, 4], [1, 1], [2, 0], [3, 0], [3, 1], [4, 0]];
const INFOS: [u32; 9] = [0, 0, 0, 0, 0, 1300, 0, 0, 8];
/// Of which a connected socket hears without having asked.
const IS_FINAL: [bool; 9] = [false, false, true, true, true, true, false, false, true];

#[test]
fn datagrams_fail_as_on_linux() {
    for (family, errnos, numbers) in [(V4, V4_ERRNOS, V4_NUMBERS), (V6, V6_ERRNOS, V6_NUMBERS)] {
        let mut bench = Bench::new();
        for fd in [5, 6, 7] {
            bench.socket(fd, family, libc::SOCK_DGRAM, 0);
            bench.by_name(nr::bind, fd, family, 0);
        }
        assert_eq!(bench.by_name(nr::connect, 6, family, 99), 0);
        let (level, option) = match family {
            V4 => (libc::IPPROTO_IP, libc::IP_RECVERR),
            _ => (libc::IPPROTO_IPV6, super::super::option::IPV6_RECVERR),
        };
        bench.set(7, level, option, 1);
        let ports = [5, 6, 7].map(|fd| bench.port(fd));
        for (at, trouble) in TROUBLES.into_iter().enumerate() {
            let errno = errnos[at].number() as u64;
            for port in ports {
                bench.complain_of_udp(family, port, trouble);
            }
            assert_eq!(bench.error(5), 0, "{trouble:?}: nobody is connected");
            assert_eq!(bench.error(6), if IS_FINAL[at] { errno } else { 0 }, "{trouble:?}");
            assert_eq!(bench.details(6), None);
            let (message, control) = bench.details(7).unwrap();
            assert_eq!(message, b"abc");
            assert_eq!(control[..4], (errno as u32).to_le_bytes(), "{trouble:?}");
            let origin = if family == V4 { 2 } else { 3 };
            assert_eq!(control[4..8], [origin, numbers[at][0], numbers[at][1], 0]);
            let info = match (family, trouble) {
                (V6, Trouble::ProtocolUnreachable) => 6,
                _ => INFOS[at],
            };
            assert_eq!(control[8..16], u64::from(info).to_le_bytes());
            let offender = address::write(
                Some(router(family == V4)),
                0,
                family == V6,
                crate::net::Reach::Both,
            );
            assert_eq!(control[16..], offender);
            assert_eq!(bench.port_at_name(), 99);
            assert_eq!((bench.error(7), bench.details(7)), (0, None), "it was told by that");
        }
        bench.complain_of_udp(family, ports[2], Trouble::OutOfHops);
        bench.complain_of_udp(family, ports[2], Trouble::PortUnreachable);
        bench.details(7).unwrap();
        assert_eq!(bench.error(7), Errno::ECONNREFUSED.number() as u64, "the next one is another");
        // What a way carries is of no interest to those who let their datagrams be cut.
        bench.set(6, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, 0);
        bench.set(7, level, if family == V4 { 10 } else { 23 }, 0);
        bench.details(7).unwrap();
        bench.complain_of_udp(family, ports[2], Trouble::TooBig { mtu: 1300 });
        assert_eq!(bench.details(7), None);
    }
}

impl Bench {
    /// The port of the address that a call has left.
    fn port_at_name(&mut self) -> u16 {
        ((self.guest.words::<1>(NAME)[0] >> 16) as u16).swap_bytes()
    }
}

#[test]
fn echoes_fail_with_their_headers() {
    for (family, protocol) in [(V4, libc::IPPROTO_ICMP), (V6, libc::IPPROTO_ICMPV6)] {
        let mut bench = Bench::new();
        bench.socket(5, family, libc::SOCK_DGRAM, protocol);
        assert_eq!(bench.by_name(nr::bind, 5, family, 0x700), 0);
        let (level, option) = match family {
            V4 => (libc::IPPROTO_IP, libc::IP_RECVERR),
            _ => (libc::IPPROTO_IPV6, super::super::option::IPV6_RECVERR),
        };
        bench.set(5, level, option, 1);
        let ask = |is_reply, identifier| Body::Echo {
            is_reply,
            identifier,
            sequence: 3,
            bytes: b"abc".to_vec(),
        };
        bench.complain(family, ask(true, 0x700), Trouble::OutOfHops);
        bench.complain(family, ask(false, 8), Trouble::OutOfHops);
        assert_eq!(bench.details(5), None, "it has not asked that");
        bench.complain(family, ask(false, 0x700), Trouble::OutOfHops);
        let (message, control) = bench.details(5).unwrap();
        let [kind, _] = icmp::echo(family == V4);
        assert_eq!((message[0], &message[4..]), (kind, &[7, 0, 0, 3, b'a', b'b', b'c'][..]));
        assert_eq!(control[..4], Errno::EHOSTUNREACH.number().to_le_bytes());
        assert_eq!(bench.port_at_name(), 0);
    }
}

#[test]
fn who_asks_for_a_connection_gives_it_up_and_who_has_one_does_not() {
    let mut bench = Bench::new();
    bench.socket(5, V4, libc::SOCK_STREAM, 0);
    bench.by_name(nr::bind, 5, V4, 2000);
    assert_eq!(bench.call(nr::listen, &[5, 0]), 0);
    for fd in [6, 7, 8] {
        bench.socket(fd, V4, libc::SOCK_STREAM, 0);
        let begun = bench.by_name(nr::connect, fd, V4, 2000);
        assert_eq!(begun, Errno::EINPROGRESS.as_return());
    }
    let numbers: Vec<_> = [6, 7, 8].iter().map(|&fd| bench.port(fd)).collect();
    let lost = |bench: &Bench, port: u16, by: u32| {
        let is_it = |it: &&crate::net::Connection| it.local.port == port;
        let it = bench.kernel.sockets.network.connections().find(is_it).unwrap();
        let sequence = it.tcp.first_under_way().plus(by as usize);
        let segment = Segment { sequence, bytes: b"abc".to_vec(), ..Segment::default() };
        Body::Tcp { source_port: port, target_port: 2000, segment }
    };
    let states = |bench: &Bench, port: u16| {
        let mut all = bench.kernel.sockets.network.connections();
        all.find(|it| it.local.port == port).map(|it| it.tcp.state)
    };
    // There is room for no third one.
    let [there, _, asking] = numbers[..] else { panic!() };
    assert_eq!(states(&bench, asking), Some(State::SynSent));
    assert_eq!(states(&bench, there), Some(State::Established));
    let segment = lost(&bench, asking, 9);
    bench.complain(V4, segment, Trouble::HostUnreachable);
    assert_eq!(states(&bench, asking), Some(State::SynSent), "that was not its number");
    let segment = lost(&bench, asking, 0);
    bench.complain(V4, segment, Trouble::HostUnreachable);
    assert_eq!(bench.error(8), Errno::EHOSTUNREACH.number() as u64);
    let segment = lost(&bench, there, 0);
    bench.complain(V4, segment, Trouble::HostUnreachable);
    assert_eq!((bench.error(6), states(&bench, there)), (0, Some(State::Established)));
    // Who wants details hears of it at once.
    bench.set(6, libc::IPPROTO_IP, libc::IP_RECVERR, 1);
    let segment = lost(&bench, there, 0);
    bench.complain(V4, segment, Trouble::ProtocolUnreachable);
    assert_eq!(bench.error(6), Errno::ENOPROTOOPT.number() as u64);
    assert_eq!(states(&bench, there), Some(State::Established));
}
