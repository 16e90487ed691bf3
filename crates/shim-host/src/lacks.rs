//! What guests asked for and did not get, counted.
//!
//! Programs, refused calls and texts in, a sorted list of [`Lack`]s out. Always true: one entry per
//! program and thing, however many processes ran it. How the list reads is `shim-sim`'s.

use std::collections::BTreeMap;

/// Something that a guest asked for and that is missing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LackKind {
    /// A system call of the table that nobody answers, by number.
    Call(u32),
    /// Anything else, in the shim's words.
    Other(String),
}

/// One entry of the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lack {
    /// The program that asked.
    pub program: String,
    /// What it asked for.
    pub kind: LackKind,
    /// How often.
    pub count: u64,
}

/// The count, per program and thing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lacks(BTreeMap<(String, LackKind), u64>);

impl Lacks {
    /// Longest list that is kept: a guest that invents texts must not fill the simulator's memory.
    pub const MAX_ENTRIES: usize = 4096;

    /// Count `count` more of the same.
    pub fn add(&mut self, program: &str, kind: LackKind, count: u64) {
        let key = (program.to_owned(), kind);
        if self.0.len() < Self::MAX_ENTRIES || self.0.contains_key(&key) {
            *self.0.entry(key).or_default() += count;
        }
    }

    /// The entries, sorted by program and thing.
    pub fn list(&self) -> Vec<Lack> {
        self.0
            .iter()
            .map(|((program, kind), &count)| Lack {
                program: program.clone(),
                kind: kind.clone(),
                count,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_thing_is_counted_once_per_program() {
        let mut lacks = Lacks::default();
        lacks.add("perl", LackKind::Call(41), 2);
        lacks.add("perl", LackKind::Call(41), 1);
        lacks.add("awk", LackKind::Call(41), 1);
        lacks.add("perl", LackKind::Other("x".into()), 1);
        let list: Vec<_> = lacks.list().into_iter().map(|l| (l.program, l.kind, l.count)).collect();
        assert_eq!(
            list,
            [
                ("awk".into(), LackKind::Call(41), 1),
                ("perl".into(), LackKind::Call(41), 3),
                ("perl".into(), LackKind::Other("x".into()), 1),
            ]
        );
    }

    #[test]
    fn the_list_is_bounded() {
        let mut lacks = Lacks::default();
        for i in 0..2 * Lacks::MAX_ENTRIES {
            lacks.add("p", LackKind::Other(i.to_string()), 1);
        }
        lacks.add("p", LackKind::Other("0".into()), 1);
        assert_eq!(lacks.list().len(), Lacks::MAX_ENTRIES);
        assert_eq!(lacks.list()[0].count, 2);
    }
}
