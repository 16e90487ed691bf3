//! A host's side of the network: IP datagrams that come to it and leave it, each at its instant.
//!
//! Bytes with instants in and out. Always true: datagrams leave in the order in which they are taken; the bytes of one that was
//! taken stay until the next call with the host; nothing arrives before the host has been stepped to. What becomes of
//! datagrams between hosts is the owner's.
//!
//! # Safety
//!
//! Unsafe here: exported names, and pointers from C, about which each function says what its caller guarantees.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::{c_int, c_void};

use shim_abi::SimTime;
use shim_host::Departure;

use super::{Host, Inside, with};
use crate::error::{Failure, Result, answer, answer_with};
use crate::pointer::{bytes, store};

/// No IP datagram is longer: IPv6's header, and what its length can say.
const MAX_BYTES: usize = 40 + 65_535;

impl Inside {
    fn deliver(&mut self, at: SimTime, datagram: &[u8]) -> Result<()> {
        if datagram.len() > MAX_BYTES {
            let what = format!("a datagram of {} bytes is none of IP", datagram.len());
            return Err(Failure::new(libc::EMSGSIZE, format!("{what}: {MAX_BYTES} at most")));
        }
        if at < self.stepped_until {
            let (at, until) = (at.as_ns(), self.stepped_until.as_ns());
            let hint = "step a host no further than something can come to it";
            return Err(Failure::invalid(format!(
                "at_ns {at} is in the past of the host, which has been stepped to {until}: {hint}"
            )));
        }
        self.host.deliver(at, datagram);
        Ok(())
    }

    /// Take over what has been sent.
    pub(super) fn collect_packets(&mut self) {
        self.departures.extend(self.host.take_departures());
        self.looped.extend(self.host.take_looped());
    }

    /// The next of a list; its bytes stay in `taken`.
    fn take(
        &mut self,
        list: impl Fn(&mut Inside) -> &mut VecDeque<Departure>,
    ) -> Option<(u64, *const c_void, usize)> {
        if list(self).is_empty() {
            // Between steps processes may have been killed, which says farewell to their peers.
            self.collect_packets();
        }
        let Departure { at, bytes } = list(self).pop_front()?;
        self.taken = bytes;
        Some((at.as_ns(), self.taken.as_ptr().cast(), self.taken.len()))
    }
}

/// A packet of another host's comes to this one.
///
/// host: as shimhost_new made it, with an interface that is connected (shimhost_config_set_connected).
/// at_ns: nanoseconds of simulated time at which its last bit is there; not before the end of the host's last step. Of packets that
/// come at the same instant, the one that was delivered first is first.
/// datagram: an IPv4 or IPv6 datagram, headers and all. What makes no sense, or is not for this host, is dropped when it
/// comes, as a real host does.
/// length: its bytes.
/// Ownership: the bytes are copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, or an instant that is past; -EMSGSIZE for more bytes than a datagram can have; -EBUSY if another
/// thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_deliver(
    host: *mut Host,
    at_ns: u64,
    datagram: *const c_void,
    length: usize,
) -> c_int {
    // SAFETY: the caller's: NULL or so many bytes.
    let datagram = unsafe { bytes(datagram, length, "datagram") };
    let at = SimTime::from_ns(at_ns);
    // SAFETY: the caller's: NULL or a host.
    answer("shimhost_deliver", unsafe { with(host, |host| host.deliver(at, datagram?)) })
}

/// Take a packet that the host has sent to another one.
///
/// To be called after each step, until there is none. Packets come in the order in which they leave.
///
/// host: as shimhost_new made it.
/// at_ns: where the instant goes, in nanoseconds of simulated time, at which its last bit has left the interface; it may be later
/// than the end of the step. NULL if nobody wants it.
/// datagram: where the address of its bytes goes: an IPv4 or IPv6 datagram, headers and all.
/// length: where their number goes.
/// Ownership: the bytes are the library's, and valid until the next call with this host.
/// Returns: 1 if there was one; 0 if not, and nothing is stored; or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EBUSY if another thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_take_packet(
    host: *mut Host,
    at_ns: *mut u64,
    datagram: *mut *const c_void,
    length: *mut usize,
) -> c_int {
    // SAFETY: the caller's: NULL or a host, and NULL or places.
    let result = unsafe {
        take(host, (at_ns, datagram, length), |host| host.take(|host| &mut host.departures))
    };
    answer_with("shimhost_take_packet", result)
}

/// Take a packet that the host has sent to itself, by its loopback interface.
///
/// They have arrived already, and are for captures. They are kept if shimhost_config_set_capturing says so.
///
/// host: as shimhost_new made it.
/// at_ns: where the instant goes, in nanoseconds of simulated time, at which it was sent. NULL if nobody wants it.
/// datagram: where the address of its bytes goes: an IPv4 or IPv6 datagram, headers and all.
/// length: where their number goes.
/// Ownership: the bytes are the library's, and valid until the next call with this host.
/// Returns: 1 if there was one; 0 if not, and nothing is stored; or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EBUSY if another thread uses the host.
/// Threads and signals: one thread at a time; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimhost_take_looped_packet(
    host: *mut Host,
    at_ns: *mut u64,
    datagram: *mut *const c_void,
    length: *mut usize,
) -> c_int {
    // SAFETY: the caller's: NULL or a host, and NULL or places.
    let result =
        unsafe { take(host, (at_ns, datagram, length), |host| host.take(|host| &mut host.looped)) };
    answer_with("shimhost_take_looped_packet", result)
}

/// # Safety
///
/// NULL or a host, and NULL or places that can be written.
unsafe fn take(
    host: *mut Host,
    places: (*mut u64, *mut *const c_void, *mut usize),
    next: impl FnOnce(&mut Inside) -> Option<(u64, *const c_void, usize)>,
) -> Result<c_int> {
    let (at_place, datagram_place, length_place) = places;
    // Before anything is taken that could not be told.
    if datagram_place.is_null() || length_place.is_null() {
        let name = if datagram_place.is_null() { "datagram" } else { "length" };
        return Err(Failure::invalid(format!("{name} is NULL")));
    }
    // SAFETY: the caller's promise.
    let Some((at, datagram, length)) = (unsafe { with(host, |host| Ok(next(host))) })? else {
        return Ok(0);
    };
    // SAFETY: as above.
    unsafe { store(at_place, at) };
    // SAFETY: as above.
    unsafe { store(datagram_place, datagram) };
    // SAFETY: as above.
    unsafe { store(length_place, length) };
    Ok(1)
}
