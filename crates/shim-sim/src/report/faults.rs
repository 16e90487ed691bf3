//! The faults of a run, as marks on an axis of time.
//!
//! A scenario in, [`Mark`]s out, in the order in which they begin. Always true: marks have numbers from 1, by which a list
//! explains them. What a fault does is [`crate::engine`]'s.

use shim_abi::SimTime;

use super::units::duration;
use crate::config::Scenario;
use crate::config::scenario::FaultKind;
use crate::trace::signal_name;

/// Something that happened to a link, a host or a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    /// When.
    pub(super) at_ns: u64,
    /// When it was over, if it was.
    pub(super) until_ns: Option<u64>,
    /// The host, if it is not about the network.
    pub(super) host: Option<String>,
    /// Whether it lasts until the end if it is never over.
    pub(super) is_lasting: bool,
    /// Its key in a configuration.
    pub(super) kind: &'static str,
    /// What happens.
    pub(super) text: String,
}

/// What stands between the ends of a link.
fn line(is_one_way: bool) -> char {
    if is_one_way { '→' } else { '–' }
}

/// All of a scenario.
pub(super) fn marks(scenario: &Scenario) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    for fault in &scenario.faults {
        let mut mark = Mark {
            at_ns: fault.at.as_ns(),
            until_ns: fault.until.map(SimTime::as_ns),
            host: None,
            is_lasting: true,
            kind: fault.kind.name(),
            text: String::new(),
        };
        mark.text = match &fault.kind {
            FaultKind::Link { source, target, is_one_way, latency, jitter, packet_loss } => {
                let mut text = format!("link {source} {} {target}:", line(*is_one_way));
                let times = [("latency", latency), ("jitter", jitter)];
                for (what, time) in times {
                    let Some(time) = time else { continue };
                    text += &format!(" {what} {},", duration(time.as_ns()));
                }
                if let Some(loss) = packet_loss {
                    text += &format!(" loss {} %,", loss * 100.0);
                }
                text.trim_end_matches([',', ':']).to_owned()
            }
            FaultKind::Cut { source, target, is_one_way } => {
                format!("link {source} {} {target} is cut", line(*is_one_way))
            }
            FaultKind::Partition(sets) => {
                let sets: Vec<String> = sets.iter().map(|set| set.join(", ")).collect();
                format!("partition of {}", sets.join(" | "))
            }
            FaultKind::Kill { host, process, signal } => {
                mark.host = Some(host.clone());
                mark.is_lasting = false;
                let signal = signal_name(signal.unsigned_abs());
                let again = if fault.until.is_some() { ", later it is started again" } else { "" };
                format!("process {process} of {host} gets {signal}{again}")
            }
            FaultKind::Crash { host } => {
                mark.host = Some(host.clone());
                let again = if fault.until.is_some() { ", later it boots" } else { "" };
                format!("{host} crashes{again}")
            }
        };
        marks.push(mark);
    }
    for host in &scenario.hosts {
        marks.extend(host.clock.jumps.iter().map(|jump| Mark {
            at_ns: jump.at.as_ns(),
            until_ns: None,
            host: Some(host.name.clone()),
            is_lasting: false,
            kind: "jump",
            text: format!(
                "the clock of {} jumps {} by {}",
                host.name,
                if jump.by_ns < 0 { "back" } else { "forward" },
                duration(jump.by_ns.unsigned_abs())
            ),
        }));
    }
    marks.sort_by_key(|mark| mark.at_ns);
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, parse};
    use std::path::Path;

    #[test]
    fn each_kind_has_its_words_and_its_place() {
        let yaml = "
general: {stop_time: 90 s}
network: {graph: {type: 1_gbit_switch}}
shim:
  faults:
  - {at: 6 s, jump: {host: b, by: -3 s}}
  - {at: 1 s, link: {source: 0, target: 0}, latency: 50 ms, packet_loss: 0.25, for: 5 s}
  - {at: 2 s, cut: {source: 0, target: 0}}
  - {at: 3 s, partition: [[a], [b]], for: 1 s}
  - {at: 4 s, crash: a, restart_after: 5 s}
  - {at: 5 s, kill: {host: b, process: 0}}
hosts:
  a: {network_node_id: 0, processes: []}
  b: {network_node_id: 0, processes: [{path: 'true'}]}
";
        let scenario = parse(Path::new("x"), yaml, &Overrides::default()).unwrap().0;
        let marks = marks(&scenario);
        let texts: Vec<_> = marks.iter().map(|mark| mark.text.as_str()).collect();
        let expected = [
            "link 0 – 0: latency 50 ms, loss 25 %",
            "link 0 – 0 is cut",
            "partition of a | b",
            "a crashes, later it boots",
            "process 0 of b gets SIGKILL",
            "the clock of b jumps back by 3 s",
        ];
        assert_eq!(texts, expected);
        let hosts: Vec<_> = marks.iter().map(|mark| mark.host.as_deref()).collect();
        assert_eq!(hosts, [None, None, None, Some("a"), Some("b"), Some("b")]);
        assert_eq!(marks[0].until_ns, Some(6_000_000_000));
    }
}
