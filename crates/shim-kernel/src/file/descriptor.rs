//! The table of descriptors: `close`, `close_range`, copies.
//!
//! Numbers in, nothing out. Always true: the real kernel has done its part before (it keeps which numbers are taken,
//! and whether they survive `execve`); what is kept here is what lies behind the number.

use shim_abi::Errno;

use super::table::check_number;
use crate::context::{Answer, Context, done};

pub(crate) fn close(context: &mut Context<'_>, fd: u32) -> Answer {
    let descriptor = context.process_mut().descriptors.remove(&fd).ok_or(Errno::EBADF)?;
    context.let_go_and_linger(descriptor.file)
}

pub(crate) fn close_range(context: &mut Context<'_>, first: u32, last: u32, flags: u32) -> Answer {
    let (unshare, cloexec) = (libc::CLOSE_RANGE_UNSHARE, libc::CLOSE_RANGE_CLOEXEC);
    if flags & !(unshare | cloexec) != 0 || first > last {
        return Err(Errno::EINVAL);
    }
    let range = context.process_mut().descriptors.range_mut(first..=last);
    if flags & cloexec != 0 {
        range.for_each(|(_, descriptor)| descriptor.is_close_on_exec = true);
        return done(0);
    }
    let numbers: alloc::vec::Vec<u32> = range.map(|(&fd, _)| fd).collect();
    for fd in numbers {
        if let Some(descriptor) = context.process_mut().descriptors.remove(&fd) {
            context.kernel.let_go(context.now, context.pid, descriptor.file);
        }
    }
    done(0)
}

/// The shim's own call: `new` is now what `old` is, which may be something that only the real kernel knows.
pub(crate) fn duplicate(context: &mut Context<'_>, old: u32, new: u32, flags: u32) -> Answer {
    check_number(new)?;
    match context.file(old) {
        _ if old == new => {}
        Ok(file) => {
            let is_close_on_exec = flags & libc::O_CLOEXEC as u32 != 0;
            if let Some(old) = context.exchange_descriptor(new, file, is_close_on_exec) {
                return context.let_go_and_linger(old);
            }
        }
        // It need not have been virtual.
        Err(_) => return close(context, new).or(done(0)),
    }
    done(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VirtualPid;
    use crate::file::testing::{bench, call};
    use shim_abi::calls::{PSEUDO_DUPLICATE, nr};

    #[test]
    fn descriptors_are_copied_and_closed() {
        let mut machine = bench();
        let bad = Errno::EBADF.as_return();
        // 3 becomes the counter, 5 something of the real kernel's.
        assert_eq!(call(&mut machine, PSEUDO_DUPLICATE, [5, 3, 0, 0]), 0);
        assert_eq!(call(&mut machine, PSEUDO_DUPLICATE, [9, 5, 0, 0]), 0);
        assert_eq!(call(&mut machine, PSEUDO_DUPLICATE, [4, 4, 0, 0]), 0);
        assert_eq!(call(&mut machine, PSEUDO_DUPLICATE, [4, 4096, 0, 0]), bad);
        assert_eq!(call(&mut machine, nr::close, [5, 0, 0, 0]), bad);
        assert_eq!(call(&mut machine, nr::fcntl, [3, libc::F_GETFL as u64, 0, 0]), 2);
        assert_eq!(call(&mut machine, nr::close, [4, 0, 0, 0]), 0);
        assert_eq!(call(&mut machine, nr::close, [4, 0, 0, 0]), bad);
        let invalid = Errno::EINVAL.as_return();
        assert_eq!(call(&mut machine, nr::close_range, [4, 3, 0, 0]), invalid);
        assert_eq!(call(&mut machine, nr::close_range, [0, 9, 1, 0]), invalid);
        assert_eq!(call(&mut machine, nr::close_range, [0, u64::MAX, 2, 0]), 0);
        assert!(machine.0.processes[&VirtualPid(1000)].descriptors.is_empty());
    }
}
