//! Decides what only all hosts and the graph together can decide.
//!
//! Settings with faults, a graph and drafts of hosts in, the [`Scenario`] out. Always true: it is complete, or a problem
//! has been reported. The single values were checked where they were read.

use std::collections::BTreeMap;

use super::graph::Graph;
use super::hosts::Draft;
use super::names;
use super::problem::{Place, Report};
use super::reach::{self, Use};
use super::scenario::{Fault, Host, Network, Scenario};
use super::settings::Settings;

/// Put everything together.
pub(super) fn resolve(
    (settings, faults): (Settings, Vec<Fault>),
    graph: Graph,
    graph_place: &Place,
    drafts: BTreeMap<String, (Draft, Place)>,
    report: &mut Report,
) -> Option<Scenario> {
    check_names(&drafts, report);
    check_addresses(&drafts, report);
    check_nodes(&graph, &drafts, settings.use_shortest_path, graph_place, report);
    check_clocks(&settings, &drafts, report);
    check_folders(&settings, &drafts, report);
    if report.is_bad() {
        return None;
    }
    let wishes = drafts
        .iter()
        .map(|(name, (draft, _))| (name.clone(), draft.address.as_ref().map(|(ip, _)| *ip)))
        .collect();
    let Some(addresses) = names::assign(&wishes) else {
        report.problem(graph_place, "there are more hosts than addresses in 11.0.0.0/8");
        return None;
    };
    let mut hosts = Vec::with_capacity(drafts.len());
    for (name, (draft, _)) in drafts {
        let node = graph.node(draft.node.0)?;
        let ipv4 = *addresses.get(&name)?;
        let mut aliases: Vec<String> = draft.aliases.into_iter().map(|(alias, _)| alias).collect();
        aliases.sort_unstable();
        hosts.push(Host {
            name,
            aliases,
            ipv4,
            ipv6: names::ipv6(ipv4),
            network_node_id: node.id,
            bandwidth_down: draft.bandwidth_down.or(node.bandwidth_down)?,
            bandwidth_up: draft.bandwidth_up.or(node.bandwidth_up)?,
            log_level: draft.options.log_level(),
            pcap_capture_bytes: draft.options.pcap_capture_bytes(),
            cpus: draft.cpus,
            memory_bytes: draft.memory_bytes,
            clock: draft.clock,
            files: draft.files.files(),
            processes: draft.processes.to_vec(),
        });
    }
    let Settings { general, time, use_shortest_path, runahead } = settings;
    let network = Network { graph, use_shortest_path, runahead };
    Some(Scenario { general, time, network, hosts, faults })
}

type Drafts = BTreeMap<String, (Draft, Place)>;

fn check_names(drafts: &Drafts, report: &mut Report) {
    let mut owners: BTreeMap<&str, &str> =
        drafts.keys().map(|name| (name.as_str(), name.as_str())).collect();
    for (name, (draft, _)) in drafts {
        for (alias, place) in &draft.aliases {
            if let Some(other) = owners.insert(alias, name) {
                let message = match other == name {
                    true => format!("the host '{name}' has the name '{alias}' twice"),
                    false => format!("both '{other}' and '{name}' have the name '{alias}'"),
                };
                report.problem(place, message);
                return;
            }
        }
    }
}

fn check_addresses(drafts: &Drafts, report: &mut Report) {
    let mut owners = BTreeMap::new();
    for (name, (draft, _)) in drafts {
        if let Some((address, place)) = &draft.address
            && let Some(other) = owners.insert(*address, name)
        {
            let message = format!("both '{other}' and '{name}' have the address {address}");
            report.problem(place, message);
            return;
        }
    }
}

fn check_nodes(
    graph: &Graph,
    drafts: &Drafts,
    use_shortest_path: bool,
    graph_place: &Place,
    report: &mut Report,
) {
    let mut used: BTreeMap<u32, Use> = BTreeMap::new();
    let mut are_nodes_known = true;
    for (name, (draft, _)) in drafts {
        let (id, place) = &draft.node;
        let Some(node) = graph.node(*id) else {
            are_nodes_known = false;
            report.problem(place, unknown_node(graph, *id));
            continue;
        };
        used.entry(*id).or_insert_with(|| Use { host: name.clone(), count: 0 }).count += 1;
        for (key, own, of_node) in [
            ("bandwidth_down", draft.bandwidth_down, node.bandwidth_down),
            ("bandwidth_up", draft.bandwidth_up, node.bandwidth_up),
        ] {
            if own.or(of_node).is_none() {
                let message = format!(
                    "node {id} has no host_{key}, so its hosts need a {key} such as '{key}: 100 Mbit'"
                );
                report.problem(place, message);
            }
        }
    }
    if are_nodes_known && let Some(objection) = reach::objection(graph, &used, use_shortest_path) {
        report.problem(graph_place, objection);
    }
}

fn unknown_node(graph: &Graph, id: u32) -> String {
    const MOST: usize = 10;
    let mut known: Vec<String> =
        graph.nodes.iter().take(MOST).map(|node| node.id.to_string()).collect();
    if graph.nodes.len() > MOST {
        known.push("...".to_owned());
    }
    format!("the graph has no node {id}, its nodes are {}", known.join(", "))
}

/// What a run needs must not be hidden by a host's own folders.
fn check_folders(settings: &Settings, drafts: &Drafts, report: &mut Report) {
    let mut told = Vec::new();
    for (name, (draft, _)) in drafts {
        let programs = draft.processes.iter().map(|process| process.program.as_path());
        for (place, objection) in
            draft.files.objections(name, &settings.general.data_directory, programs)
        {
            // One line of the defaults is every host's.
            if !told.contains(&place) {
                report.problem(&place, objection);
                told.push(place);
            }
        }
    }
}

/// Clocks must stay within what Linux can show, from 1970 to 2262.
fn check_clocks(settings: &Settings, drafts: &Drafts, report: &mut Report) {
    let start = i128::from(settings.time.start_realtime_ns);
    let stop = i128::from(settings.general.stop_time.as_ns());
    if start + stop > i128::from(i64::MAX) {
        // That has been complained about already.
        return;
    }
    for (name, (draft, place)) in drafts {
        let clock = &draft.clock;
        let drift = stop * i128::from(clock.rate_ppb) / 1_000_000_000;
        let offset = start + i128::from(clock.offset_ns);
        let by = |jumps: i128| offset + jumps;
        let mut sum = 0;
        let is_fine = std::iter::once(0)
            .chain(clock.jumps.iter().map(|jump| i128::from(jump.by_ns)))
            .all(|jump| {
                sum += jump;
                by(sum) + drift.min(0) >= 0 && by(sum) + stop + drift.max(0) <= i128::from(i64::MAX)
            });
        if !is_fine {
            let message = format!(
                "the clock of '{name}' leaves the years 1970 to 2262 (shim.start_time, and offset, rate and \
                 jumps of the host)"
            );
            report.problem(place, message);
            return;
        }
    }
}
