//! What passes between a simulator and a guest that keeps to the protocol.
//!
//! Guests are fakes (`common/fake.rs`). Guests that die or lie are in `deaths.rs`.

mod common;

use common::{command, end, fake, identity, memory};
use shim_abi::event::{Reply, Request};
use shim_abi::ring::RecordKind;
use shim_abi::{Errno, SimTime};
use shim_supervisor::{Event, ExitStatus, Guest, Launcher};

#[test]
fn fake_guest() {
    fake::enter();
}

fn start(launcher: &Launcher, mode: &str) -> Guest {
    let memory = memory();
    memory.set_now(SimTime::from_ns(77));
    memory.set_run_until(SimTime::MAX);
    let mut guest = launcher.spawn(&memory, &fake::command(mode), &identity()).unwrap();
    assert_eq!(guest.wait(), Event::Request(Request::Start));
    guest.reply(&Reply::Started);
    guest
}

fn call(guest: &mut Guest) -> (u32, [u64; 6]) {
    match guest.wait() {
        Event::Request(Request::Syscall { number, args, .. }) => (number, args),
        event => panic!("{event:?}"),
    }
}

fn complete(guest: &mut Guest, result: i64) {
    guest.reply(&Reply::Complete {
        result,
        copies_bytes: 0,
        is_clock_advanced: false,
        signal: None,
    });
}

#[test]
fn calls_memory_and_native_calls() {
    let launcher = Launcher::start().unwrap();
    let mut guest = start(&launcher, "calls");
    assert_eq!(guest.images(), 1);
    assert_eq!(guest.program(), "fake\u{fffd}guest");

    let (number, [near, far, out, ..]) = call(&mut guest);
    assert_eq!(number, 1);
    let mut bytes = [0; 13];
    guest.memory().read(near, &mut bytes).unwrap();
    assert_eq!(&bytes, b"with the call");
    guest.memory().read(near + 5, &mut bytes[..3]).unwrap();
    assert_eq!(&bytes[..3], b"the");
    let mut bytes = vec![0; 100_000];
    guest.memory().read(far, &mut bytes).unwrap();
    assert!(bytes.iter().all(|&b| b == 7));
    guest.memory().write(out, b"????wxyz").unwrap();
    guest.memory().write(out, b"answered").unwrap();
    // A read sees what was written, although it is still on its way.
    let mut bytes = [0; 8];
    guest.memory().read(out, &mut bytes).unwrap();
    assert_eq!(&bytes, b"answered");
    guest.memory().write(out, b"answered").unwrap();
    complete(&mut guest, 42);

    // Later writes win, whichever way they go.
    let (_, [large, ..]) = call(&mut guest);
    guest.memory().write(large, &[9; 100]).unwrap();
    guest.memory().write(large, &[2; 100_000]).unwrap();
    guest.memory().write(large, &[1; 10]).unwrap();
    complete(&mut guest, 0);

    call(&mut guest);
    let getpid = libc::SYS_getpid as u32;
    let pid = guest.native_call(getpid, [0; 6]).unwrap();
    assert_eq!(pid as u32, guest.native_pid());
    assert_eq!(guest.native_call(libc::SYS_close as u32, [u64::MAX, 0, 0, 0, 0, 0]), Ok(-1));
    complete(&mut guest, pid);

    call(&mut guest);
    for address in [0, 8, u64::MAX, u64::MAX - 7, 1 << 47, 0xffff_8000_0000_0000] {
        let mut bytes = [0; 16];
        assert_eq!(guest.memory().read(address, &mut bytes), Err(Errno::EFAULT));
        assert_eq!(guest.memory().write(address, &[0; 4096]), Err(Errno::EFAULT));
        assert_eq!(guest.memory().read(address, &mut []), Ok(()));
        assert_eq!(guest.memory().write(address, &[]), Ok(()));
        guest.memory().write(address, b"small").unwrap();
        assert_eq!(guest.memory().flush(), Err(Errno::EFAULT));
        guest.memory().write(address, b"small").unwrap();
        assert_eq!(guest.native_call(getpid, [0; 6]), Ok(-14));
    }
    complete(&mut guest, -14);

    // A native call that does not return.
    call(&mut guest);
    let exit = libc::SYS_exit_group as u32;
    assert!(guest.native_call(exit, [23, 0, 0, 0, 0, 0]).is_err());
    assert_eq!(guest.wait(), Event::Exited(ExitStatus::Code(23)));
    assert_eq!(guest.wait(), Event::Exited(ExitStatus::Code(23)));
    assert_eq!(guest.memory().read(near, &mut [0]), Err(Errno::EFAULT));
}

