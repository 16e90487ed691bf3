//! What the shim tells the simulator beside answers: log lines, traces of calls, lacks, its failure.
//!
//! Texts in; records in the thread's ring out. Always true: fixed buffers, no allocation, no lock; a
//! full ring is drained by a hand-over. How a record looks to a person is the simulator's business
//! (`shim-sim`).

use core::fmt::Write;
use core::sync::atomic::Ordering::Relaxed;

use shim_abi::calls::{Arg, Call};
use shim_abi::event::Request;
use shim_abi::ring::{CallRecord, MAX_CALL_TEXT_BYTES, RecordHeader, RecordKind};

use crate::guest_memory::{self, GuestAddr};
use crate::thread::Slot;
use crate::{boot, forward, local, sys};

/// A text of at most `N` bytes; what does not fit is dropped.
pub struct FixedText<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> FixedText<N> {
    /// An empty text.
    pub fn new() -> Self {
        FixedText { bytes: [0; N], len: 0 }
    }
    /// What is in it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
    /// Append bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let n = bytes.len().min(N - self.len);
        self.bytes[self.len..self.len + n].copy_from_slice(&bytes[..n]);
        self.len += n;
    }
}

impl<const N: usize> Write for FixedText<N> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

fn push(slot: &Slot, kind: RecordKind, level: u8, payload: &[u8]) {
    let header = RecordHeader { kind, level, time_ns: local::clock::thread_time_ns(slot) };
    if !slot.thread.ring.push(header, payload) {
        forward::simple(slot, Request::Drain);
        slot.thread.ring.push(header, payload);
    }
}

/// Name something that the guest asked for and that is missing, beyond a whole call.
pub fn lack(slot: &Slot, what: core::fmt::Arguments<'_>) {
    let mut text = FixedText::<512>::new();
    let _ = text.write_fmt(what);
    push(slot, RecordKind::Lack, 2, text.as_bytes());
}

/// Name something missing that has a path.
pub fn lack_path(slot: &Slot, what: &str, path: &[u8]) {
    let mut text = FixedText::<512>::new();
    text.push(what.as_bytes());
    text.push(b" ");
    text.push(path);
    push(slot, RecordKind::Lack, 2, text.as_bytes());
}

/// A call whose texts were taken before it ran (it may overwrite them), waiting for its result.
pub struct PendingCall {
    payload: FixedText<1024>,
}

/// Begin a trace record.
pub fn begin_call(call: &Call, args: [u64; 6]) -> PendingCall {
    let mut payload = FixedText::new();
    payload.push(&CallRecord { number: call.number, args, result: 0 }.to_bytes());
    for (i, (kind, &value)) in call.args.iter().zip(&args).enumerate() {
        let mut bytes = [0; MAX_CALL_TEXT_BYTES];
        let taken = match kind {
            Arg::Path => guest_memory::read_text(GuestAddr(value), &mut bytes)
                .map(|(len, is_whole)| (len, !is_whole)),
            Arg::Bytes => {
                let whole = args.get(i + 1).copied().unwrap_or(0) as usize;
                let len = whole.min(bytes.len());
                guest_memory::read_bytes(GuestAddr(value), &mut bytes[..len])
                    .map(|()| (len, len < whole))
            }
            _ => continue,
        };
        if let Ok((len, is_cut)) = taken {
            let [low, high, ..] = (len as u64).to_le_bytes();
            payload.push(&[i as u8, u8::from(is_cut), low, high]);
            payload.push(&bytes[..len]);
        }
    }
    PendingCall { payload }
}

/// Finish a trace record.
pub fn end_call(slot: &Slot, mut pending: PendingCall, result: i64) {
    pending.payload.bytes[CallRecord::BYTES - 8..CallRecord::BYTES]
        .copy_from_slice(&result.to_le_bytes());
    push(slot, RecordKind::Call, 0, pending.payload.as_bytes());
}

/// The shim itself failed: leave one line where the simulator finds it, and end the guest.
pub fn fail(message: &[u8]) -> ! {
    if boot::is_managed() {
        let slot = Slot::current();
        let mut line = FixedText::<510>::new();
        let _ = write!(
            line,
            "pid {} at {}: ",
            slot.process.pid.load(Relaxed),
            shim_abi::SimTime::from_ns(local::clock::thread_time_ns(slot))
        );
        line.push(message);
        slot.process.failure.store(line.as_bytes());
    } else {
        let _ = sys::write_all(2, b"libshim: ");
        let _ = sys::write_all(2, message);
        let _ = sys::write_all(2, b"\n");
    }
    sys::die_of_signal(libc::SIGABRT as u32)
}

/// The `log` crate's backend: the records of this library's own code, at the level that the host sets.
struct Logger;

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        boot::is_managed()
            && metadata.level() as u32 <= Slot::current().host.log_level.load(Relaxed)
    }
    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            log_line(Slot::current(), record.level() as u8, *record.args());
        }
    }
    fn flush(&self) {}
}

static LOGGER: Logger = Logger;

/// Write a log record.
pub fn log_line(slot: &Slot, level: u8, text: core::fmt::Arguments<'_>) {
    let mut line = FixedText::<512>::new();
    let _ = line.write_fmt(text);
    push(slot, RecordKind::Log, level, line.as_bytes());
}

/// Write a log record of the program's own, if the host wants its level.
pub fn log_bytes(slot: &Slot, level: u8, text: &[u8]) {
    if u32::from(level) <= slot.host.log_level.load(Relaxed) {
        push(slot, RecordKind::Log, level, text);
    }
}

/// Make [`log`]'s macros arrive here.
pub fn install_logger(level: u32) {
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(match level {
            0 => log::LevelFilter::Off,
            1 => log::LevelFilter::Error,
            2 => log::LevelFilter::Warn,
            3 => log::LevelFilter::Info,
            4 => log::LevelFilter::Debug,
            _ => log::LevelFilter::Trace,
        });
    }
}
