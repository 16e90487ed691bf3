//! Sockets that have addresses: who is found, who waits, what is left of whom.
//!
//! Calls of two processes in, results out. Always true: as in `super`, whose machine is used; an address is put at
//! [`NAME`].

use super::*;
use crate::guest::Guest;
use shim_abi::calls::{
    ACCEPT_NEEDS_WAIT, ACCEPT_WAITS, BIND_NEEDS_PATH, PSEUDO_BIND_PATH, PSEUDO_TAKE_RIGHTS,
};

const NAME: u64 = DATA + 0x2000;
const DONE: Outcome = Outcome::Done(0);
const WAITS: u64 = ACCEPT_WAITS as u64;

impl Bench {
    /// Put an address at [`NAME`]; its length.
    fn name(&mut self, text: &str) -> u64 {
        let bytes = [&1_u16.to_le_bytes(), text.as_bytes()].concat();
        self.guest.write(crate::GuestAddr(NAME), &bytes).unwrap();
        bytes.len() as u64
    }
    fn socket(&mut self, fd: u64, kind: i32) {
        assert_eq!(self.call(nr::socket, &[1, kind as u64, 0, fd]), DONE);
    }
    fn bind(&mut self, fd: u64, text: &str) -> Outcome {
        let bytes = self.name(text);
        self.call(nr::bind, &[fd, NAME, bytes])
    }
    /// As [`Bench::bind`], with the inode that the shim has made.
    fn bind_to_inode(&mut self, fd: u64, text: &str, inode: u64) -> Outcome {
        assert_eq!(self.bind(fd, text), Outcome::Done(BIND_NEEDS_PATH));
        let bytes = self.name(text);
        self.call(PSEUDO_BIND_PATH, &[fd, NAME, bytes, 7, inode])
    }
    fn connect_by(&mut self, tid: VirtualTid, fd: u64, text: &str, inode: u64) -> Outcome {
        let bytes = self.name(text);
        self.call_of(tid, nr::connect, &[fd, NAME, bytes, 7, inode, 0])
    }
    fn connect(&mut self, fd: u64, text: &str) -> Outcome {
        self.connect_by(self.tid, fd, text, 1)
    }
    fn listen(&mut self, fd: u64, kind: i32, text: &str, backlog: u64) {
        self.socket(fd, kind);
        assert_eq!(self.bind(fd, text), DONE);
        assert_eq!(self.call(nr::listen, &[fd, backlog]), DONE);
    }
    fn accept(&mut self, fd: u64, number: u64) -> Outcome {
        self.call(nr::accept4, &[fd, 0, 0, 0, number])
    }
    fn peer(&mut self, fd: u64) -> Result<Vec<u8>, Outcome> {
        self.guest.put_words(DATA, &[110]);
        match self.call(nr::getpeername, &[fd, NAME, DATA]) {
            DONE => {}
            outcome => return Err(outcome),
        }
        let mut bytes = std::vec![0; self.guest.words::<1>(DATA)[0] as usize];
        self.guest.read(crate::GuestAddr(NAME), &mut bytes).unwrap();
        Ok(bytes)
    }
    fn send_to(&mut self, fd: u64, text: &str) -> Outcome {
        let bytes = self.name(text);
        self.call(nr::sendto, &[fd, DATA, 1, 0, NAME, bytes])
    }
}

#[test]
fn names_are_found_by_inode_or_by_kind() {
    let mut bench = Bench::new(libc::SOCK_STREAM);
    for fd in 5..10 {
        bench.socket(fd, libc::SOCK_STREAM);
    }
    assert_eq!(bench.bind_to_inode(5, "a/b", 1), DONE);
    assert_eq!(bench.bind_to_inode(5, "c", 2), fails(Errno::EINVAL));
    assert_eq!(bench.bind(6, "\0x"), DONE);
    assert_eq!(bench.bind(7, "\0x"), fails(Errno::EADDRINUSE));
    bench.socket(10, libc::SOCK_DGRAM);
    assert_eq!(bench.bind(10, "\0x"), DONE, "each kind has its names");
    assert_eq!(bench.connect(7, "any"), fails(Errno::ECONNREFUSED), "nobody listens");
    assert_eq!(bench.call(nr::listen, &[5, 0]), DONE);
    assert_eq!(bench.connect(7, "any"), DONE);
    assert_eq!(bench.peer(7), Ok(b"\x01\0a/b\0".to_vec()));
    assert_eq!(bench.connect_by(bench.tid, 8, "a/b", 2), fails(Errno::ECONNREFUSED));
    let bytes = bench.name("gone");
    let gone = [8, NAME, bytes, 0, 0, Errno::ENOENT.number() as u64];
    assert_eq!(bench.call(nr::connect, &gone), fails(Errno::ENOENT));
    assert_eq!(bench.connect(10, "any"), fails(Errno::EPROTOTYPE));
    // An inode that is made anew is another's.
    assert_eq!(bench.bind_to_inode(9, "a/b", 1), DONE);
    assert_eq!(bench.connect(8, "any"), fails(Errno::ECONNREFUSED));
    bench.close(&[bench.tid], 5);
    assert_eq!(bench.call(nr::listen, &[9, 0]), DONE);
    assert_eq!(bench.connect(8, "any"), DONE, "the older one has not taken it away");
}

