//! What `prctl` says of a task's life: death signals, subreapers, the word that is cleared at its end.
//!
//! An operation and a number in, a number out. Always true: the shim forwards these operations and no others; any
//! other is EINVAL. What they do is in `end`.

use shim_abi::Errno;

use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::write_words;
use crate::signal;

pub(crate) fn prctl(context: &mut Context<'_>, operation: i32, value: u64) -> Answer {
    let told = match operation {
        libc::PR_SET_PDEATHSIG => {
            if value > u64::from(signal::MAX) {
                return Err(Errno::EINVAL);
            }
            context.thread_mut().death_signal = value as u32;
            return done(0);
        }
        libc::PR_SET_CHILD_SUBREAPER => {
            context.process_mut().is_subreaper = value != 0;
            return done(0);
        }
        libc::PR_GET_PDEATHSIG => context.thread().death_signal,
        libc::PR_GET_CHILD_SUBREAPER => context.process().is_subreaper.into(),
        libc::PR_GET_TID_ADDRESS => {
            let word = context.thread().clear_child_tid.0;
            write_words(context.guest, GuestAddr(value), [word])?;
            return done(0);
        }
        _ => return Err(Errno::EINVAL),
    };
    context.guest.write(GuestAddr(value), &told.to_le_bytes())?;
    done(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, machine};
    use shim_abi::calls::nr;

    #[test]
    fn what_was_set_is_told() {
        let (mut kernel, mut guest, tid) = machine();
        let [inval, fault] = [Errno::EINVAL, Errno::EFAULT].map(Errno::as_return);
        let word = 0x1234_0000_5678;
        kernel.do_call(tid, nr::set_tid_address, [word, 0, 0, 0, 0, 0], &mut guest);
        for (operation, value, expected, told) in [
            (libc::PR_GET_PDEATHSIG, DATA, 0, 0),
            (libc::PR_SET_PDEATHSIG, 65, inval, 0),
            (libc::PR_SET_PDEATHSIG, u64::MAX, inval, 0),
            (libc::PR_SET_PDEATHSIG, 64, 0, 0),
            (libc::PR_GET_PDEATHSIG, DATA, 0, 64),
            (libc::PR_GET_PDEATHSIG, 8, fault, 64),
            (libc::PR_SET_PDEATHSIG, 0, 0, 64),
            (libc::PR_GET_PDEATHSIG, DATA, 0, 0),
            (libc::PR_SET_CHILD_SUBREAPER, 1 << 40, 0, 0),
            (libc::PR_GET_CHILD_SUBREAPER, DATA, 0, 1),
            (libc::PR_SET_CHILD_SUBREAPER, 0, 0, 1),
            (libc::PR_GET_CHILD_SUBREAPER, DATA, 0, 0),
            (libc::PR_GET_CHILD_SUBREAPER, 8, fault, 0),
            (libc::PR_GET_TID_ADDRESS, 8, fault, 0),
            (libc::PR_GET_TID_ADDRESS, DATA, 0, word),
            (libc::PR_SET_NAME, DATA, inval, word),
            (-1, DATA, inval, word),
        ] {
            let args = [operation as u64, value, 0, 0, 0, 0];
            let got = kernel.do_call(tid, nr::prctl, args, &mut guest);
            assert_eq!((got, guest.words(DATA)), (expected, [told]), "{operation} {value}");
        }
    }
}
