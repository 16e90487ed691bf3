//! The table of calls: one line a call, to the function that answers it.
//!
//! A number and arguments in, an answer out. Always true: the lines are those that
//! [`shim_abi::calls::TABLE`] forwards, and the shim's own call (tested); any other number is ENOSYS.
//! What the functions do is in the files of their families.

use shim_abi::Errno;
use shim_abi::calls::{PSEUDO_VIRTUAL_FILE, nr};

use crate::context::{Answer, Context};
use crate::guest::GuestAddr;
use crate::{clock_set, files, identity, interval, life, limits, sched, signal, sleep, usage};

/// An argument, as the type that Linux takes it for: as there, what does not fit is cut off.
trait Argument {
    fn from_word(word: u64) -> Self;
}
impl Argument for i32 {
    fn from_word(word: u64) -> Self {
        word as i32
    }
}
impl Argument for u32 {
    fn from_word(word: u64) -> Self {
        word as u32
    }
}
impl Argument for u64 {
    fn from_word(word: u64) -> Self {
        word
    }
}
impl Argument for GuestAddr {
    fn from_word(word: u64) -> Self {
        GuestAddr(word)
    }
}

macro_rules! calls {
    ($($number:path => $family:ident :: $($function:ident)::+ ($($arg:literal),*);)*) => {
        /// The numbers that are answered here.
        #[cfg(test)]
        pub(crate) const ANSWERED: &[u32] = &[$($number),*];

        /// Answer call `number`.
        pub(crate) fn answer(context: &mut Context<'_>, number: u32, args: [u64; 6]) -> Answer {
            match number {
                $($number => {
                    $family::$($function)::+(context $(, Argument::from_word(args[$arg]))*)
                })*
                _ => Err(Errno::ENOSYS),
            }
        }
    };
}

calls! {
    nr::pause => signal::wait::pause();
    nr::nanosleep => sleep::nanosleep(0, 1);
    nr::getitimer => interval::getitimer(0, 1);
    nr::alarm => interval::alarm(0);
    nr::setitimer => interval::setitimer(0, 1, 2);
    nr::exit => life::exit(0);
    nr::kill => signal::send::kill(0, 1);
    nr::getrlimit => limits::getrlimit(0, 1);
    nr::getrusage => usage::getrusage(0, 1);
    nr::sysinfo => usage::sysinfo(0);
    nr::times => usage::times(0);
    nr::setpgid => identity::setpgid(0, 1);
    nr::setsid => identity::setsid();
    nr::rt_sigtimedwait => signal::wait::rt_sigtimedwait(0, 1, 2, 3);
    nr::rt_sigqueueinfo => signal::send::rt_sigqueueinfo(0, 1, 2);
    nr::rt_sigsuspend => signal::wait::rt_sigsuspend(0, 1);
    nr::getpriority => sched::priority::getpriority(0, 1);
    nr::setpriority => sched::priority::setpriority(0, 1, 2);
    nr::sched_setparam => sched::policy::sched_setparam(0, 1);
    nr::sched_getparam => sched::policy::sched_getparam(0, 1);
    nr::sched_setscheduler => sched::policy::sched_setscheduler(0, 1, 2);
    nr::sched_getscheduler => sched::policy::sched_getscheduler(0);
    nr::sched_get_priority_max => sched::policy::sched_get_priority_max(0);
    nr::sched_get_priority_min => sched::policy::sched_get_priority_min(0);
    nr::sched_rr_get_interval => sched::policy::sched_rr_get_interval(0, 1);
    nr::adjtimex => clock_set::adjtimex(0);
    nr::setrlimit => limits::setrlimit(0, 1);
    nr::settimeofday => clock_set::settimeofday(0, 1);
    nr::sethostname => identity::sethostname();
    nr::setdomainname => identity::setdomainname();
    nr::tkill => signal::send::tkill(0, 1);
    nr::sched_setaffinity => sched::affinity::sched_setaffinity(0, 1, 2);
    nr::sched_getaffinity => sched::affinity::sched_getaffinity(0, 1, 2);
    nr::clock_settime => clock_set::clock_settime(0, 1);
    nr::clock_nanosleep => sleep::clock_nanosleep(0, 1, 2, 3);
    nr::exit_group => life::exit_group(0);
    nr::tgkill => signal::send::tgkill(0, 1, 2);
    nr::ioprio_set => sched::io_priority::ioprio_set(0, 1, 2);
    nr::ioprio_get => sched::io_priority::ioprio_get(0, 1);
    nr::rt_tgsigqueueinfo => signal::send::rt_tgsigqueueinfo(0, 1, 2, 3);
    nr::prlimit64 => limits::prlimit64(0, 1, 2, 3);
    nr::clock_adjtime => clock_set::clock_adjtime(0, 1);
    nr::sched_setattr => sched::attribute::sched_setattr(0, 1, 2);
    nr::sched_getattr => sched::attribute::sched_getattr(0, 1, 2, 3);
    PSEUDO_VIRTUAL_FILE => files::read(0, 1, 2);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::machine;
    use shim_abi::calls::{Route, TABLE};
    use std::vec::Vec;

    #[test]
    fn what_is_forwarded_is_answered_and_nothing_else() {
        let is_forwarded = |call: &&shim_abi::calls::Call| call.route == Route::Forward;
        let mut forwarded: Vec<u32> =
            TABLE.iter().filter(is_forwarded).map(|call| call.number).collect();
        forwarded.push(PSEUDO_VIRTUAL_FILE);
        assert_eq!(ANSWERED, forwarded);
    }

    #[test]
    fn any_other_call_is_not_implemented() {
        let (mut kernel, mut guest, tid) = machine();
        for number in (0..600).chain([PSEUDO_VIRTUAL_FILE + 1, u32::MAX]) {
            if !ANSWERED.contains(&number) {
                let result = kernel.do_call(tid, number, [0; 6], &mut guest);
                assert_eq!(result, Errno::ENOSYS.as_return(), "{number}");
            }
        }
    }
}
