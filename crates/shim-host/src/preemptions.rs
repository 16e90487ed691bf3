//! Guests that were preempted because they made no call, counted by program.
//!
//! Programs in, a sorted list of [`Preemption`]s out. Always true: as long as there is none, nothing that
//! happened on the host depended on how fast the real machine is. When a guest is preempted is
//! `shim-supervisor`'s (`watchdog`) to notice; how the list reads is `shim-sim`'s.

use std::collections::BTreeMap;
use std::time::Duration;

/// One entry of the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preemption {
    /// The program that made no call.
    pub program: String,
    /// For how long, in wall time, each time.
    pub wall: Duration,
    /// How often.
    pub count: u64,
}

/// The count, per program.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Preemptions(BTreeMap<String, u64>);

impl Preemptions {
    /// Programs are named by guests: of more than these the rest is counted together.
    const MAX_ENTRIES: usize = 1024;

    pub(crate) fn add(&mut self, program: &str) {
        let is_known = self.0.contains_key(program);
        let name = if is_known || self.0.len() < Self::MAX_ENTRIES { program } else { "others" };
        *self.0.entry(name.to_owned()).or_default() += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries, sorted by program.
    pub(crate) fn list(&self, wall: Duration) -> Vec<Preemption> {
        let entries = self.0.iter();
        entries
            .map(|(program, &count)| Preemption { program: program.clone(), wall, count })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_counted_and_their_number_is_bounded() {
        let mut preemptions = Preemptions::default();
        assert!(preemptions.is_empty());
        for program in ["sh", "awk", "sh"] {
            preemptions.add(program);
        }
        let wall = Duration::from_secs(1);
        let list: Vec<_> =
            preemptions.list(wall).into_iter().map(|p| (p.program, p.wall, p.count)).collect();
        assert_eq!(list, [("awk".into(), wall, 1), ("sh".into(), wall, 2)]);
        for i in 0..2 * Preemptions::MAX_ENTRIES {
            preemptions.add(&i.to_string());
        }
        assert_eq!(preemptions.0.len(), Preemptions::MAX_ENTRIES + 1);
    }
}
