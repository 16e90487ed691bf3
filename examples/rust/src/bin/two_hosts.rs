//! Two hosts under an event loop of one's own: curl on one, python's web server on the other, 10 ms apart.
//!
//! Nothing comes in; what curl fetched goes out, and how many packets that took until when. Always true: the loop owns simulated
//! time and the cable between the hosts, and knows nothing of what is inside a packet; each run prints the same. It is
//! the twin of `examples/c/two_hosts.c`: the declarations are those of `shim/host.h`, of which a program takes the few that it needs.
//!
//! # Safety
//!
//! Calls of C functions, whose manual pages say what they take: texts that end with a NUL, objects that the library made and that
//! are not ended yet, places for results.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::null_mut;

/// A structure of the library's, which nobody here looks into.
enum Opaque {}

unsafe extern "C" {
    safe fn shimsup_message() -> *const c_char;
    fn shimsup_simulation_new(library: *const c_char, simulation: *mut *mut Opaque) -> c_int;
    fn shimsup_simulation_add_name(
        simulation: *mut Opaque,
        name: *const c_char,
        ipv4: *const c_char,
        ipv6: *const c_char,
        host_id: u32,
    ) -> c_int;
    fn shimsup_simulation_free(simulation: *mut Opaque);
    fn shimsup_command_new(program: *const c_char, command: *mut *mut Opaque) -> c_int;
    fn shimsup_command_add_argument(command: *mut Opaque, argument: *const c_char) -> c_int;
    fn shimsup_command_add_environment(command: *mut Opaque, variable: *const c_char) -> c_int;
    fn shimsup_command_set_directory(command: *mut Opaque, directory: *const c_char) -> c_int;
    fn shimsup_command_set_stdio(command: *mut Opaque, number: c_int, fd: c_int) -> c_int;
    fn shimsup_command_free(command: *mut Opaque);
    fn shimhost_config_new(id: u32, hostname: *const c_char, config: *mut *mut Opaque) -> c_int;
    fn shimhost_config_set_ipv4(config: *mut Opaque, ip: *const c_char, prefix_bits: u32) -> c_int;
    fn shimhost_config_set_connected(config: *mut Opaque, is_connected: bool) -> c_int;
    fn shimhost_config_free(config: *mut Opaque);
    fn shimhost_new(
        simulation: *mut Opaque,
        config: *const Opaque,
        host: *mut *mut Opaque,
    ) -> c_int;
    fn shimhost_spawn(host: *mut Opaque, command: *const Opaque, pid: *mut u32) -> c_int;
    fn shimhost_step(host: *mut Opaque, now_ns: u64, until_ns: u64) -> c_int;
    fn shimhost_next_event(host: *const Opaque) -> u64;
    fn shimhost_now(host: *const Opaque) -> u64;
    fn shimhost_deliver(
        host: *mut Opaque,
        at_ns: u64,
        datagram: *const c_void,
        length: usize,
    ) -> c_int;
    fn shimhost_take_packet(
        host: *mut Opaque,
        at_ns: *mut u64,
        datagram: *mut *const c_void,
        length: *mut usize,
    ) -> c_int;
    fn shimhost_process_end(
        host: *const Opaque,
        pid: u32,
        kind: *mut c_int,
        value: *mut c_int,
    ) -> c_int;
    fn shimhost_free(host: *mut Opaque);
}

const LATENCY_NS: u64 = 10_000_000;
const NEVER: u64 = u64::MAX;

/// Success is 0 or more; a failure has a message.
fn check(result: c_int) -> c_int {
    if result < 0 {
        // SAFETY: the library's own text, which stays until the next failure.
        let message = unsafe { CStr::from_ptr(shimsup_message()) };
        eprintln!("{}", message.to_string_lossy());
        std::process::exit(1);
    }
    result
}

fn text(words: &str) -> CString {
    CString::new(words).expect("there is no NUL in it")
}

/// A host, until it is dropped.
struct Host(*mut Opaque);

impl Host {
    fn new(simulation: *mut Opaque, id: u32, name: &str, address: &str) -> Host {
        let (mut config, mut host) = (null_mut(), null_mut());
        let (name, address) = (text(name), text(address));
        // SAFETY: a text, and a place for a pointer.
        check(unsafe { shimhost_config_new(id, name.as_ptr(), &raw mut config) });
        // SAFETY: a configuration of the library's, and a text.
        check(unsafe { shimhost_config_set_ipv4(config, address.as_ptr(), 24) });
        // SAFETY: as above.
        check(unsafe { shimhost_config_set_connected(config, true) });
        // SAFETY: objects of the library's, and a place for a pointer.
        check(unsafe { shimhost_new(simulation, config, &raw mut host) });
        // SAFETY: it is not used any more.
        unsafe { shimhost_config_free(config) };
        Host(host)
    }

    /// Start a program in a folder.
    fn start(&mut self, line: &str, folder: &Path, streams: [c_int; 3]) -> u32 {
        let (mut command, mut pid) = (null_mut(), 0);
        let mut words = line.split(' ').map(text);
        let program = words.next().unwrap_or_default();
        // SAFETY: a text, and a place for a pointer.
        check(unsafe { shimsup_command_new(program.as_ptr(), &raw mut command) });
        for word in words {
            // SAFETY: a command of the library's, and a text.
            check(unsafe { shimsup_command_add_argument(command, word.as_ptr()) });
        }
        for variable in [c"PATH=/usr/bin:/bin", c"LC_ALL=C"] {
            // SAFETY: as above.
            check(unsafe { shimsup_command_add_environment(command, variable.as_ptr()) });
        }
        let folder = text(&folder.to_string_lossy());
        // SAFETY: as above.
        check(unsafe { shimsup_command_set_directory(command, folder.as_ptr()) });
        for (number, fd) in (0..).zip(streams) {
            // SAFETY: a command of the library's, and a descriptor that is open.
            check(unsafe { shimsup_command_set_stdio(command, number, fd) });
        }
        // SAFETY: objects of the library's, and a place for a number.
        check(unsafe { shimhost_spawn(self.0, command, &raw mut pid) });
        // SAFETY: it is not used any more.
        unsafe { shimsup_command_free(command) };
        pid
    }