#[test]
fn a_guest_that_ends_before_its_first_message_has_just_ended() {
    let launcher = Launcher::start().unwrap();
    let mut guest = launcher.spawn(&memory(), &fake::command("exit"), &identity()).unwrap();
    assert_eq!(end(&mut guest), ExitStatus::Code(5));
    assert_eq!(guest.images(), 0);
}

#[test]
fn records_arrive_in_order_however_full_the_ring_is() {
    let launcher = Launcher::start().unwrap();
    let mut guest = start(&launcher, "records");
    let (mut logs, mut lacks) = (0, 0);
    loop {
        let event = guest.wait();
        if let Event::Request(Request::Syscall { .. }) = event {
            assert_eq!(guest.native_call(39, [0; 6]), Ok(9));
        }
        guest.drain(|header, payload| match header.kind {
            RecordKind::Log => {
                assert_eq!(header.time_ns, logs);
                assert_eq!(payload, format!("record {logs}").as_bytes());
                logs += 1;
            }
            _ => {
                assert_eq!((header.time_ns, payload), (lacks, &b"lack"[..]));
                lacks += 1;
            }
        });
        match event {
            Event::Request(_) => complete(&mut guest, 0),
            event => break assert_eq!(event, Event::Exited(ExitStatus::Code(8))),
        }
    }
    assert_eq!((logs, lacks), (10_000, 5_000));
    assert_eq!(guest.refused().collect::<Vec<_>>(), [(41, 3)]);
    assert_eq!(guest.take_failure().as_deref(), Some("broken \u{fffd}[31m here"));
    assert_eq!(guest.take_failure(), None);
}

#[test]
fn an_interrupt_reaches_a_guest_that_waits_natively() {
    let launcher = Launcher::start().unwrap();
    let mut guest = start(&launcher, "kicked");
    call(&mut guest);
    complete(&mut guest, 0);
    let interrupter = guest.interrupter();
    std::thread::spawn(move || interrupter.interrupt(1 << 5)).join().unwrap();
    assert_eq!(end(&mut guest), ExitStatus::Code(1 << 5));
    // It may outlive the guest.
    let interrupter = guest.interrupter();
    drop(guest);
    interrupter.interrupt(1);
    interrupter.kill();
    assert_eq!(interrupter.end(), Some(ExitStatus::Code(1 << 5)));
}

#[test]
fn an_interrupt_does_not_harm_a_program_whose_shim_is_not_up() {
    let launcher = Launcher::start().unwrap();
    let command = command(&["/bin/sleep", "0.2"]);
    let mut guest = launcher.spawn(&memory(), &command, &identity()).unwrap();
    guest.interrupter().interrupt(u64::MAX);
    assert_eq!(end(&mut guest), ExitStatus::Code(0));
}

#[test]
fn blocks_are_used_again_and_clean() {
    let launcher = Launcher::start().unwrap();
    let memory = memory();
    for _ in 0..3 {
        let command = fake::command("records");
        let mut guest = launcher.spawn(&memory, &command, &identity()).unwrap();
        assert_eq!((guest.process_index(), guest.thread_index()), (0, 0));
        assert_eq!(guest.take_failure(), None);
        assert_eq!(guest.wait(), Event::Request(Request::Start));
        guest.process().failure.store(b"left behind");
    }
    assert_eq!(memory.process(0).unwrap().header.magic, 0);
}
