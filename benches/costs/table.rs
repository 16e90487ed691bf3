//! The table: how a line's figures are shown.
//!
//! A line and its figures in, text out. Always true: what is not known stands in the table with its reason
//! below; nothing is left out silently, and nothing fails because it is slow.

use crate::cell::{Cost, Figures};
use crate::rows::{Row, Target};

/// The names of the columns.
pub fn head() -> String {
    format!(
        "{:<40}{:>11}{:>11}{:>11}{:>9}{:>8}  {:<20}{}",
        "operation", "native", "floor", "libshim", "/native", "/floor", "target", "verdict"
    )
}

/// A line, and what there is to say about it.
pub fn line(row: &Row, figures: &Figures) -> String {
    let Figures { native, floor, libshim } = figures;
    let mut text = format!(
        "{:<40}{:>11}{:>11}{:>11}{:>9}{:>8}  {:<20}{}",
        row.title,
        figure(native),
        figure(floor),
        figure(libshim),
        ratio(libshim, native),
        ratio(libshim, floor),
        target(row.target),
        verdict(row.target, figures),
    );
    text.truncate(text.trim_end().len());
    for (column, cost) in [("native", native), ("floor", floor), ("libshim", libshim)] {
        if let Some(Err(why)) = cost {
            text.push_str(&format!("\n    {column}: {why}"));
        }
    }
    text
}

/// Three digits at least, and none that mean nothing.
fn figure(cost: &Option<Cost>) -> String {
    match cost {
        None => "-".to_owned(),
        Some(Err(_)) => "?".to_owned(),
        Some(Ok(value)) if *value < 100.0 => format!("{value:.1}"),
        Some(Ok(value)) => format!("{value:.0}"),
    }
}

fn known(cost: &Option<Cost>) -> Option<f64> {
    cost.as_ref()?.as_ref().ok().copied()
}

fn ratio(cost: &Option<Cost>, to: &Option<Cost>) -> String {
    match (known(cost), known(to)) {
        (Some(cost), Some(to)) if to > 0.0 => format!("{:.2}", cost / to),
        _ => "-".to_owned(),
    }
}

fn target(target: Target) -> String {
    match target {
        Target::None => "-".to_owned(),
        Target::Floor(times) => format!("<= {times} x floor"),
        Target::NativePlus(more) if more >= 1000.0 => format!("<= native + {} us", more / 1000.0),
        Target::NativePlus(more) => format!("<= native + {more}"),
        Target::AtMost(most) => format!("<= {most}"),
    }
}

fn verdict(target: Target, figures: &Figures) -> &'static str {
    let bound = match target {
        Target::None => return "",
        Target::Floor(times) => known(&figures.floor).map(|floor| times * floor),
        Target::NativePlus(more) => known(&figures.native).map(|native| native + more),
        Target::AtMost(most) => Some(most),
    };
    match (known(&figures.libshim), bound) {
        (Some(cost), Some(bound)) if cost <= bound => "met",
        (Some(_), Some(_)) => "missed",
        _ => "unknown",
    }
}
