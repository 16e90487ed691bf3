//! What the simulator and its launcher say to each other.
//!
//! Typed messages in, eight words out, and back; descriptors travel beside an order. Always true: one
//! message is one packet of a `SOCK_SEQPACKET` pair, and both ends are the same program, so there is no
//! version. No allocation here: the launcher may not allocate.

/// Size of a message.
pub(super) const MESSAGE_BYTES: usize = 32;
/// Most descriptors beside a message.
pub(super) const MAX_DESCRIPTORS_SENT: usize = 7;

/// The simulator to the launcher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// Start a guest. Descriptors: strings, hand-off, working directory, the mount namespace if it has one of its own,
    /// then the open standard streams.
    Spawn(Plan),
    /// The end of this process was noted: reap it.
    Bury {
        /// The launcher reported it.
        pid: i32,
    },
}

/// The numbers of a spawn order; see `command::Strings`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Plan {
    pub(super) len_bytes: u32,
    pub(super) table_words: u32,
    pub(super) envp_word: u32,
    pub(super) program_offset: u32,
    /// Whether it gets another mount namespace.
    pub(super) has_view: bool,
    /// Bit `n`: standard stream `n` is among the descriptors.
    pub(super) streams: u32,
}

/// What went wrong before a program ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(super) enum Stage {
    /// The order itself could not be read.
    Order = 1,
    /// No process could be made.
    Clone = 2,
    /// It could not be set up.
    Prepare = 3,
    /// execve(2) failed.
    Execute = 4,
}

/// The launcher to the simulator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Report {
    /// The launcher serves.
    Ready {
        /// Limit of descriptors that guests have natively.
        descriptor_limit: u32,
        /// Whether guests' addresses repeat.
        is_layout_fixed: bool,
    },
    /// The guest of the last order runs.
    Spawned {
        /// Its native process id.
        pid: i32,
    },
    /// The last order failed.
    Failed {
        /// Where.
        stage: Stage,
        /// Why.
        errno: i32,
    },
    /// A guest is dead and waits to be buried.
    Ended {
        /// Its native process id.
        pid: i32,
        /// `si_code` of waitid(2).
        code: i32,
        /// `si_status` of waitid(2).
        status: i32,
    },
}

type Words = [u32; MESSAGE_BYTES / 4];

fn to_bytes(words: Words) -> [u8; MESSAGE_BYTES] {
    let mut bytes = [0; MESSAGE_BYTES];
    for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn from_bytes(bytes: &[u8]) -> Option<Words> {
    if bytes.len() != MESSAGE_BYTES {
        return None;
    }
    let mut words = [0; MESSAGE_BYTES / 4];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes(chunk.try_into().ok()?);
    }
    Some(words)
}

impl Order {
    pub(super) fn to_bytes(self) -> [u8; MESSAGE_BYTES] {
        to_bytes(match self {
            Order::Spawn(plan) => [
                1,
                plan.len_bytes,
                plan.table_words,
                plan.envp_word,
                plan.program_offset,
                plan.streams,
                plan.has_view.into(),
                0,
            ],
            Order::Bury { pid } => [2, pid as u32, 0, 0, 0, 0, 0, 0],
        })
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Order> {
        let [tag, a, b, c, d, e, f, ..] = from_bytes(bytes)?;
        Some(match tag {
            1 => Order::Spawn(Plan {
                len_bytes: a,
                table_words: b,
                envp_word: c,
                program_offset: d,
                streams: e,
                has_view: f != 0,
            }),
            2 => Order::Bury { pid: a as i32 },
            _ => return None,
        })
    }
}

impl Stage {
    pub(super) fn from_number(number: u32) -> Option<Stage> {
        [Stage::Order, Stage::Clone, Stage::Prepare, Stage::Execute]
            .into_iter()
            .find(|stage| *stage as u32 == number)
    }
}

impl Report {
    pub(super) fn to_bytes(self) -> [u8; MESSAGE_BYTES] {
        let [tag, a, b, c] = match self {
            Report::Ready { descriptor_limit, is_layout_fixed } => {
                [1, descriptor_limit, is_layout_fixed.into(), 0]
            }
            Report::Spawned { pid } => [2, pid as u32, 0, 0],
            Report::Failed { stage, errno } => [3, stage as u32, errno as u32, 0],
            Report::Ended { pid, code, status } => [4, pid as u32, code as u32, status as u32],
        };
        to_bytes([tag, a, b, c, 0, 0, 0, 0])
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Report> {
        let [tag, a, b, c, ..] = from_bytes(bytes)?;
        Some(match tag {
            1 => Report::Ready { descriptor_limit: a, is_layout_fixed: b != 0 },
            2 => Report::Spawned { pid: a as i32 },
            3 => Report::Failed { stage: Stage::from_number(a)?, errno: b as i32 },
            4 => Report::Ended { pid: a as i32, code: b as i32, status: c as i32 },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_went() {
        let plan = Plan {
            len_bytes: 1,
            table_words: 2,
            envp_word: 3,
            program_offset: u32::MAX,
            streams: 5,
            has_view: true,
        };
        for order in [Order::Spawn(plan), Order::Bury { pid: i32::MAX }] {
            assert_eq!(Order::from_bytes(&order.to_bytes()), Some(order));
        }
        for report in [
            Report::Ready { descriptor_limit: 4160, is_layout_fixed: true },
            Report::Spawned { pid: 1 },
            Report::Failed { stage: Stage::Execute, errno: 2 },
            Report::Ended { pid: 1, code: 2, status: -3 },
        ] {
            assert_eq!(Report::from_bytes(&report.to_bytes()), Some(report));
        }
        assert_eq!(Order::from_bytes(&[0; MESSAGE_BYTES]), None);
        assert_eq!(Report::from_bytes(&[1; 3]), None);
    }
}
