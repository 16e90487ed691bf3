//! Randomness from the simulation's seed: getrandom(2) and what reads of `/dev/urandom` give.
//!
//! An address and a length in, bytes of the process's stream out. Always true: the stream's state is in
//! the process block and moves on with every byte given out, so the same program gets the same bytes in
//! every run with one seed. `AT_RANDOM` is `boot`'s.

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::random::Stream;

use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, write_some};
use crate::thread::Slot;

const GRND_NONBLOCK: u64 = 1;
const GRND_RANDOM: u64 = 2;
const GRND_INSECURE: u64 = 4;
/// One call gives at most this, as with Linux.
const MAX_BYTES: u64 = 0x7fff_f000;
/// Behind the last address that a process can have.
const ADDRESS_END: u64 = 0x7fff_ffff_f000;

/// Fill `out` from the process's stream.
pub fn fill(slot: &Slot, out: &mut [u8]) {
    let words = &slot.process.random;
    let mut stream = Stream::from_state(core::array::from_fn(|i| words[i].load(Relaxed)));
    stream.fill(out);
    for (word, value) in words.iter().zip(stream.state()) {
        word.store(value, Relaxed);
    }
}

/// Store `bytes` random bytes at `to`; how many there were before an address faulted.
pub fn fill_guest(slot: &Slot, to: GuestAddr, bytes: u64) -> Result<i64, Errno> {
    let bytes = bytes.min(MAX_BYTES);
    if to.0.checked_add(bytes).is_none_or(|end| end > ADDRESS_END) {
        return Err(Errno::EFAULT);
    }
    let mut done = 0;
    while done < bytes {
        let mut buffer = [0; 256];
        let piece = &mut buffer[..(bytes - done).min(256) as usize];
        fill(slot, piece);
        let stored = write_some(to.offset(done), piece);
        done += stored as u64;
        if stored < piece.len() {
            break;
        }
    }
    if done == 0 && bytes > 0 { Err(Errno::EFAULT) } else { Ok(done as i64) }
}

/// getrandom(buffer, bytes, flags)
pub fn getrandom(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [buffer, bytes, flags, ..] = call.args;
    let flags = flags & 0xffff_ffff;
    if flags & !(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) != 0
        || flags & (GRND_RANDOM | GRND_INSECURE) == GRND_RANDOM | GRND_INSECURE
    {
        return Err(Errno::EINVAL);
    }
    fill_guest(call.slot, GuestAddr(buffer), bytes)
}