#[test]
fn connections_wait_and_are_waited_for() {
    for kind in [libc::SOCK_STREAM, SEQPACKET] {
        let mut bench = Bench::new(kind);
        let (tid, other) = (bench.tid, bench.other);
        bench.listen(5, kind, "\0s", 1);
        for fd in 6..10 {
            bench.socket(fd, kind);
        }
        assert_eq!(bench.accept(5, 20), Outcome::Done(ACCEPT_NEEDS_WAIT));
        assert_eq!(bench.ready(5), 0);
        let table = bench.kernel.copy_descriptors(VirtualPid(tid.0));
        let process = bench.kernel.processes.get_mut(&VirtualPid(other.0)).unwrap();
        let old = core::mem::replace(&mut process.descriptors, table);
        old.into_values().for_each(|descriptor| bench.kernel.release(NOW, descriptor.file));
        assert_eq!(bench.call_of(other, nr::accept, &[5, 0, 0, 0, WAITS]), Outcome::Park);
        assert_eq!(bench.connect(6, "\0s"), DONE);
        assert_eq!(bench.resume(other), DONE, "it may take it");
        assert_eq!(bench.ready(5), 0x41);
        assert_eq!(bench.connect(7, "\0s"), DONE);
        assert_eq!(bench.connect_by(other, 8, "\0s", 0), Outcome::Park, "one, and one more");
        assert_eq!(bench.send(6, 3), Outcome::Done(3));
        assert_eq!(bench.accept(5, 20), DONE);
        assert_eq!(bench.resume(other), DONE);
        assert_eq!(bench.recv(20, 9, 0), Outcome::Done(3));
        assert_eq!(bench.connect_by(other, 9, "\0s", 0), Outcome::Park);
        bench.kernel.check_files();
        // The listener goes: who was not taken hears of it, and who waits.
        for pid in [tid, other] {
            let process = bench.kernel.processes.get_mut(&VirtualPid(pid.0)).unwrap();
            let five = process.descriptors.remove(&5).unwrap();
            bench.kernel.release(NOW, five.file);
        }
        assert_eq!(bench.resume(other), fails(Errno::ECONNREFUSED));
        assert_eq!(bench.option(7, libc::SO_ERROR), Errno::ECONNRESET.number() as u64);
        assert_eq!(bench.ready(6), 0x304, "the one that was taken stays");
    }
}

#[test]
fn a_datagram_socket_takes_so_many_messages_of_others() {
    let mut bench = Bench::new(libc::SOCK_DGRAM);
    let other = bench.other;
    bench.socket(5, libc::SOCK_DGRAM);
    bench.socket(6, libc::SOCK_DGRAM | NONBLOCK);
    assert_eq!(bench.bind(5, "\0d"), DONE);
    assert_eq!(bench.connect(6, "\0d"), DONE);
    for _ in 0..11 {
        assert_eq!(bench.ready(6), 0x304);
        assert_eq!(bench.call(nr::write, &[6, DATA, 1]), Outcome::Done(1));
    }
    assert_eq!((bench.ready(6), bench.call(nr::write, &[6, DATA, 1])), (0, AGAIN));
    let bytes = bench.name("\0d");
    let args = [3, DATA, 1, 0, NAME, bytes];
    assert_eq!(bench.call_of(other, nr::sendto, &args), Outcome::Park);
    assert_eq!(bench.recv(5, 9, 0), Outcome::Done(1));
    assert_eq!(bench.ready(6), 0x304);
    assert_eq!(bench.resume(other), Outcome::Done(1));
    // Who goes is shown as long as something of it is there.
    assert_eq!(bench.bind(6, "\0who"), DONE);
    bench.close(&[bench.tid], 6);
    for _ in 0..10 {
        bench.guest.put_words(DATA, &[0, 110]);
        assert_eq!(bench.call(nr::recvfrom, &[5, DATA, 1, 0, NAME, DATA + 8]), Outcome::Done(1));
        assert_eq!(bench.guest.words::<2>(DATA)[1], 6);
        assert_eq!(bench.guest.words::<1>(NAME)[0] & 0xffff_ffff_ffff, 0x6f68_7700_0001);
    }
    assert_eq!(bench.recv(5, 9, 0), Outcome::Done(1));
    assert_eq!(bench.kernel.sockets.unix_names.ghosts().count(), 0);
}

