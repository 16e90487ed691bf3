//! The bytes in a pipe, page by page.
//!
//! Bytes in, the same bytes out. Always true: a pipe counts pages, not bytes: a page that holds one byte fills a
//! place as well as a full one; a write goes behind the last page's bytes only if its odd part fits there.
//! Programs can see this in how much a pipe takes, so it is done as Linux does it. Who waits is not here.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::file::transfer::Bytes;

/// Bytes of a page.
pub(crate) const PAGE_BYTES: usize = 4096;

/// How a page behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// More bytes may go behind its last one.
    Open,
    /// It stays as it is.
    Closed,
    /// It is a packet: what a read does not take of it is lost.
    Packet,
}

/// One page.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// What was written into it, from its beginning.
    bytes: Bytes,
    /// How much of that is gone.
    taken: usize,
    kind: Kind,
}

impl Page {
    pub(super) fn new(bytes: Bytes, kind: Kind) -> Page {
        Page { bytes, taken: 0, kind }
    }
    /// What has not been read.
    pub(super) fn unread(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }
    /// A copy of its first `limit` bytes, behind which nothing goes.
    fn part(&self, limit: usize) -> Page {
        let unread = self.unread();
        let bytes = Bytes::from_slice(unread.get(..limit).unwrap_or(unread));
        let kind = if self.kind == Kind::Open { Kind::Closed } else { self.kind };
        Page { bytes, taken: 0, kind }
    }
    /// How many more bytes fit behind the last.
    fn room(&self) -> usize {
        if self.kind == Kind::Open { PAGE_BYTES.saturating_sub(self.bytes.len()) } else { 0 }
    }
}

/// The pages of a pipe.
#[derive(Debug)]
pub(super) struct Ring {
    pages: VecDeque<Page>,
    /// How many it takes.
    pub(super) capacity: usize,
}

impl Ring {
    /// An empty one for so many pages.
    pub(super) fn new(capacity: usize) -> Ring {
        Ring { pages: VecDeque::new(), capacity }
    }
    /// Pages in it.
    pub(super) fn len(&self) -> usize {
        self.pages.len()
    }
    /// Whether nothing can be read.
    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }
    /// Whether no page fits.
    pub(super) fn is_full(&self) -> bool {
        self.pages.len() >= self.capacity
    }
    /// Free places for pages.
    pub(super) fn free(&self) -> usize {
        self.capacity.saturating_sub(self.pages.len())
    }
    /// All bytes that can be read.
    pub(super) fn bytes(&self) -> usize {
        self.pages.iter().map(|page| page.unread().len()).sum()
    }
    /// Whether `bytes` bytes fit behind those of the last page.
    pub(super) fn can_append(&self, bytes: usize) -> bool {
        self.pages.back().is_some_and(|page| page.room() >= bytes)
    }
    /// Put bytes behind those of the last page.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        if let Some(page) = self.pages.back_mut() {
            page.bytes.extend_from_slice(bytes);
        }
    }
    /// Put a page behind the last.
    pub(super) fn push(&mut self, page: Page) {
        self.pages.push_back(page);
    }

    /// What the next read takes, of `limit` bytes at most, if all of that is on one page.
    pub(super) fn first(&self, limit: usize) -> Option<&[u8]> {
        let page = self.pages.front()?;
        let unread = page.unread();
        let is_all = self.pages.len() == 1 || page.kind == Kind::Packet || unread.len() >= limit;
        is_all.then(|| unread.get(..limit).unwrap_or(unread))
    }

    /// What the next reads take together, of `limit` bytes at most, as if nothing else happened: the lengths
    /// of what comes of each page.
    pub(super) fn peek(&self, limit: usize) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut lengths) = (Vec::new(), Vec::new());
        for page in &self.pages {
            let unread = page.unread();
            let part = unread.get(..limit - bytes.len()).unwrap_or(unread);
            bytes.extend_from_slice(part);
            lengths.push(part.len());
            if bytes.len() == limit || page.kind == Kind::Packet {
                break;
            }
        }
        (bytes, lengths)
    }

    /// The first page, whole if it holds no more than `limit` bytes, else as much of it. Whether it is whole.
    pub(super) fn take_page(&mut self, limit: usize) -> Option<(Page, bool)> {
        let first = self.pages.front_mut()?;
        if first.unread().len() <= limit {
            return self.pages.pop_front().map(|page| (page, true));
        }
        let part = first.part(limit);
        first.taken += limit;
        Some((part, false))
    }
    /// A copy of the page at `index`, of `limit` bytes at most, and whether that is all of it.
    pub(super) fn copy_of(&self, index: usize, limit: usize) -> Option<(Page, bool)> {
        let page = self.pages.get(index)?;
        Some((page.part(limit), page.unread().len() <= limit))
    }

    /// `bytes` bytes of the first page have been read. Whether that ends the read, because it was a packet.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let Some(page) = self.pages.front_mut() else { return true };
        page.taken += bytes;
        let is_packet = page.kind == Kind::Packet;
        if is_packet || page.unread().is_empty() {
            self.pages.pop_front();
        }
        is_packet
    }
}
