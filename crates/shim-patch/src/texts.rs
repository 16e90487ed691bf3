//! Which pages of a file an image replaces.
//!
//! An [`Elf`] and its [`Plan`] in, pieces of its code out, as they are in the file. Always true: every byte that the plan
//! changes is in one of them; they are whole pages of one segment each, in order, and do not overlap; there are no
//! more than an image can hold, unless there are more segments. A program of a hundred megabytes has its few sites at
//! both ends of its code: what lies between costs time at each start of a simulator, and stays as it is. What is
//! changed in them is [`crate::image`]'s business.

use std::ops::Range;

use shim_abi::image::{IMAGE_PAGE_BYTES, MAX_TEXTS};

use crate::elf::{Elf, Segment};
use crate::plan::{JUMP_BYTES, Plan, Way};

const PAGE: u64 = IMAGE_PAGE_BYTES as u64;
/// Pages without a change that are as many as this are not replaced. Each piece costs every process a mapping, some
/// 2 us; each MiB costs every start of a simulator some 5 ms.
const LEAST_GAP_BYTES: u64 = 256 << 10;

/// A piece of text that is replaced.
pub struct Text {
    /// Where it is loaded, relative to the file's base.
    pub address: u64,
    /// Where it is in the file.
    pub file_offset: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Pages of one segment.
struct Piece<'a> {
    segment: &'a Segment,
    range: Range<u64>,
}

/// The pieces of text that a plan changes, by address.
pub fn texts_of(elf: &Elf<'_>, plan: &Plan) -> Vec<Text> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    for segment in elf.segments.iter().filter(|segment| segment.is_executable) {
        let mut pages: Vec<Range<u64>> = changed_pages(segment, plan).collect();
        pages.sort_by_key(|range| range.start);
        for range in pages {
            match pieces.last_mut() {
                Some(last)
                    if gap(last, segment, &range).is_some_and(|gap| gap < LEAST_GAP_BYTES) =>
                {
                    last.range.end = last.range.end.max(range.end);
                }
                _ => pieces.push(Piece { segment, range }),
            }
        }
    }
    pieces.sort_by_key(|piece| piece.range.start);
    while pieces.len() > MAX_TEXTS && join_nearest(&mut pieces) {}
    pieces.iter().filter_map(|piece| text_of(elf, piece)).collect()
}

/// How far behind a piece other pages of its segment begin.
fn gap(piece: &Piece<'_>, segment: &Segment, range: &Range<u64>) -> Option<u64> {
    std::ptr::eq(piece.segment, segment).then(|| range.start.saturating_sub(piece.range.end))
}

/// Join the two that are nearest to each other; whether there were two of one segment.
fn join_nearest(pieces: &mut Vec<Piece<'_>>) -> bool {
    let gaps = pieces
        .windows(2)
        .enumerate()
        .filter_map(|(left, two)| Some((gap(&two[0], two[1].segment, &two[1].range)?, left)));
    let Some((_, left)) = gaps.min() else { return false };
    let right = pieces.remove(left + 1);
    pieces[left].range.end = pieces[left].range.end.max(right.range.end);
    true
}

/// The pages of a segment on which a plan changes something.
fn changed_pages(segment: &Segment, plan: &Plan) -> impl Iterator<Item = Range<u64>> {
    let inside = segment.range();
    let end = inside.end;
    let changed = plan.sites.iter().filter_map(|site| match site.way {
        Way::Left(_) => None,
        Way::Trap => Some(site.address..site.address + 1),
        Way::Before(first) => Some(first..site.address + 1),
        Way::Hop(landing) => {
            Some(site.address.min(landing)..site.address.max(landing) + JUMP_BYTES)
        }
    });
    changed.filter(move |range| inside.contains(&range.start)).filter_map(move |range| {
        let start = range.start - range.start % PAGE;
        Some(start..range.end.min(end).checked_next_multiple_of(PAGE)?)
    })
}

/// As the kernel maps it: filled with whatever is in the file.
fn text_of(elf: &Elf<'_>, piece: &Piece<'_>) -> Option<Text> {
    let Range { start, end } = piece.range;
    let file_offset = (piece.segment.offset + start).checked_sub(piece.segment.address)?;
    if file_offset % PAGE != 0 {
        return None;
    }
    let file_end = (file_offset + (end - start)).min(elf.bytes.len() as u64);
    let mut bytes = elf.bytes.get(file_offset as usize..file_end as usize)?.to_vec();
    bytes.resize((end - start) as usize, 0);
    Some(Text { address: start, file_offset, bytes })
}
