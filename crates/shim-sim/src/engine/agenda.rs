//! What a scenario has in store for one host: starts and shutdowns of its processes.
//!
//! The scenario's processes in, [`Event`]s in the order of their time out. Always true: of events of
//! the same instant starts come first, and those of one kind in the order of the file. What the
//! processes themselves wait for is the host's kernel's.

use std::collections::VecDeque;

use shim_abi::SimTime;

use crate::config::scenario::Process;

/// Something that is done to a process from outside; it is named by its index in the scenario.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Event {
    /// It is started.
    Start(usize),
    /// It gets its shutdown signal.
    Shutdown(usize),
}

/// The events that have not happened yet.
#[derive(Debug)]
pub(super) struct Agenda(VecDeque<(SimTime, Event)>);

impl Agenda {
    /// What `processes` ask for.
    pub(super) fn new(processes: &[Process]) -> Agenda {
        let starts = processes
            .iter()
            .enumerate()
            .map(|(index, process)| (process.start_time, Event::Start(index)));
        let shutdowns = processes.iter().enumerate().filter_map(|(index, process)| {
            process.shutdown_time.map(|time| (time, Event::Shutdown(index)))
        });
        let mut events: Vec<_> = starts.chain(shutdowns).collect();
        events.sort();
        Agenda(events.into())
    }

    /// When the next event happens.
    pub(super) fn next_time(&self) -> Option<SimTime> {
        self.0.front().map(|&(time, _)| time)
    }

    /// The next event, if it happens at `now` or before.
    pub(super) fn take_due(&mut self, now: SimTime) -> Option<Event> {
        match self.next_time() {
            Some(time) if time <= now => self.0.pop_front().map(|(_, event)| event),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scenario::FinalState;

    fn process(start: u64, shutdown: Option<u64>) -> Process {
        Process {
            program: "/bin/true".into(),
            args: Vec::new(),
            environment: Default::default(),
            start_time: SimTime::from_ns(start),
            shutdown_time: shutdown.map(SimTime::from_ns),
            shutdown_signal: 15,
            expected_final_state: FinalState::Exited(0),
        }
    }

    #[test]
    fn events_come_in_the_order_of_time_then_starts_then_the_file() {
        let mut agenda = Agenda::new(&[process(5, Some(9)), process(0, Some(5)), process(5, None)]);
        assert_eq!(agenda.next_time(), Some(SimTime::ZERO));
        let mut happened = Vec::new();
        for now in [0, 4, 5, 9] {
            while let Some(event) = agenda.take_due(SimTime::from_ns(now)) {
                happened.push((now, event));
            }
        }
        let expected = [
            (0, Event::Start(1)),
            (5, Event::Start(0)),
            (5, Event::Start(2)),
            (5, Event::Shutdown(1)),
            (9, Event::Shutdown(0)),
        ];
        assert_eq!(happened, expected);
        assert_eq!(agenda.next_time(), None);
    }
}