    fn step(&mut self, now: u64, until: u64) {
        // SAFETY: a host of the library's.
        check(unsafe { shimhost_step(self.0, now, until) });
    }

    fn next_event(&self) -> u64 {
        // SAFETY: a host of the library's.
        unsafe { shimhost_next_event(self.0) }
    }

    fn now(&self) -> u64 {
        // SAFETY: a host of the library's.
        unsafe { shimhost_now(self.0) }
    }

    fn deliver(&mut self, at: u64, bytes: &[u8]) {
        // SAFETY: a host of the library's, and so many bytes.
        check(unsafe { shimhost_deliver(self.0, at, bytes.as_ptr().cast(), bytes.len()) });
    }

    fn take_packet(&mut self) -> Option<(u64, Vec<u8>)> {
        let (mut at, mut bytes, mut length) = (0, std::ptr::null(), 0);
        // SAFETY: a host of the library's, and places for the results.
        let taken = unsafe {
            shimhost_take_packet(self.0, &raw mut at, &raw mut bytes, &raw mut length)
        };
        if check(taken) == 0 {
            return None;
        }
        // SAFETY: the library's bytes, which stay until its next call with this host.
        Some((at, unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) }.to_vec()))
    }

    /// How a process ended: whether by itself, and its status or signal.
    fn end_of(&self, pid: u32) -> Option<(bool, c_int)> {
        const EXITED: c_int = 1;
        let (mut kind, mut value) = (0, 0);
        // SAFETY: a host of the library's, and places for the results.
        let ended = unsafe { shimhost_process_end(self.0, pid, &raw mut kind, &raw mut value) };
        (check(ended) == 1).then_some((kind == EXITED, value))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // SAFETY: it is not used any more.
        unsafe { shimhost_free(self.0) };
    }
}

/// The event loop: until a process of the second host has ended; how many packets were sent.
fn run(hosts: &mut [Host; 2], client: u32) -> usize {
    // What is on its way to each host.
    let mut to: [VecDeque<(u64, Vec<u8>)>; 2] = Default::default();
    let mut packets = 0;
    while hosts[1].end_of(client).is_none() {
        let events = hosts.iter().map(Host::next_event);
        let arrivals = to.iter().filter_map(|queue| queue.front()).map(|(at, _)| *at);
        let now = events.chain(arrivals).min().filter(|&now| now < NEVER);
        let now = now.expect("somebody waits for something");
        // Whatever is sent from then on arrives no earlier than a latency later: so far both can go alone.
        let until = now + LATENCY_NS;
        for number in 0..hosts.len() {
            while let Some((at, bytes)) = to[number].pop_front_if(|(at, _)| *at < until) {
                hosts[number].deliver(at, &bytes);
            }
            hosts[number].step(now, until);
            while let Some((at, bytes)) = hosts[number].take_packet() {
                to[1 - number].push_back((at + LATENCY_NS, bytes));
                packets += 1;
            }
        }
    }
    packets
}

fn main() {
    let folder = std::env::temp_dir().join(format!("two_hosts-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("there is room for a folder");
    std::fs::write(folder.join("greeting"), "hello from the other host\n").expect("it is ours");

    let mut simulation = null_mut();
    // SAFETY: no path, and a place for a pointer.
    check(unsafe { shimsup_simulation_new(std::ptr::null(), &raw mut simulation) });
    let machines = [(0, "server", "10.0.0.1"), (1, "client", "10.0.0.2")];
    for (id, name, address) in machines {
        let (name, address) = (text(name), text(address));
        let (name, address) = (name.as_ptr(), address.as_ptr());
        // SAFETY: a simulation of the library's, texts, and no address of IPv6.
        let added = unsafe {
            shimsup_simulation_add_name(simulation, name, address, std::ptr::null(), id)
        };
        check(added);
    }
    let mut hosts = machines.map(|(id, name, address)| Host::new(simulation, id, name, address));
    // SAFETY: it is not used any more.
    unsafe { shimsup_simulation_free(simulation) };

    let null = File::options().read(true).write(true).open("/dev/null").expect("it is there");
    let null = null.as_raw_fd();
    hosts[0].start("python3 -m http.server 8000", &folder, [null; 3]);
    let fetch = "curl -s --retry 9 --retry-connrefused http://server:8000/greeting";
    let client = hosts[1].start(fetch, &folder, [null, 1, 2]);
    let packets = run(&mut hosts, client);
    let (is_exit, value) = hosts[1].end_of(client).expect("the loop has waited for it");
    let how = if is_exit { "exited with" } else { "was killed by" };
    println!("curl {how} {value} after {:.6} s and {packets} packets", hosts[1].now() as f64 / 1e9);
    drop(hosts);
    std::fs::remove_dir_all(&folder).expect("it is ours");
    std::process::exit(if is_exit { value } else { 1 });
}
