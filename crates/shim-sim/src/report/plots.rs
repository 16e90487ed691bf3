//! Traffic and round trips over time, host by host.
//!
//! A [`Run`] in, rows of a page out. Always true: what goes out stands above the line and what comes in below it, on one scale;
//! of many hosts those with the most bytes are shown, and the sum of all. Numbers of single packets are `flows`'.

use maud::{Markup, html};

use super::capture::Captured;
use super::drawing::Axis;
use super::run::Run;
use super::series::{Samples, Series};
use super::units::{count, duration, nice, rate, shown, things};

/// Hosts are shown up to this number.
const MOST_HOSTS: usize = 16;

/// All rows; nothing if nothing is known.
pub(super) fn rows(run: &Run, axis: &Axis<'_>) -> Option<Markup> {
    let mut hosts: Vec<(usize, &(Series, Series), u64)> = Vec::new();
    let mut all: Option<(Series, Series)> = None;
    for (index, host) in run.hosts.iter().enumerate() {
        let Some(both) = host.traffic.as_ref() else { continue };
        if both.0.is_empty() && both.1.is_empty() {
            continue;
        }
        hosts.push((index, both, bytes(run, &host.name)));
        match &mut all {
            None => all = Some(both.clone()),
            Some((sent, received)) => {
                sent.join(&both.0);
                received.join(&both.1);
            }
        }
    }
    let all = all?;
    hosts.sort_by_key(|(index, _, bytes)| (std::cmp::Reverse(*bytes), *index));
    let left = hosts.len().saturating_sub(MOST_HOSTS);
    hosts.truncate(MOST_HOSTS);
    if left == 0 {
        hosts.sort_by_key(|(index, ..)| *index);
    }
    Some(html! {
        @if hosts.len() > 1 { (traffic(axis, None, "all hosts", &all)) }
        @for (index, both, _) in hosts {
            @let name = run.hosts[index].name.as_str();
            div.host {
                (traffic(axis, Some((index, name)), name, both))
                @if let Some(Some(Captured { trips, .. })) = run.captures.hosts.get(index) { (round_trips(axis, (index, name), trips)) }
            }
        }
        @if left > 0 {
            p.faint { (things(left as u64, "more host", "more hosts")) " with fewer bytes: see the table below." }
        }
    })
}

/// All bytes of a host, as `sim-stats.json` has them.
fn bytes(run: &Run, name: &str) -> u64 {
    let figures = &run.figures["traffic"][name];
    let one = |key: &str| figures[key].as_u64().unwrap_or_default();
    one("sent_bytes").saturating_add(one("received_bytes"))
}

fn traffic(
    axis: &Axis<'_>,
    host: Option<(usize, &str)>,
    name: &str,
    both: &(Series, Series),
) -> Markup {
    let (sent, received) = (both.0.peak_per_second(), both.1.peak_per_second());
    let top = top_bytes_per_second(sent.max(received));
    let shapes = html! {
        path.sent d=(both.0.area(top, 50.0, -48.0)) {}
        path.received d=(both.1.area(top, 50.0, 48.0)) {}
        path.base d="M0 50H1000" {}
    };
    html! {
        div.row.chart {
            div.label title=(shown(name)) { b { (shown(name)) } }
            div.plot { (axis.drawing(host, &shapes)) span.top { (rate(top * 8.0)) } }
            div.end.stacked {
                span.sent-words title="the most in an interval" { "out ≤ " (rate(sent * 8.0)) }
                span.received-words title="the most in an interval" { "in ≤ " (rate(received * 8.0)) }
            }
        }
    }
}

/// The next round number of bits, in bytes.
fn top_bytes_per_second(peak: f64) -> f64 {
    nice((peak * 8.0).ceil().max(1.0) as u64) as f64 / 8.0
}

fn round_trips(axis: &Axis<'_>, host: (usize, &str), trips: &Samples) -> Markup {
    let Some((mean, number, least)) = trips.figures() else { return html! {} };
    let top = nice(trips.most_ns().max(1));
    let (points, lines) = trips.paths(top, 100.0);
    let shapes = html! { path.spread d=(lines) {} path.trips d=(points) {} };
    html! {
        div.row.chart.low {
            div.label { "round trips " span.faint { (count(number)) } }
            div.plot { (axis.drawing(Some(host), &shapes)) span.top { (duration(top)) } }
            div.end.stacked {
                span title="of all that were measured" { "mean " (duration(mean)) }
                span.faint { (duration(least)) " – " (duration(trips.most_ns())) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_in_round_numbers() {
        for (peak, top) in [(0.0, 1.0), (1.0, 10.0), (2_500_000.0, 20e6), (2_500_001.0, 50e6)] {
            assert_eq!(top_bytes_per_second(peak) * 8.0, top);
        }
    }

    #[test]
    fn names_are_escaped_and_both_ways_are_drawn() {
        let (mut sent, received) = (Series::new(1_000_000_000), Series::new(1_000_000_000));
        sent.add(0, 1000);
        let axis = Axis { span_ns: 1_000_000_000, marks: &[] };
        let text = traffic(&axis, None, "<a&b>", &(sent, received)).into_string();
        assert!(text.contains("<b>&lt;a&amp;b&gt;</b>"), "{text}");
        assert!(text.contains("out ≤ 4.8 Mbit/s") && text.contains(">5 Mbit/s<"), "{text}");
        assert!(text.contains("class=\"sent\" d=\"M0 50V3.92H1.66667V50\""), "{text}");
    }
}
