//! The hosts of a configuration, with their clocks.
//!
//! The mapping `hosts` in, one [`Draft`] per host out, sorted by name. Always true: hosts that are one value
//! in the file, by an anchor, are read once, so that a thousand of them cost little and complain once.
//! What needs all hosts or the graph (addresses, nodes, bandwidths) is decided in `resolve.rs`; processes
//! are in `processes.rs`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::rc::Rc;

use shim_abi::SimTime;

use super::document::{Kind, Node, Scalar, Value};
use super::folders::Folders;
use super::keys;
use super::names;
use super::problem::{Place, Report};
use super::processes::ProcessReader;
use super::reader::{
    Mismatch, Reading, Section, bandwidth, describe, integer, list_of, nullable, signed_time, size,
    text, time,
};
use super::scenario::{Clock, ClockJump, Process};
use super::settings::HostOptions;

/// Memory of a host that does not say.
const DEFAULT_MEMORY_BYTES: u64 = 4 << 30;

/// Most processors that a host may have: what `sched_getaffinity` can tell everybody.
const MAX_CPUS: i128 = 1024;

/// A host, as far as its own lines tell.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) node: (u32, Place),
    pub(super) address: Option<(Ipv4Addr, Place)>,
    pub(super) bandwidth_down: Option<u64>,
    pub(super) bandwidth_up: Option<u64>,
    pub(super) options: HostOptions,
    pub(super) aliases: Vec<(String, Place)>,
    pub(super) cpus: u32,
    pub(super) memory_bytes: u64,
    pub(super) clock: Clock,
    pub(super) files: Folders,
    pub(super) processes: Rc<Vec<Process>>,
}

/// All hosts by name, each with the place of its name. Those with problems are missing.
pub(super) fn read(
    node: &Node,
    (defaults, folders): (HostOptions, &Folders),
    processes: &mut ProcessReader<'_>,
    report: &mut Report,
) -> BTreeMap<String, (Draft, Place)> {
    let Value::Map(entries) = &node.value else {
        if !node.is_null() {
            let found = describe(node);
            report.problem(
                &node.place,
                format!("hosts is {found}, but must be a mapping from host names to hosts"),
            );
        }
        return BTreeMap::new();
    };
    let mut known: BTreeMap<*const Node, Option<Draft>> = BTreeMap::new();
    let mut hosts = BTreeMap::new();
    for entry in entries {
        if let Some(objection) = names::objection(&entry.key) {
            report.problem(&entry.place, objection);
        }
        let draft = known.entry(Rc::as_ptr(&entry.node)).or_insert_with(|| {
            let path = format!("hosts.{}", super::reader::shorten(&entry.key));
            let section = Section::open(&entry.node, &entry.place, &path, &keys::HOST, report)?;
            read_host(&section, (defaults, folders), processes, report)
        });
        if let Some(draft) = draft {
            hosts.insert(entry.key.clone(), (draft.clone(), entry.place.clone()));
        }
    }
    hosts
}

fn read_host(
    section: &Section<'_>,
    (defaults, folders): (HostOptions, &Folders),
    processes: &mut ProcessReader<'_>,
    report: &mut Report,
) -> Option<Draft> {
    let node_id = section.required(
        "network_node_id",
        "write at which node of the graph the host is, such as 'network_node_id: 0'",
        integer(0..=i128::from(u32::MAX)),
        report,
    );
    let address = section.optional("ip_addr", nullable(address), report).flatten();
    let bandwidth_down = section.optional("bandwidth_down", nullable(bandwidth), report).flatten();
    let bandwidth_up = section.optional("bandwidth_up", nullable(bandwidth), report).flatten();
    let options = section.entry("host_options").and_then(|entry| {
        let path = section.name("host_options");
        let options = Section::open(&entry.node, &entry.place, &path, &keys::HOST_OPTIONS, report)?;
        Some(HostOptions::read(&options, report))
    });
    let own = read_shim(section, folders, report);
    let processes = processes.read(section, report);
    let node_id = u32::try_from(node_id?).ok()?;
    let (aliases, cpus, memory_bytes, clock, files) = own?;
    Some(Draft {
        node: (node_id, section.place_of("network_node_id")),
        address: address.map(|address| (address, section.place_of("ip_addr"))),
        bandwidth_down,
        bandwidth_up,
        options: options.unwrap_or_default().or(defaults),
        aliases,
        cpus,
        memory_bytes,
        clock,
        files,
        processes: processes?,
    })
}

