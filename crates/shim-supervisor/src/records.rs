//! What a guest has to tell beside its requests.
//!
//! The rings and texts of a guest's blocks in, checked values out. Always true: records come in the order
//! in which they were written; a guest that fills its ring without end is not followed without end;
//! texts hold no control characters, because they go to a person's terminal. All of it can
//! still be read after the guest's death. How a record is worded is not here (`shim-sim`).

use std::sync::atomic::Ordering::Relaxed;

use shim_abi::ring::{MAX_PAYLOAD_BYTES, RING_WORDS, RecordHeader};
use shim_abi::text::SharedText;

use crate::guest::Guest;

/// A record that was taken before anybody asked for it.
#[derive(Debug)]
pub(crate) struct Record {
    header: RecordHeader,
    payload: Vec<u8>,
}

/// More records than this do not fit into a ring.
const MAX_RECORDS: usize = RING_WORDS / 2;

impl Guest {
    /// Take all records and call `each` with them, the oldest first. When the guest says
    /// `Request::Drain`, and whenever one likes.
    pub fn drain(&mut self, mut each: impl FnMut(RecordHeader, &[u8])) {
        for record in std::mem::take(&mut self.early_records) {
            each(record.header, &record.payload);
        }
        self.take_ring(&mut each);
    }

    /// Empty the ring at a moment when nobody can be given its records.
    pub(crate) fn take_records_early(&mut self) {
        let mut records = std::mem::take(&mut self.early_records);
        self.take_ring(&mut |header, payload: &[u8]| {
            records.push(Record { header, payload: payload.to_vec() });
        });
        self.early_records = records;
    }

    fn take_ring(&self, each: &mut dyn FnMut(RecordHeader, &[u8])) {
        let mut payload = [0; MAX_PAYLOAD_BYTES];
        for _ in 0..MAX_RECORDS {
            let Some((header, len)) = self.thread().ring.pop(&mut payload) else { break };
            each(header, &payload[..len]);
        }
    }

    /// The line that the shim left if it failed in this guest; once.
    pub fn take_failure(&mut self) -> Option<String> {
        let failure = &self.process().failure;
        let text = read(failure);
        failure.store(b"");
        (!text.is_empty()).then_some(text)
    }

    /// Name of the running program, as the guest tells it; empty before its shim is up.
    pub fn program(&self) -> String {
        read(&self.process().program)
    }

    /// How many system calls the process has made since its shim is up, and how many of them trapped, as it counts.
    pub fn calls(&self) -> (u64, u64) {
        (self.process().calls.load(Relaxed), self.process().trapped_calls.load(Relaxed))
    }

    /// The calls that were refused: their numbers, and how often.
    pub fn refused(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let counts = self.process().refused.iter().enumerate();
        counts.map(|(number, count)| (number as u32, count.load(Relaxed))).filter(|&(_, n)| n != 0)
    }
}

fn read<const N: usize>(text: &SharedText<N>) -> String {
    let mut bytes = [0; N];
    let len = text.load(&mut bytes);
    String::from_utf8_lossy(&bytes[..len])
        .chars()
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}
