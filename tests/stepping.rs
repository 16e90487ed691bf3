//! Two hosts under somebody else's event loop, which owns time and the network between them.
//!
//! What an author of a simulator writes who takes no more of this one than `shim-host`: a cable of 10 ms that carries each
//! datagram. Always true: hosts are stepped by turns, each as far as nothing of the other can have come; a run depends on
//! nothing else. The engine's own network is tested in `network.rs`.

use std::alloc::System;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;

use shim_abi::{SimDuration, SimTime};
use shim_arena::ScopedAllocator;
use shim_host::{Host, HostConfig, Name, Names, ProcessEnd};
use shim_supervisor::{Command, Launcher, Library};
use shim_testkit::Folder;
use shim_testkit::built::built;

#[global_allocator]
static ALLOCATOR: ScopedAllocator<System> = ScopedAllocator::new(System);

const LATENCY: SimDuration = SimDuration::from_ns(10_000_000);
const HOSTS: [(&str, Ipv4Addr); 2] =
    [("server", Ipv4Addr::new(10, 0, 0, 1)), ("client", Ipv4Addr::new(10, 0, 0, 2))];

/// The cable, and what is in it: by when it arrives, from whom, and in which order.
#[derive(Default)]
struct Cable {
    datagrams: BTreeMap<(SimTime, usize, u64), Vec<u8>>,
    count: u64,
}

impl Cable {
    /// Run the hosts until `is_over`.
    fn run(&mut self, hosts: &mut [Host; 2], is_over: impl Fn(&[Host; 2]) -> bool) {
        while !is_over(hosts) {
            let wishes = hosts.iter().filter_map(Host::next_event);
            let arrives = self.datagrams.first_key_value().map(|((at, ..), _)| *at);
            let now = wishes.chain(arrives).min().expect("somebody waits for something");
            let until = now + LATENCY;
            for (number, host) in hosts.iter_mut().enumerate() {
                for (at, bytes) in self.take(1 - number, until) {
                    host.deliver(at, &bytes);
                }
                host.step(now, until, &mut ());
                for departure in host.take_departures() {
                    self.count += 1;
                    let key = (departure.at + LATENCY, number, self.count);
                    self.datagrams.insert(key, departure.bytes);
                }
            }
        }
    }

    /// What one host has sent and is at the other's before `until`, in its order.
    fn take(&mut self, source: usize, until: SimTime) -> Vec<(SimTime, Vec<u8>)> {
        let is_due = |(at, from, _): &(SimTime, usize, u64)| *at < until && *from == source;
        let due: Vec<_> = self.datagrams.keys().copied().filter(is_due).collect();
        due.into_iter().filter_map(|key| Some((key.0, self.datagrams.remove(&key)?))).collect()
    }
}

fn command(line: &str, folder: &Path, output: &str) -> Command {
    let words = line.split(' ').map(|word| CString::new(word).expect("it has no zero"));
    let mut command = Command::new(words.clone().next().expect("there is a program"));
    command.argv = words.collect();
    command.env = vec![c"PATH=/usr/bin:/bin".into(), c"LC_ALL=C".into()];
    command.cwd = Some(folder.to_owned());
    let create = || File::create(folder.join(output)).expect("the folder is ours");
    let input = File::open("/dev/null").expect("it is there");
    command.stdio = [input, create(), create()].map(|file| Some(file.into()));
    command
}

/// What a client reads from a server, and how many datagrams that took.
fn run_once() -> (String, u64) {
    let launcher = Arc::new(Launcher::start().expect("it can be started"));
    let library = Library::open(&built().library).expect("it is built");
    let numbered = || (0_u32..).zip(HOSTS);
    let names = numbered().map(|(host_id, (name, ip))| Name {
        name: name.into(),
        ipv4: Some(ip),
        ipv6: None::<Ipv6Addr>,
        host_id,
        is_alias: false,
    });
    let names = Names::new(&names.collect::<Vec<_>>()).expect("there is memory");
    let hosts: Vec<Host> = numbered()
        .map(|(host_id, (name, ipv4))| {
            let names = Some(names.clone());
            let config =
                HostConfig { host_id, ipv4, names, is_connected: true, ..HostConfig::new(name) };
            Host::new(config, &launcher, &library).expect("there is memory")
        })
        .collect();
    let mut hosts: [Host; 2] = hosts.try_into().ok().expect("there are two");
    let folder = Folder::with(&[("file", b"what the server has\n")]);
    let serve = "/usr/bin/python3 -m http.server 8000";
    hosts[0].spawn(&command(serve, folder.path(), "log")).expect("it can be started");
    let fetch = "/usr/bin/curl -s --retry 9 --retry-connrefused http://server:8000/file";
    let client = hosts[1].spawn(&command(fetch, folder.path(), "copy")).expect("it can be started");
    let mut cable = Cable::default();
    cable.run(&mut hosts, |hosts| hosts[1].end_of(client).is_some());
    assert_eq!(hosts[1].end_of(client), Some(ProcessEnd::Exited(0)));
    hosts.iter_mut().for_each(|host| host.kill_all(&mut ()));
    let copy = std::fs::read_to_string(folder.path().join("copy")).expect("it was made");
    (copy, cable.count)
}

#[test]
fn an_event_loop_of_somebody_elses_runs_two_hosts() {
    let (copy, count) = run_once();
    assert_eq!(copy, "what the server has\n");
    assert!(count > 5, "{count} datagrams");
    assert_eq!(run_once(), (copy, count));
}
