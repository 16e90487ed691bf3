//! What all drawings over time have in common: one axis, one grid, and the marks of faults.
//!
//! Instants and lengths in, SVG for [`super::series::WIDTH`] units out. Always true: drawings hold shapes only, which a browser may stretch;
//! words stand beside them, where they stay readable at any width; each mark is defined once and used in every row. What is
//! drawn is `timeline`'s and `plots`'.

use maud::{Markup, PreEscaped, html};

use super::faults::Mark;
use super::series::{WIDTH, x_of};
use super::units::{coordinate, duration, shown, step};

/// So many faults are drawn; a list has more of them.
const DRAWN: usize = 200;
/// Faults that are closer than this share of the axis have one number.
const CLOSE: f64 = 0.03;

/// The axis that all drawings share.
pub(super) struct Axis<'a> {
    /// The length of the run.
    pub(super) span_ns: u64,
    /// Its faults.
    pub(super) marks: &'a [Mark],
}

impl Axis<'_> {
    /// What the rows use, which shows nothing itself.
    pub(super) fn definitions(&self, hosts: &[&str]) -> Markup {
        html! {
            svg.definitions width="0" height="0" aria-hidden="true" {
                defs {
                    g id="grid" { @for at in self.ticks() { path.grid d=(line(x_of(at, self.span_ns))) {} } }
                    g id="faults" { (self.drawn(None)) }
                    @for (index, host) in hosts.iter().enumerate() {
                        @if self.has_own(host) { g id={ "faults-" (index) } { (self.drawn(Some(host))) } }
                    }
                }
            }
        }
    }

    /// Whether there are faults of this host alone.
    pub(super) fn has_own(&self, host: &str) -> bool {
        self.marks.iter().take(DRAWN).any(|mark| mark.host.as_deref() == Some(host))
    }

    fn drawn(&self, host: Option<&str>) -> Markup {
        let marks = self.marks.iter().take(DRAWN).enumerate();
        let marks = marks.filter(|(_, mark)| mark.host.as_deref() == host);
        html! {
            @for (index, mark) in marks {
                g { title { (index + 1) ": " (shown(&mark.text)) }
                    @let from = x_of(mark.at_ns, self.span_ns);
                    @let end = if mark.is_lasting { Some(self.span_ns) } else { None };
                    @if let Some(until) = mark.until_ns.filter(|_| mark.is_lasting).or(end) {
                        rect.band x=(number(from)) y="0" width=(number((x_of(until, self.span_ns) - from).max(0.0))) height="100" {}
                    }
                    path.mark d=(line(from)) {}
                }
            }
        }
    }

    /// One drawing; `host` has its place among those of the definitions.
    pub(super) fn drawing(&self, host: Option<(usize, &str)>, shapes: &Markup) -> Markup {
        html! {
            svg.time viewBox={ "0 0 " (WIDTH) " 100" } preserveAspectRatio="none" {
                (uses("grid"))
                (uses("faults"))
                @if let Some((index, name)) = host {
                    @if self.has_own(name) { (uses(&format!("faults-{index}"))) }
                }
                (shapes)
            }
        }
    }

    /// The marks of the axis, with their words.
    pub(super) fn labels(&self) -> Markup {
        html! {
            div.ticks {
                @for at in self.ticks() {
                    span data-t=(at) style={ "left:" (percent(at, self.span_ns)) } { (if at == 0 { "0".to_owned() } else { duration(at) }) }
                }
            }
        }
    }

    /// The numbers of faults, where they begin.
    pub(super) fn numbers(&self) -> Markup {
        let mut groups: Vec<(u64, usize, usize)> = Vec::new();
        for (index, mark) in self.marks.iter().take(DRAWN).enumerate() {
            match groups.last_mut() {
                Some((at, _, last))
                    if (mark.at_ns - *at) as f64 / (self.span_ns as f64) < CLOSE =>
                {
                    *last = index;
                }
                _ => groups.push((mark.at_ns, index, index)),
            }
        }
        let words = |first: usize, last: usize| match first == last {
            true => format!("{}", first + 1),
            false => format!("{}–{}", first + 1, last + 1),
        };
        html! {
            @for (at, first, last) in groups {
                span.number data-t=(at) style={ "left:" (percent(at, self.span_ns)) } title=(shown(&self.marks[first].text)) {
                    (words(first, last))
                }
            }
        }
    }

    fn ticks(&self) -> Vec<u64> {
        let step = step(self.span_ns, 6);
        (0..=self.span_ns / step).map(|index| index * step).collect()
    }
}

/// What was defined, here; `id` is one of ours. The template has no elements that are named as words of Rust.
fn uses(id: &str) -> Markup {
    PreEscaped(format!("<use href=\"#{id}\"></use>"))
}

/// A line from top to bottom.
pub(super) fn line(x: f64) -> String {
    format!("M{} 0V100", number(x))
}

/// A coordinate, or a length.
pub(super) fn number(value: f64) -> String {
    let mut text = String::new();
    coordinate(&mut text, value);
    text
}

fn percent(at_ns: u64, span_ns: u64) -> String {
    format!("{}%", number(x_of(at_ns, span_ns) / WIDTH * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(at_ns: u64, host: Option<&str>) -> Mark {
        let host = host.map(str::to_owned);
        Mark { at_ns, until_ns: None, host, is_lasting: true, kind: "cut", text: "<x>".into() }
    }

    #[test]
    fn numbers_do_not_cover_each_other() {
        let marks = [mark(0, None), mark(10, None), mark(20, None), mark(500, None)];
        let axis = Axis { span_ns: 1000, marks: &marks };
        let text = axis.numbers().into_string();
        assert!(text.contains(">1–3<") && text.contains(">4<"), "{text}");
        assert!(text.contains("left:50%") && text.contains("&lt;x&gt;"), "{text}");
    }

    #[test]
    fn rows_use_what_is_theirs() {
        let marks = [mark(0, None), mark(10, Some("b"))];
        let axis = Axis { span_ns: 1000, marks: &marks };
        let text = axis.definitions(&["a", "b"]).into_string();
        assert!(!text.contains("faults-0") && text.contains("id=\"faults-1\""), "{text}");
        let row = |host| axis.drawing(Some(host), &html! {}).into_string();
        assert!(!row((0, "a")).contains("#faults-") && row((1, "b")).contains("#faults-1"));
        let ticks = axis.labels().into_string();
        assert!(ticks.contains(">0<") && ticks.contains(">1 µs<"), "{ticks}");
    }
}
