//! Setting the times of an inode: `futimens` on a pipe.
//!
//! A descriptor and times in; later answers of `fstat` show them. Always true: both ends of a pipe have one inode; what
//! is no pipe has an inode of the machine's that nobody changes (EOPNOTSUPP). Mode and owner are in `stat`.

use shim_abi::Errno;
use shim_abi::time::NS_PER_SEC;

use super::table::Object;
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::read_words;

const UTIME_NOW: u64 = 0x3fff_ffff;
const UTIME_OMIT: u64 = 0x3fff_fffe;

/// `utimensat` without a path.
pub(crate) fn futimens(context: &mut Context<'_>, fd: u32, times: GuestAddr) -> Answer {
    let now_ns = u64::try_from(context.kernel.realtime_ns(context.now)).unwrap_or(0);
    let pairs = match times.is_null() {
        true => [0, UTIME_NOW, 0, UTIME_NOW],
        false => read_words(context.guest, times)?,
    };
    let mut wanted = [None; 3];
    for (time, pair) in wanted.iter_mut().zip(pairs.chunks_exact(2)) {
        *time = match *pair {
            [_, UTIME_NOW] => Some(now_ns),
            [_, UTIME_OMIT] => None,
            [secs, nanos @ 0..NS_PER_SEC] => {
                Some(secs.saturating_mul(NS_PER_SEC).saturating_add(nanos))
            }
            _ => return Err(Errno::EINVAL),
        };
    }
    if wanted.iter().any(Option::is_some) {
        wanted[2] = Some(now_ns);
    }
    let id = context.file(fd)?;
    let Object::Pipe(end) = context.kernel.files.get(id)?.object else {
        return Err(Errno::EOPNOTSUPP);
    };
    context.kernel.files.pipes.set_times_ns(end, wanted);
    done(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, machine};
    use shim_abi::calls::nr;

    #[test]
    fn both_ends_of_a_pipe_show_times_that_were_set() {
        let (mut kernel, mut guest, tid) = machine();
        let mut call = |number, args: [u64; 6]| kernel.do_call(tid, number, args, &mut guest);
        assert_eq!(call(nr::pipe2, [DATA, 0, 3, 4, 0, 0]), 0);
        assert_eq!(call(nr::eventfd2, [0, 0, 5, 0, 0, 0]), 5);
        assert_eq!(call(nr::utimensat, [5, 0, 0, 0, 0, 0]), Errno::EOPNOTSUPP.as_return());
        assert_eq!(call(nr::utimensat, [9, 0, 0, 0, 0, 0]), Errno::EBADF.as_return());
        guest.put_words(DATA, &[7, 8, 0, UTIME_OMIT]);
        let mut call = |number, args: [u64; 6]| kernel.do_call(tid, number, args, &mut guest);
        assert_eq!(call(nr::utimensat, [4, 0, DATA, 0, 0, 0]), 0);
        assert_eq!(call(nr::fstat, [3, DATA, 0, 0, 0, 0]), 0);
        assert_eq!(guest.words::<11>(DATA)[9..], [7, 8]);
        guest.put_words(DATA, &[0, NS_PER_SEC, 0, 0]);
        let args = [4, 0, DATA, 0, 0, 0];
        assert_eq!(kernel.do_call(tid, nr::utimensat, args, &mut guest), Errno::EINVAL.as_return());
    }
}
