//! Netlink by hand: what the C programs cannot see, because natively there is no such host.
//!
//! Messages in, messages out. Always true: the host is that of `testing`, whose interface has one address.

use std::vec;
use std::vec::Vec;

use shim_abi::Errno;
use shim_abi::calls::{SENT_REFUSED, nr};

use super::message::{DONE, ERROR, HEADER_BYTES, Message};
use crate::testing::{DATA, machine};
use crate::{Guest, GuestAddr, Kernel, VirtualTid};

const FD: u64 = 3;

struct Bench {
    kernel: Kernel,
    guest: crate::testing::TestGuest,
    tid: VirtualTid,
}

impl Bench {
    fn new() -> Bench {
        let (kernel, guest, tid) = machine();
        let mut bench = Bench { kernel, guest, tid };
        let made = [libc::AF_NETLINK as u64, libc::SOCK_RAW as u64, 0, FD];
        assert_eq!(bench.call(nr::socket, made), 0);
        bench
    }
    fn call(&mut self, number: u32, args: [u64; 4]) -> i64 {
        let [a, b, c, d] = args;
        self.kernel.do_call(self.tid, number, [a, b, c, d, 0, 0], &mut self.guest)
    }
    /// Send a message of this type, with these flags and this body.
    fn send(&mut self, kind: u16, flags: u16, body: &[u8]) -> i64 {
        let mut bytes = ((HEADER_BYTES + body.len()) as u32).to_le_bytes().to_vec();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend(7_u32.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        self.guest.write(GuestAddr(DATA), &bytes).unwrap();
        self.call(nr::sendto, [FD, DATA, bytes.len() as u64, 0])
    }
    fn receive(&mut self) -> Result<Vec<u8>, i64> {
        let wait = libc::MSG_DONTWAIT as u64;
        let count = self.call(nr::recvfrom, [FD, DATA, 0x3000, wait]);
        let mut bytes = vec![0; usize::try_from(count).map_err(|_| count)?];
        self.guest.read(GuestAddr(DATA), &mut bytes).unwrap();
        Ok(bytes)
    }
    /// All messages of a list but its end.
    fn list(&mut self, kind: u16, body: &[u8]) -> Vec<Vec<u8>> {
        self.send(kind, 0x301, body);
        let mut messages = Vec::new();
        loop {
            let part = self.receive().expect("a list has an end");
            let mut rest = part.as_slice();
            while let Some((message, more)) = Message::split(rest) {
                assert_eq!(message.sequence, 7);
                if message.kind == DONE {
                    assert!(more.is_empty());
                    return messages;
                }
                messages.push(message.bytes.to_vec());
                rest = more;
            }
        }
    }
}

fn only(bytes: &[u8]) -> Message<'_> {
    Message::split(bytes).expect("there is one").0
}

#[test]
fn a_host_shows_its_interfaces() {
    let mut bench = Bench::new();
    let links = bench.list(18, &[0; 16]);
    let names: Vec<_> = links.iter().map(|it| only(it).attribute(16, 3).unwrap()).collect();
    assert_eq!(names, [&b"lo\0"[..], b"eth0\0"]);
    assert_eq!(only(&links[1]).attribute(16, 1), Some(&[2, 0, 11, 0, 0, 1][..]));
    let addresses = bench.list(22, &[0; 8]);
    let of: Vec<_> = addresses.iter().map(|it| only(it).attribute(8, 1).unwrap()).collect();
    assert_eq!(of[..2], [&[127, 0, 0, 1][..], &[11, 0, 0, 1]]);
    assert_eq!(only(&addresses[1]).attribute(8, 4), Some(&[11, 255, 255, 255][..]));
    assert_eq!(bench.list(26, &[2; 1]).len(), 6);
}

#[test]
fn packets_have_their_routes() {
    let mut bench = Bench::new();
    let mut ask = |ip: [u8; 4]| {
        let mut body = vec![2, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 1, 0];
        body.extend(ip);
        bench.send(26, 1, &body);
        bench.receive().unwrap()
    };
    let near = ask([11, 9, 9, 9]);
    assert_eq!(only(&near).number(12, 4), Some(2));
    assert_eq!(only(&near).attribute(12, 7), Some(&[11, 0, 0, 1][..]));
    let own = ask([11, 0, 0, 1]);
    assert_eq!(only(&own).number(12, 4), Some(1), "it goes by the loopback interface");
    let far = ask([12, 0, 0, 1]);
    assert_eq!(only(&far).kind, ERROR);
    assert_eq!(only(&far).body()[..4], (-Errno::ENETUNREACH.number()).to_le_bytes());
}

#[test]
fn changes_are_refused_and_told_to_the_shim() {
    let mut bench = Bench::new();
    let lo = [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    let sent = bench.send(16, 5, &lo);
    assert_eq!(sent as u64, SENT_REFUSED | 16 << 32 | 32);
    let refusal = bench.receive().unwrap();
    assert_eq!(only(&refusal).kind, ERROR);
    assert_eq!(only(&refusal).body()[..4], (-Errno::EPERM.number()).to_le_bytes());
    assert_eq!(bench.send(18, 1, &[0; 16]), 32, "a question is none");
}

#[test]
fn broken_messages_are_no_messages() {
    let mut bench = Bench::new();
    for len in [0, 15, 17, 1000, u32::MAX] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        bytes[4..8].copy_from_slice(&[18, 0, 5, 0]);
        bench.guest.write(GuestAddr(DATA), &bytes).unwrap();
        assert_eq!(bench.call(nr::sendto, [FD, DATA, 16, 0]), 16);
        assert_eq!(bench.receive(), Err(Errno::EAGAIN.as_return()));
    }
    // Attributes whose lengths lie are not followed.
    let mut body = [0; 28];
    body[0] = 2;
    for len in [0_u16, 3, 200, u16::MAX] {
        body[16..18].copy_from_slice(&len.to_le_bytes());
        body[18] = 3;
        bench.send(18, 1, &body);
        let answer = bench.receive().unwrap();
        assert_eq!(only(&answer).body()[..4], (-Errno::EINVAL.number()).to_le_bytes());
    }
}
