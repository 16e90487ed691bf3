//! How far a run is, for the person at the terminal.
//!
//! Simulated times and lines in, a bar or lines on standard error out. Always true: nothing is drawn
//! that nobody asked for, but errors are always told; where standard error is no terminal there is a line now and then
//! instead of a bar. What is written to the log is `shim-sim`'s.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use shim_abi::SimTime;
use shim_sim::engine::Progress;

use crate::message::message;

/// Wall time between two lines where there is no bar.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// Shows how far a run is.
pub struct Display {
    stop_time: SimTime,
    bar: Option<ProgressBar>,
    /// When the last line was written, where lines are wanted.
    last_line: Option<Instant>,
}

impl Display {
    /// For a run that ends at `stop_time`; `is_wanted`: the person wants to see it.
    pub fn new(stop_time: SimTime, is_wanted: bool) -> Display {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = (is_wanted && is_terminal).then(|| {
            let style = ProgressStyle::with_template("{wide_bar} {percent:>3}% {msg} {elapsed}");
            let bar = ProgressBar::new(stop_time.as_ns());
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        let last_line = (is_wanted && !is_terminal).then(Instant::now);
        Display { stop_time, bar, last_line }
    }

    /// Take the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Display {
    fn advance(&mut self, now: SimTime) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} of {} s", seconds(now), seconds(self.stop_time)));
            bar.set_position(now.as_ns());
        }
        if let Some(last) = &mut self.last_line
            && last.elapsed() >= BETWEEN_LINES
        {
            *last = Instant::now();
            message(format_args!("at {} of {} s", seconds(now), seconds(self.stop_time)));
        }
    }

    fn line(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| message(text)),
            None => message(text),
        }
    }
}

fn seconds(time: SimTime) -> u64 {
    time.as_ns() / 1_000_000_000
}
