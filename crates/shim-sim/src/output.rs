//! Where a run's observations go.
//!
//! Here: for `shim exec`, the trace to one writer, log lines to another. Rooms of a scenario's run:
//! [`directory`] (the data directory and its layout), [`recorder`] (the files of one host), [`capture`] (packets of its
//! interfaces), [`statistics`] (figures; `sockets`: those of sockets), [`processed`] (the configuration as it was understood), [`comparison`] (of two data directories).
//! Observations in, lines out. Always true: an error of the trace's writer ends the trace, not the run,
//! and is told once, at the end; what cannot be logged is dropped. The words of the lines are in
//! [`crate::trace`] and [`crate::log_line`].

pub mod capture;
pub mod comparison;
pub mod directory;
pub mod processed;
pub mod recorder;
mod sockets;
pub mod statistics;

use std::io::{self, Write};

use shim_abi::SimTime;
use shim_host::{Observation, Observer, ProcessEnd, Source};

use crate::log_line::log_line;
use crate::trace;

/// The two writers.
pub struct Output {
    trace: Option<Box<dyn Write>>,
    trace_error: Option<io::Error>,
    log: Box<dyn Write>,
}

impl Output {
    /// Log lines to `log`, the trace of system calls to `trace`, if anybody wants it.
    pub fn new(log: Box<dyn Write>, trace: Option<Box<dyn Write>>) -> Output {
        Output { trace, trace_error: None, log }
    }

    /// Write out what is buffered; the first error that the trace met.
    pub fn finish(mut self) -> io::Result<()> {
        if let Some(mut trace) = self.trace.take() {
            trace.flush()?;
        }
        match self.trace_error {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn trace_line(&mut self, line: impl FnOnce() -> String) {
        let Some(trace) = &mut self.trace else { return };
        if let Err(error) = writeln!(trace, "{}", line()) {
            self.trace_error = Some(error);
            self.trace = None;
        }
    }
}

impl Observer for Output {
    fn observe(&mut self, source: &Source<'_>, time: SimTime, what: Observation<'_>) {
        // As strace(1) names them: threads of one process are told apart.
        let pid = source.tid;
        match what {
            Observation::Log { level, text } => {
                // Nobody is left to tell that the log cannot be written.
                let _ = writeln!(self.log, "{}", log_line(source, time, level, text));
            }
            Observation::Call { record, texts } => {
                self.trace_line(|| trace::call_line(time, pid, &record, texts));
            }
            Observation::Unfinished { number, args } => {
                self.trace_line(|| trace::unfinished_line(time, pid, number, &args));
            }
            Observation::Signal(info) => {
                self.trace_line(|| trace::signal_line(time, pid, &info));
            }
            Observation::Preempted { wall } => {
                self.trace_line(|| trace::preempted_line(time, pid, wall));
            }
            Observation::Ended(ProcessEnd::Exited(status)) => {
                self.trace_line(|| trace::exit_line(time, pid, status));
            }
            Observation::Ended(ProcessEnd::Killed(signal)) => {
                self.trace_line(|| trace::killed_line(time, pid, signal));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    /// A writer that accepts `room` bytes and passes them on.
    struct Limited {
        room: usize,
        to: Sender<Vec<u8>>,
    }

    impl Write for Limited {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.room = self.room.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            let _ = self.to.send(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_go_to_their_writers_and_a_full_disk_ends_the_trace_only() {
        let source = Source { host: "h", program: "p", pid: 1, tid: 1, root: 1 };
        let (log_to, log) = channel();
        let (trace_to, trace) = channel();
        let mut output = Output::new(
            Box::new(Limited { room: 1000, to: log_to }),
            Some(Box::new(Limited { room: 40, to: trace_to })),
        );
        for _ in 0..3 {
            let end = Observation::Ended(ProcessEnd::Exited(0));
            output.observe(&source, SimTime::ZERO, end);
            let record = Observation::Log { level: log::Level::Info, text: "t" };
            output.observe(&source, SimTime::ZERO, record);
        }
        assert_eq!(output.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
        let text = |lines: std::sync::mpsc::Receiver<Vec<u8>>| {
            String::from_utf8(lines.iter().flatten().collect()).unwrap()
        };
        assert_eq!(text(log), "0.000000000 INFO  h p[1/1] t\n".repeat(3));
        assert!(text(trace).starts_with("0.000000000 [1] +++ exited with 0 +++"));
    }
}
