//! Messages of netlink: headers, and attributes behind them.
//!
//! Bytes in, parts out, and back. Always true: everything begins at a multiple of four bytes; lengths that a program wrote are
//! looked at before they are followed.

use alloc::vec::Vec;

use crate::memory::u32_at;

/// Bytes of a `struct nlmsghdr`.
pub(super) const HEADER_BYTES: usize = 16;
const ATTRIBUTE_BYTES: usize = 4;
/// What marks an attribute that consists of others.
const NESTED: u16 = 1 << 15;
/// What an attribute's type is, without marks.
const TYPE_MASK: u16 = 0x3fff;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
pub(super) const ERROR: u16 = 2;
pub(super) const DONE: u16 = 3;
/// Types below this are netlink's own.
pub(super) const FIRST_TYPE: u16 = 16;

/// `NLM_F_*`.
pub(super) mod flag {
    pub(in crate::socket::netlink) const REQUEST: u16 = 1;
    pub(in crate::socket::netlink) const MULTI: u16 = 2;
    pub(in crate::socket::netlink) const ACK: u16 = 4;
    pub(in crate::socket::netlink) const DUMP_FILTERED: u16 = 0x20;
    /// Not in questions.
    pub(in crate::socket::netlink) const CAPPED: u16 = 0x100;
    pub(in crate::socket::netlink) const DUMP: u16 = 0x300;
}

/// A message that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    /// All of it, with its header.
    pub(super) bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// The first one, and what follows it.
    pub(super) fn split(bytes: &'a [u8]) -> Option<(Message<'a>, &'a [u8])> {
        let header = bytes.get(..HEADER_BYTES)?;
        let len = u32_at(header, 0) as usize;
        let whole = bytes.get(..len).filter(|_| len >= HEADER_BYTES)?;
        let rest = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        let words = u32_at(header, 4);
        let (kind, flags) = (words as u16, (words >> 16) as u16);
        Some((Message { kind, flags, sequence: u32_at(header, 8), bytes: whole }, rest))
    }
    /// What stands behind its header.
    pub(super) fn body(&self) -> &'a [u8] {
        self.bytes.get(HEADER_BYTES..).unwrap_or_default()
    }
    pub(super) fn has(&self, flags: u16) -> bool {
        self.flags & flags != 0
    }
    /// The address family that it is about.
    pub(super) fn family(&self) -> i32 {
        self.body().first().copied().unwrap_or(0).into()
    }
    /// What an attribute says behind a fixed part of so many bytes; the last one counts.
    pub(super) fn attribute(&self, fixed_bytes: usize, kind: u16) -> Option<&'a [u8]> {
        let mut rest = self.body().get(fixed_bytes.next_multiple_of(4)..)?;
        let mut found = None;
        while let Some((&[a, b, c, d], _)) = rest.split_first_chunk::<ATTRIBUTE_BYTES>() {
            let len = usize::from(u16::from_le_bytes([a, b]));
            let Some(data) = rest.get(ATTRIBUTE_BYTES..len) else { break };
            if u16::from_le_bytes([c, d]) & TYPE_MASK == kind {
                found = Some(data);
            }
            rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
        found
    }
    /// The same, of four bytes.
    pub(super) fn number(&self, fixed_bytes: usize, kind: u16) -> Option<u32> {
        let data = self.attribute(fixed_bytes, kind)?;
        data.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }
}

/// Messages as they are written, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Whether nothing has been written.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A message for a port; `fill` writes what stands behind its header.
    pub(super) fn message(
        &mut self,
        (kind, flags): (u16, u16),
        sequence: u32,
        port: u32,
        fill: impl FnOnce(&mut Writer),
    ) {
        let start = self.bytes.len();
        self.put(&[0; 4]);
        self.put(&kind.to_le_bytes());
        self.put(&flags.to_le_bytes());
        self.put(&sequence.to_le_bytes());
        self.put(&port.to_le_bytes());
        fill(self);
        let len = (self.bytes.len() - start) as u32;
        self.set(start, &len.to_le_bytes());
        self.align();
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
    fn set(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    pub(super) fn attribute(&mut self, kind: u16, data: &[u8]) {
        self.nested(kind, |writer| writer.put(data));
    }
    pub(super) fn byte(&mut self, kind: u16, value: u8) {
        self.attribute(kind, &[value]);
    }
    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_le_bytes());
    }
    /// A text, with the NUL of C.
    pub(super) fn text(&mut self, kind: u16, text: &str) {
        self.nested(kind, |writer| {
            writer.put(text.as_bytes());
            writer.put(&[0]);
        });
    }
    /// An attribute that consists of others.
    pub(super) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Writer)) {
        self.align();
        let start = self.bytes.len();
        self.put(&[0; 2]);
        self.put(&kind.to_le_bytes());
        fill(self);
        let len = (self.bytes.len() - start) as u16;
        self.set(start, &len.to_le_bytes());
        self.align();
    }
    /// An empty one, marked.
    pub(super) fn empty(&mut self, kind: u16) {
        self.attribute(kind | NESTED, &[]);
    }
}
