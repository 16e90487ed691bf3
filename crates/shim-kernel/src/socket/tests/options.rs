//! Options, addresses and refusals of pairs of sockets.
//!
//! Calls in, results out. Always true: as in `super`, whose machine is used. Bytes and ends are there.

use super::*;

#[test]
fn options_are_linuxs() {
    let mut bench = Bench::new(SEQPACKET);
    let numbers: Vec<u64> = [libc::SO_TYPE, libc::SO_DOMAIN, libc::SO_PROTOCOL, libc::SO_RCVBUF]
        .map(|option| bench.option(3, option))
        .into();
    assert_eq!(numbers, [5, 1, 0, 212_992]);
    for (option, value, expected) in [
        (libc::SO_RCVBUF, 1, 2304),
        (libc::SO_RCVBUF, 70_000, 140_000),
        (libc::SO_SNDBUF, 1 << 30, 425_984),
        (libc::SO_KEEPALIVE, 7, 1),
        (libc::SO_RCVLOWAT, 0, 1),
        (libc::SO_PRIORITY, 6, 6),
        (libc::SO_LINGER, 5 | 9 << 32, 1 | 9 << 32),
    ] {
        assert_eq!(bench.set_option(3, option, &[value]), Outcome::Done(0), "{option}");
        assert_eq!(bench.option(3, option), expected, "{option}");
    }
    assert_eq!(bench.set_option(3, libc::SO_SNDTIMEO, &[1, 500_001]), Outcome::Done(0));
    assert_eq!(bench.option(3, libc::SO_SNDTIMEO), 1);
    assert_eq!(bench.guest.words::<3>(DATA), [1, 504_000, 16]);
    for (option, value, errno) in [
        (libc::SO_SNDTIMEO, [0, 1_000_000], Errno::EDOM),
        (libc::SO_PRIORITY, [7, 0], Errno::EPERM),
        (libc::SO_TYPE, [1, 0], Errno::ENOPROTOOPT),
        (libc::SO_ATTACH_FILTER, [1, 0], Errno::ENOPROTOOPT),
    ] {
        assert_eq!(bench.set_option(3, option, &value), fails(errno), "{option}");
    }
    assert_eq!(bench.call(nr::setsockopt, &[3, 1, 2, DATA, 3]), fails(Errno::EINVAL));
    assert_eq!(bench.call(nr::setsockopt, &[3, 6, 1, DATA, 4]), fails(Errno::EOPNOTSUPP));
    assert_eq!(bench.call(nr::getsockopt, &[3, 6, 1, DATA, DATA]), fails(Errno::EOPNOTSUPP));
    assert_eq!(bench.call(nr::getsockopt, &[9, 6, 1, DATA, DATA]), fails(Errno::EBADF));
}

#[test]
fn ends_have_no_addresses() {
    let mut bench = Bench::new(libc::SOCK_DGRAM);
    bench.guest.put_words(DATA, &[u64::MAX, 110]);
    for number in [nr::getsockname, nr::getpeername] {
        assert_eq!(bench.call(number, &[3, DATA, DATA + 8]), Outcome::Done(0));
        assert_eq!(bench.guest.words::<2>(DATA), [u64::MAX << 16 | 1, 2]);
        bench.guest.put_words(DATA, &[u64::MAX, 110]);
    }
    // Something that is an address of AF_UNIX.
    bench.guest.put_words(DATA, &[1 | u64::from(b'x') << 16]);
    let [invalid, none] = [Errno::EINVAL, Errno::EOPNOTSUPP].map(fails);
    assert_eq!(bench.call(nr::connect, &[3, DATA, 1]), invalid);
    assert_eq!(bench.call(nr::connect, &[3, DATA, 4]), fails(Errno::ECONNREFUSED));
    assert_eq!(bench.call(nr::listen, &[3, 5]), none);
    assert_eq!(bench.call(nr::accept, &[3, 0, 0, 0, 9]), none);
    let to = [3, DATA, 1, 0, DATA, 4];
    assert_eq!(bench.call(nr::sendto, &to), fails(Errno::ECONNREFUSED));
    // A datagram socket can be disconnected; the other side hears of what is lost.
    assert_eq!(bench.send(4, 1), Outcome::Done(1));
    bench.guest.put_words(DATA, &[0]);
    assert_eq!(bench.call(nr::connect, &[3, DATA, 2]), Outcome::Done(0));
    assert_eq!(bench.call(nr::getpeername, &[3, DATA, DATA + 8]), fails(Errno::ENOTCONN));
    assert_eq!(bench.option(4, libc::SO_ERROR), Errno::ECONNRESET.number() as u64);
    assert_eq!(bench.option(4, libc::SO_ERROR), 0);
    assert_eq!(bench.send(4, 1), Outcome::Done(1));
    let mut bench = Bench::new(libc::SOCK_STREAM);
    bench.guest.put_words(DATA, &[1]);
    assert_eq!(bench.call(nr::sendto, &[3, DATA, 1, 0, DATA, 3]), fails(Errno::EISCONN));
    assert_eq!(bench.call(nr::listen, &[3, 5]), invalid);
}

#[test]
fn what_is_no_pair_of_linuxs_is_refused() {
    let (mut kernel, mut guest, tid) = machine();
    for (family, kind, protocol, errno) in [
        (1, 9 << 4, 0, Errno::EINVAL),
        (46, 1, 0, Errno::EAFNOSUPPORT),
        (0, 1, 0, Errno::EAFNOSUPPORT),
        (0, 11, 0, Errno::EINVAL),
        (1, 1, 2, Errno::EPROTONOSUPPORT),
        (1, 4, 0, Errno::ESOCKTNOSUPPORT),
        (2, 1, 0, Errno::EOPNOTSUPP),
        (10, 5, 0, Errno::ESOCKTNOSUPPORT),
        (10, 3, 0, Errno::EPROTONOSUPPORT),
    ] {
        let args = [family, kind, protocol, 0, 3, 4];
        let got = kernel.do_call(tid, nr::socketpair, args, &mut guest);
        assert_eq!(got, errno.as_return(), "{family} {kind}");
    }
    assert_eq!(kernel.do_call(tid, nr::eventfd2, [0, 0, 5, 0, 0, 0], &mut guest), 5);
    let args = [5, DATA, 1, 0, 0, 0];
    let no_socket = Errno::ENOTSOCK.as_return();
    assert_eq!(kernel.do_call(tid, nr::recvfrom, args, &mut guest), no_socket);
    assert!(kernel.sockets.sockets.is_empty());
}
