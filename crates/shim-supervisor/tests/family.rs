//! Guests that make threads and processes: births, ends at every moment of them, and blocks that are used again.
//!
//! Guests are fakes (`common/fake/family.rs`). Always true: no test waits for ever, whoever dies.

mod common;

use std::sync::Arc;

use common::fake::family::{CHILD, CHILD_STATUS, MAKE, Way};
use common::{end, eventually, exists, fake, identity, library, memory};
use shim_abi::event::{Reply, Request};
use shim_abi::{Errno, SimTime};
use shim_supervisor::{
    Ended, Event, ExitStatus, Guest, HostMemory, Identity, Launcher, SpawnError,
};

const KILLED: ExitStatus = ExitStatus::Signal { signal: libc::SIGKILL, has_core: false };

#[test]
fn fake_guest() {
    fake::enter();
}

/// A parent that waits for its first answer.
fn parent(launcher: &Launcher, memory: &Arc<HostMemory>) -> Guest {
    library();
    memory.set_run_until(SimTime::MAX);
    let mut guest = launcher.spawn(memory, &fake::command("parent"), &identity()).unwrap();
    assert_eq!(guest.wait(), Event::Request(Request::Start));
    guest.reply(&Reply::Started);
    assert_eq!(call(&mut guest).0, 100);
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

/// Have the parent ask for a child.
fn ask(parent: &mut Guest, way: Way) -> [u64; 6] {
    complete(parent, way as i64);
    let (number, args) = call(parent);
    assert_eq!(number, MAKE);
    args
}

/// It has its child, or not, and waits for what comes next.
fn go_on(parent: &mut Guest) {
    complete(parent, 0);
    assert_eq!(call(parent).0, 100);
}

fn child_identity() -> Identity {
    Identity { pid: 1001, tid: 1001, parent_pid: 1000, ..identity() }
}

/// Start a child that was made, and let it make its call.
fn begin(child: &mut Guest, tid: u64) {
    child.reply(&Reply::Started);
    let (number, args) = call(child);
    assert_eq!((number, args[0]), (CHILD, tid));
}

#[test]
fn threads_are_made_used_and_forgotten() {
    let launcher = Launcher::start().unwrap();
    let memory = memory();
    let mut parent = parent(&launcher, &memory);
    for round in 0..1_000 {
        ask(&mut parent, Way::Right);
        let mut child = parent.add_thread(2000 + round).unwrap();
        assert_eq!((child.process_index(), child.thread_index()), (0, 1), "blocks are used again");
        assert_eq!(parent.make(&mut child), Ok(Ok(())));
        go_on(&mut parent);
        begin(&mut child, u64::from(2000 + round));
        complete(&mut child, 0);
        assert_eq!(call(&mut child).0, libc::SYS_exit as u32);
        child.forget();
    }
    assert_eq!(memory.thread(1).unwrap().header.magic, 0);
    assert_eq!(memory.deaths(), 0);
}

#[test]
fn many_threads_at_once_end_with_their_process() {
    let launcher = Launcher::start().unwrap();
    let memory = memory();
    let mut parent = parent(&launcher, &memory);
    let mut children = Vec::new();
    for tid in 0..200 {
        ask(&mut parent, Way::Right);
        let mut child = parent.add_thread(tid).unwrap();
        parent.make(&mut child).unwrap().unwrap();
        go_on(&mut parent);
        // Some wait for their first turn, some for an answer, some compute.
        if tid % 3 > 0 {
            begin(&mut child, tid.into());
        }
        if tid % 3 == 1 {
            complete(&mut child, 1);
        }
        children.push(child);
    }
    parent.kill();
    eventually("it is dead", || parent.end() == Some(KILLED));
    for (tid, child) in children.iter_mut().enumerate() {
        if tid % 3 == 1 {
            // It may have said something before.
            let event = child.wait();
            assert!(matches!(event, Event::Exited(KILLED) | Event::Request(_)), "{event:?}");
        }
        assert_eq!(child.end(), Some(KILLED));
    }
    drop(children);
    assert_eq!(memory.deaths(), 1);
    drop(parent);
    assert!((0..201).all(|index| memory.thread(index).unwrap().header.magic == 0));
}

#[test]
fn processes_are_made_and_their_ends_are_known() {
    let launcher = Launcher::start().unwrap();
    let memory = memory();
    let mut parent = parent(&launcher, &memory);
    for round in 0..300 {
        let args = ask(&mut parent, Way::Right);
        let mut child = parent.add_process(&child_identity()).unwrap();
        assert_eq!((child.process_index(), child.thread_index()), (1, 1), "blocks are used again");
        assert_eq!(child.native_pid(), 0);
        assert_eq!(parent.make(&mut child), Ok(Ok(())));
        let pid = child.native_pid();
        go_on(&mut parent);
        begin(&mut child, 1001);
        let mut word = [0; 8];
        child.memory().read(args[1], &mut word).unwrap();
        assert_eq!(u64::from_le_bytes(word), 77, "its copy of the parent's memory");
        if round % 2 == 0 {
            complete(&mut child, 0);
            assert_eq!(end(&mut child), ExitStatus::Code(CHILD_STATUS));
        } else {
            assert_eq!(child.exit(5), Some(ExitStatus::Code(5)));
            assert_eq!(end(&mut child), ExitStatus::Code(5));
        }
        drop(child);
        if round % 100 == 0 {
            eventually("it is reaped", || !exists(pid));
        }
    }
    assert_eq!(memory.deaths(), 300);
    assert_eq!(memory.process(1).unwrap().header.magic, 0);
}

#[test]
fn a_child_that_could_not_be_made_leaves_nothing() {
    let launcher = Launcher::start().unwrap();
    let memory = memory();
    let mut parent = parent(&launcher, &memory);
    for _ in 0..3 {
        ask(&mut parent, Way::Fail);
        let mut child = parent.add_process(&child_identity()).unwrap();
        assert_eq!(parent.make(&mut child), Ok(Err(Errno::EAGAIN)));
        assert_eq!((child.process_index(), child.thread_index()), (1, 1));
        drop(child);
        go_on(&mut parent);
        ask(&mut parent, Way::Fail);
        let mut child = parent.add_thread(7).unwrap();
        assert_eq!(parent.make(&mut child), Ok(Err(Errno::EAGAIN)));
        assert_eq!(child.thread_index(), 1);
        drop(child);
        go_on(&mut parent);
    }
    complete(&mut parent, -1);
    assert_eq!(end(&mut parent), ExitStatus::Code(9), "the parent goes on");
}

#[test]
fn who_dies_before_it_is_known_is_known_to_be_dead() {
    let launcher = Launcher::start().unwrap();
    let memory = memory();
    let mut parent = parent(&launcher, &memory);
    for way in [Way::ChildDiesEarly, Way::ChildDies, Way::ChildDiesEarly] {
        ask(&mut parent, way);
        let mut child = parent.add_process(&child_identity()).unwrap();
        assert_eq!(child.process_index(), 1);
        assert_eq!(parent.make(&mut child), Ok(Ok(())), "{way:?}");
        go_on(&mut parent);
        child.reply(&Reply::Started);
        assert_eq!(end(&mut child), KILLED, "{way:?}");
    }
}

#[test]
fn a_child_whose_parent_died_before_telling_ends_and_its_blocks_are_free() {
    let launcher = Launcher::start().unwrap();
    let memory = memory();
    let mut parent = parent(&launcher, &memory);
    ask(&mut parent, Way::DieBeforeTelling);
    let mut child = parent.add_process(&child_identity()).unwrap();
    assert_eq!(parent.make(&mut child), Err(Ended));
    assert_eq!(end(&mut parent), KILLED);
    assert_eq!(child.native_pid(), 0);
    drop(child);
    eventually("its blocks are free", || {
        memory.process(1).unwrap().header.magic == 0 && memory.thread(1).unwrap().header.magic == 0
    });
    drop(parent);
    // Whoever comes next is not disturbed.
    let mut again = common_parent(&launcher, &memory);
    complete(&mut again, -1);
    assert_eq!(end(&mut again), ExitStatus::Code(9));
}

fn common_parent(launcher: &Launcher, memory: &Arc<HostMemory>) -> Guest {
    let parent = parent(launcher, memory);
    assert_eq!(parent.process_index(), 0);
    parent
}

#[test]
fn nobody_else_is_taken_for_a_child() {
    for way in [Way::NameParent, Way::NameItself, Way::SayNonsense] {
        let launcher = Launcher::start().unwrap();
        let memory = memory();
        let mut parent = parent(&launcher, &memory);
        let own = parent.native_pid();
        ask(&mut parent, way);
        let mut child = parent.add_process(&child_identity()).unwrap();
        assert_eq!(parent.make(&mut child), Err(Ended), "{way:?}");
        assert_eq!((parent.wait(), parent.wait()), (Event::Malformed, Event::Exited(KILLED)));
        drop(child);
        eventually("it is dead", || !exists(own));
        // The launcher is not.
        let mut next = common_parent(&launcher, &self::memory());
        complete(&mut next, -1);
        assert_eq!(end(&mut next), ExitStatus::Code(9));
    }
}

#[test]
fn processes_end_without_their_parent_and_with_their_launcher() {
    let launcher = Launcher::start().unwrap();
    let memory = memory();
    let mut parent = parent(&launcher, &memory);
    let mut children = Vec::new();
    for _ in 0..20 {
        ask(&mut parent, Way::Right);
        let mut child = parent.add_process(&child_identity()).unwrap();
        parent.make(&mut child).unwrap().unwrap();
        go_on(&mut parent);
        children.push(child);
    }
    parent.kill();
    eventually("it is dead", || parent.end() == Some(KILLED));
    for child in &mut children {
        assert_eq!(child.end(), None, "a child outlives its parent");
        begin(child, 1001);
    }
    // Dropped alone, a process is killed.
    let pid = children[0].native_pid();
    children.remove(0);
    eventually("it is reaped", || !exists(pid));
    let pids: Vec<u32> = children.iter().map(Guest::native_pid).collect();
    drop(launcher);
    assert!(pids.iter().all(|&pid| !exists(pid)), "not even zombies");
    assert!(children.iter_mut().all(|child| child.wait() == Event::Exited(KILLED)));
}

#[test]
fn a_full_host_refuses_threads_and_processes() {
    let launcher = Launcher::start().unwrap();
    let memory = memory();
    let parent = parent(&launcher, &memory);
    let threads: Vec<Guest> = (1..shim_abi::region::MAX_THREADS as u32)
        .map(|tid| parent.add_thread(tid).unwrap())
        .collect();
    assert!(matches!(parent.add_thread(0), Err(SpawnError::TooMany)));
    assert!(matches!(parent.add_process(&child_identity()), Err(SpawnError::TooMany)));
    threads.into_iter().for_each(Guest::forget);
    let process = parent.add_process(&child_identity()).unwrap();
    assert_eq!((process.process_index(), process.thread_index()), (1, 1));
    process.forget();
    assert!(parent.end().is_none());
}

#[test]
fn shared_memory_has_a_backing_and_private_memory_has_none() {
    let launcher = Launcher::start().unwrap();
    let memory = memory();
    let mut parent = parent(&launcher, &memory);
    let private = ask(&mut parent, Way::Right)[1];
    assert_eq!(parent.backing(private), Ok(None));
    assert_eq!(parent.backing(0), Err(Errno::EFAULT));
    let mut child = parent.add_process(&child_identity()).unwrap();
    parent.make(&mut child).unwrap().unwrap();
    begin(&mut child, 1001);
    // Where the fakes map the host's memory file: the same in both.
    let (start, inode) = shared_file(&parent);
    let of_parent = parent.backing(start + 4100).unwrap().unwrap();
    assert_eq!((of_parent.inode, of_parent.offset), (inode, 4100));
    assert_eq!(child.backing(start + 4100), Ok(Some(of_parent)));
}

/// Where a guest maps the host's shared file, and its inode.
fn shared_file(guest: &Guest) -> (u64, u64) {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", guest.native_pid())).unwrap();
    let line = maps.lines().find(|line| line.contains("shim-shared")).unwrap();
    let start = line.split('-').next().unwrap();
    let inode = line.split_whitespace().nth(4).unwrap();
    (u64::from_str_radix(start, 16).unwrap(), inode.parse().unwrap())
}