#[test]
fn who_is_connected_hears_of_its_partner_only() {
    let mut bench = Bench::new(libc::SOCK_DGRAM);
    for (fd, name) in [(5, "\0a"), (6, "\0b"), (7, "\0c")] {
        bench.socket(fd, libc::SOCK_DGRAM);
        assert_eq!(bench.bind(fd, name), DONE);
    }
    assert_eq!((bench.connect(5, "\0b"), bench.connect(6, "\0a")), (DONE, DONE));
    assert_eq!(bench.send_to(7, "\0a"), fails(Errno::EPERM));
    assert_eq!(bench.connect(7, "\0a"), fails(Errno::EPERM));
    assert_eq!(bench.send(6, 1), Outcome::Done(1));
    assert_eq!(bench.connect(5, "\0c"), DONE);
    assert_eq!(bench.recv(5, 9, libc::MSG_DONTWAIT), AGAIN, "what was there is lost");
    assert_eq!(bench.option(6, libc::SO_ERROR), Errno::ECONNRESET.number() as u64);
    bench.close(&[bench.tid], 7);
    assert_eq!(bench.peer(5), Ok(b"\x01\0\0c".to_vec()), "it is known still");
    assert_eq!(
        (bench.send(5, 1), bench.send(5, 1)),
        (fails(Errno::ECONNREFUSED), fails(Errno::ENOTCONN))
    );
}

#[test]
fn listeners_that_nobody_can_take_are_closed() {
    let mut bench = Bench::new(libc::SOCK_STREAM);
    bench.kernel.close_all(NOW, VirtualPid(bench.other.0));
    bench.listen(5, libc::SOCK_STREAM, "\0s", 5);
    for fd in [6, 7] {
        bench.socket(fd, libc::SOCK_STREAM);
        assert_eq!(bench.connect(fd, "\0s"), DONE);
    }
    assert_eq!(bench.send_rights(6, &[5]), Outcome::Done(4));
    bench.close(&[bench.tid], 5);
    assert_eq!(bench.recv(7, 1, 0), fails(Errno::ECONNRESET));
    assert_eq!(bench.kernel.sockets.sockets.len(), 4, "the pair, and the two");
    bench.kernel.check_files();
}

#[test]
fn rights_are_taken_through_connections() {
    let mut bench = Bench::new(libc::SOCK_STREAM);
    bench.listen(5, libc::SOCK_STREAM, "\0s", 5);
    bench.socket(6, libc::SOCK_STREAM);
    assert_eq!(bench.connect(6, "\0s"), DONE);
    assert_eq!(bench.send_rights(6, &[5]), Outcome::Done(4));
    assert_eq!(bench.accept(5, 7), DONE);
    assert_eq!(bench.receive_message(7, 100, 0).2, 1);
    bench.guest.put_words(DATA, &[8]);
    assert_eq!(bench.call(PSEUDO_TAKE_RIGHTS, &[DATA, 1, 0]), Outcome::Done(1));
    assert_eq!(bench.option(8, libc::SO_ACCEPTCONN), 1);
}