fn address(node: &Node) -> Reading<Ipv4Addr> {
    const EXPECTED: &str = "an IPv4 address such as 11.0.0.1";
    let written = match &node.value {
        // 10.5 is a number for YAML, and no address either way.
        Value::Scalar(Scalar { text, kind: Kind::Float | Kind::Integer(_), .. }) => text.clone(),
        _ => text(node, EXPECTED)?,
    };
    let address: Ipv4Addr = written.parse().map_err(|_| Mismatch::new(EXPECTED))?;
    match names::address_objection(address) {
        None => Ok(address),
        Some(reason) => Err(Mismatch::because("an address that a host can have", reason)),
    }
}

type Own = (Vec<(String, Place)>, u32, u64, Clock, Folders);

/// What the host's `shim` says.
fn read_shim(host: &Section<'_>, folders: &Folders, report: &mut Report) -> Option<Own> {
    let path = host.name("shim");
    let Some(entry) = host.entry("shim") else {
        return Some((Vec::new(), 1, DEFAULT_MEMORY_BYTES, Clock::default(), folders.clone()));
    };
    let shim = Section::open(&entry.node, &entry.place, &path, &keys::HOST_SHIM, report)?;
    let cpus = shim.optional("cpus", integer(1..=MAX_CPUS), report);
    let memory = shim.optional("memory", memory, report);
    let aliases = shim.optional("aliases", aliases, report);
    for (alias, place) in aliases.iter().flatten() {
        if let Some(objection) = names::objection(alias) {
            report.problem(place, objection);
        }
    }
    let clock = match shim.entry("clock") {
        None => Clock::default(),
        Some(entry) => {
            let path = shim.name("clock");
            let section = Section::open(&entry.node, &entry.place, &path, &keys::CLOCK, report)?;
            read_clock(&section, report)?
        }
    };
    Some((
        aliases.unwrap_or_default(),
        cpus.and_then(|cpus| u32::try_from(cpus).ok()).unwrap_or(1),
        memory.unwrap_or(DEFAULT_MEMORY_BYTES),
        clock,
        Folders::read(&shim, report).or(folders),
    ))
}

fn memory(node: &Node) -> Reading<u64> {
    const SMALLEST: u64 = 1 << 20;
    match size(node)? {
        bytes if bytes < SMALLEST => Err(Mismatch::new("at least 1 MiB, such as 4 GiB")),
        bytes => Ok(bytes),
    }
}

fn aliases(node: &Node) -> Reading<Vec<(String, Place)>> {
    const EXPECTED: &str = "a list of names such as [www, mail]";
    list_of(node, EXPECTED, |item| Ok((text(item, "text")?, item.place.clone())))
}

fn read_clock(section: &Section<'_>, report: &mut Report) -> Option<Clock> {
    let offset_ns = section.optional("offset", signed_time, report).unwrap_or(0);
    let rate_ppb = section.optional("rate_ppm", rate, report).unwrap_or(0);
    let mut jumps = Vec::new();
    if let Some(entry) = section.entry("jumps") {
        let path = section.name("jumps");
        let Value::List(items) = &entry.node.value else {
            let found = describe(&entry.node);
            report.problem(
                &entry.node.place,
                format!("{path} is {found}, but must be a list such as [{{at: 1 h, by: -2 s}}]"),
            );
            return None;
        };
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if let Some(jump) = Section::open(item, &item.place, &path, &keys::JUMP, report)
                .and_then(|section| read_jump(&section, report))
            {
                if jumps.iter().any(|other: &ClockJump| other.at == jump.at) {
                    report.problem(
                        &item.place,
                        format!("{path} is at the same time as another jump"),
                    );
                }
                jumps.push(jump);
            }
        }
    }
    jumps.sort_by_key(|jump| jump.at);
    Some(Clock { offset_ns, rate_ppb, jumps })
}

fn read_jump(section: &Section<'_>, report: &mut Report) -> Option<ClockJump> {
    let at = section.required("at", "write when, such as 'at: 1 h'", time, report);
    let by = section.required("by", "write how far, such as 'by: -2 s'", signed_time, report);
    Some(ClockJump { at: SimTime::ZERO + at?, by_ns: by? })
}

/// Parts per million as parts per billion.
fn rate(node: &Node) -> Reading<i64> {
    /// A tenth, which is what `adjtimex` can do at most.
    const MOST_PPM: f64 = 100_000.0;
    let expected = "a number of millionths from -100000 to 100000, such as 50 or -0.5";
    let Value::Scalar(Scalar { text, kind, .. }) = &node.value else {
        return Err(Mismatch::new(expected));
    };
    let is_number = matches!(kind, Kind::Integer(_) | Kind::Float);
    match text.parse::<f64>() {
        Ok(ppm) if is_number && ppm.abs() <= MOST_PPM => Ok((ppm * 1000.0).round() as i64),
        _ => Err(Mismatch::new(expected)),
    }
}
