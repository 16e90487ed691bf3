//! Options of TCP, as Linux lays them out.
//!
//! A segment's options in, bytes out, and back. Always true: what is written takes a multiple of four bytes, and no more
//! than a header has room for: of SACK blocks those that fit. What is not known is skipped; what is cut off ends the list,
//! as on Linux.

use smallvec::SmallVec;

use crate::net::tcp::{Segment, Sequence, flag};

/// No header has room for more.
const MAX_BYTES: usize = 40;

const END: u8 = 0;
const PAD: u8 = 1;
const MAX_SEGMENT: u8 = 2;
const WINDOW_SHIFT: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const STAMPS: u8 = 8;

/// What an option takes that is as long as it should be.
const MAX_SEGMENT_BYTES: usize = 4;
const WINDOW_SHIFT_BYTES: usize = 3;
const SACK_PERMITTED_BYTES: usize = 2;
const STAMPS_BYTES: usize = 10;
const SACK_BLOCK_BYTES: usize = 8;

pub(super) type Options = SmallVec<[u8; 64]>;

pub(super) fn write(segment: &Segment) -> Options {
    let mut options = Options::new();
    if let Some(bytes) = segment.max_segment_bytes {
        options.extend_from_slice(&[MAX_SEGMENT, MAX_SEGMENT_BYTES as u8]);
        options.extend_from_slice(&bytes.to_be_bytes());
    }
    // Where both are said, one takes the place of the other's padding.
    match (segment.offers_sacks, segment.stamps.is_some()) {
        (true, true) => options.extend_from_slice(&[SACK_PERMITTED, SACK_PERMITTED_BYTES as u8]),
        (false, true) => options.extend_from_slice(&[PAD, PAD]),
        (true, false) => {
            options.extend_from_slice(&[PAD, PAD, SACK_PERMITTED, SACK_PERMITTED_BYTES as u8]);
        }
        (false, false) => {}
    }
    if let Some((own, heard)) = segment.stamps {
        options.extend_from_slice(&[STAMPS, STAMPS_BYTES as u8]);
        options.extend_from_slice(&own.to_be_bytes());
        options.extend_from_slice(&heard.to_be_bytes());
    }
    if let Some(shift) = segment.window_shift {
        options.extend_from_slice(&[PAD, WINDOW_SHIFT, WINDOW_SHIFT_BYTES as u8, shift]);
    }
    let room = (MAX_BYTES - options.len()).saturating_sub(4) / SACK_BLOCK_BYTES;
    let blocks = segment.sacks.get(..room).unwrap_or(&segment.sacks);
    if !blocks.is_empty() {
        let bytes = 2 + SACK_BLOCK_BYTES * blocks.len();
        options.extend_from_slice(&[PAD, PAD, SACK, bytes as u8]);
        for (start, end) in blocks {
            options.extend_from_slice(&start.0.to_be_bytes());
            options.extend_from_slice(&end.0.to_be_bytes());
        }
    }
    options
}

/// Let a segment say what its options do; its flags are known.
pub(super) fn read(mut bytes: &[u8], segment: &mut Segment) {
    let is_syn = segment.has(flag::SYN);
    while let &[kind, ref after @ ..] = bytes {
        if kind == END {
            return;
        }
        if kind == PAD {
            bytes = after;
            continue;
        }
        let length = after.first().copied().map_or(0, usize::from);
        let Some((option, rest)) = bytes.split_at_checked(length) else { return };
        let Some(data) = option.get(2..) else { return };
        bytes = rest;
        match (kind, data) {
            (MAX_SEGMENT, &[high, low]) if is_syn => {
                let bytes = u16::from_be_bytes([high, low]);
                segment.max_segment_bytes = Some(bytes).filter(|&bytes| bytes > 0);
            }
            (WINDOW_SHIFT, &[shift]) if is_syn => segment.window_shift = Some(shift),
            (SACK_PERMITTED, []) if is_syn => segment.offers_sacks = true,
            (STAMPS, data) if option.len() == STAMPS_BYTES => {
                let mut words = words(data);
                segment.stamps = words.next().zip(words.next());
            }
            (SACK, data) if !data.is_empty() && data.len() % SACK_BLOCK_BYTES == 0 => {
                let ends = |block| {
                    let mut words = words(block).map(Sequence);
                    words.next().zip(words.next())
                };
                segment.sacks = data.chunks_exact(SACK_BLOCK_BYTES).filter_map(ends).collect();
            }
            _ => {}
        }
    }
}

fn words(data: &[u8]) -> impl Iterator<Item = u32> + '_ {
    data.as_chunks().0.iter().map(|word| u32::from_be_bytes(*word))
}