#[test]
fn native_files_are_held_as_long_as_somebody_can_receive_them() {
    use shim_abi::calls::{PSEUDO_TAKE_FILE, SENT_FILES};
    let mut bench = Bench::new(libc::SOCK_STREAM);
    let send = |bench: &mut Bench, numbers: [u64; 3], what: u64| {
        let control = [28, 1 | 1 << 32, numbers[0] | numbers[1] << 32, numbers[2]];
        bench.guest.put_words(CONTROL, &control);
        bench.put_header(28);
        bench.call(nr::sendmsg, &[3, HEADER, 0, 0, 0, what])
    };
    let held = |bench: &mut Bench| {
        for number in bench.kernel.take_dropped_files() {
            crate::Guests::drop_file(&mut bench.guest, number);
        }
        bench.guest.files.values().sum::<usize>()
    };
    assert_eq!(send(&mut bench, [500, 3, 501], 0), fails(Errno::EBADF), "none was sent");
    assert_eq!(send(&mut bench, [500, 3, 9], SENT_FILES), fails(Errno::EBADF), "9 is no file");
    assert_eq!(held(&mut bench), 0);
    assert_eq!(send(&mut bench, [500, 3, 501], SENT_FILES), Outcome::Done(4));
    assert_eq!((held(&mut bench), bench.kernel.sockets.rights_under_way), (2, 3));
    assert_eq!(bench.receive_message(4, 100, libc::MSG_PEEK).2, 3);
    assert_eq!(bench.guest.words::<6>(REPORT)[5], 0b101, "which of them are native");
    let take = |bench: &mut Bench, index| bench.call(PSEUDO_TAKE_FILE, &[index, 7]);
    assert_eq!(take(&mut bench, 0), Outcome::Done(3));
    assert_eq!(take(&mut bench, 1), fails(Errno::EBADF));
    assert_eq!(take(&mut bench, 3), fails(Errno::EBADF));
    bench.guest.put_words(DATA, &[7 | 8 << 32, 9]);
    assert_eq!(bench.call(PSEUDO_TAKE_RIGHTS, &[DATA, 3, 0]), Outcome::Done(3));
    assert_eq!(bench.option(8, libc::SO_TYPE), 1, "the socket is there, of the others nothing");
    assert_eq!(bench.call(nr::close, &[7]), fails(Errno::EBADF));
    assert_eq!(held(&mut bench), 2, "they were only looked at");
    assert_eq!(bench.receive_message(4, 24, 0).2, 2, "one does not fit");
    assert_eq!(held(&mut bench), 1);
    assert_eq!(bench.recv(4, 1, libc::MSG_DONTWAIT), AGAIN);
    assert_eq!(held(&mut bench), 0, "another call drops what came");
    // In a queue that nobody reads any more.
    assert_eq!(send(&mut bench, [502, 3, 503], SENT_FILES), Outcome::Done(4));
    bench.end(3);
    bench.close(&[bench.tid], 8);
    bench.end(4);
    assert_eq!(held(&mut bench), 0);
}

#[test]
fn the_process_at_the_other_side_can_be_held() {
    const PEER: u64 = 77;
    let mut bench = Bench::new(libc::SOCK_STREAM);
    let other = bench.other;
    bench.listen(5, libc::SOCK_STREAM, "\0s", 5);
    let ask = |bench: &mut Bench, fd, number| {
        bench.guest.put_words(DATA, &[0, 4]);
        let outcome = bench.call(nr::getsockopt, &[fd, 1, PEER, DATA, DATA + 8, number]);
        (outcome, bench.guest.words::<1>(DATA)[0] as u32)
    };
    assert_eq!(bench.call_of(other, nr::socket, &[1, 1, 0, 6]), DONE);
    assert_eq!(bench.connect_by(other, 6, "\0s", 0), DONE);
    assert_eq!(bench.accept(5, 7), DONE);
    assert_eq!(ask(&mut bench, 7, 8), (DONE, 8));
    assert_eq!(bench.ready(8), 0, "it lives");
    bench.kernel.end(VirtualPid(other.0), 3, &mut bench.guest);
    assert_eq!(bench.ready(8), 0x41);
    bench.call(nr::wait4, &[u64::from(other.0), 0, 0, 0]);
    assert_eq!(ask(&mut bench, 7, 9), (DONE, 9), "it is gone");
    assert_eq!(bench.ready(9) & 0x41, 0x41);
    bench.socket(10, libc::SOCK_STREAM);
    assert_eq!(ask(&mut bench, 10, 11).0, fails(Errno::ENODATA));
    assert_eq!(ask(&mut bench, 7, u64::MAX).0, fails(Errno::EMFILE));
}
