//! The table of calls: one line a call, to the function that answers it.
//!
//! A number and arguments in, an answer out. Always true: the lines are those that
//! [`shim_abi::calls::TABLE`] forwards, always or at times, and the shim's own calls (tested); any other number is ENOSYS.
//! What the functions do is in the files of their families.

use shim_abi::Errno;
use shim_abi::calls::{
    PSEUDO_ATTACHED, PSEUDO_BIND_PATH, PSEUDO_DUPLICATE, PSEUDO_LOCK_RELEASED, PSEUDO_LOCK_WAIT,
    PSEUDO_NAME, PSEUDO_OPEN_FIFO, PSEUDO_PEEK_PIPE, PSEUDO_POLL, PSEUDO_PROCESS_FILE,
    PSEUDO_REOPEN, PSEUDO_REPLACE_IMAGE, PSEUDO_TAKE_FILE, PSEUDO_TAKE_RIGHTS, PSEUDO_VIRTUAL_FILE,
    PSEUDO_WATCHED, nr,
};

use crate::context::{Answer, Context};
use crate::guest::GuestAddr;
use crate::{
    clock, clock_set, credentials, file, file_lock, files, futex, group, identity, interval, life,
    limits, mqueue, sched, signal, sleep, socket, sysv, timer, usage,
};

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
impl Argument for i64 {
    fn from_word(word: u64) -> Self {
        word as i64
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
    nr::read => file::read(0, 1, 2, 3);
    nr::write => file::write(0, 1, 2);
    nr::close => file::close(0);
    nr::fstat => file::fstat(0, 1);
    nr::ioctl => file::ioctl(0, 1, 2);
    nr::readv => file::readv(0, 1, 2, 3);
    nr::writev => file::writev(0, 1, 2);
    nr::pipe => file::pipe(1, 2, 3);
    nr::sched_yield => sched::sched_yield();
    nr::shmget => sysv::shmget(0, 1, 2);
    nr::shmat => sysv::shmat(0, 1, 2, 3);
    nr::shmctl => sysv::shmctl(0, 1, 2);
    nr::pause => signal::wait::pause();
    nr::nanosleep => sleep::nanosleep(0, 1);
    nr::getitimer => interval::getitimer(0, 1);
    nr::alarm => interval::alarm(0);
    nr::setitimer => interval::setitimer(0, 1, 2);
    nr::sendfile => file::sendfile(0, 1);
    nr::socket => socket::socket(0, 1, 2, 3);
    nr::connect => socket::connect(0, 1, 2, 3, 4, 5);
    nr::accept => socket::accept(0, 1, 2, 4);
    nr::sendto => socket::sendto(0, 1, 2, 3, 4, 5);
    nr::recvfrom => socket::recvfrom(0, 1, 2, 3, 4, 5);
    nr::sendmsg => socket::sendmsg(0, 1, 2, 3, 4, 5);
    nr::recvmsg => socket::recvmsg(0, 1, 2, 3);
    nr::shutdown => socket::shutdown(0, 1);
    nr::bind => socket::bind(0, 1, 2);
    nr::listen => socket::listen(0, 1);
    nr::getsockname => socket::getsockname(0, 1, 2);
    nr::getpeername => socket::getpeername(0, 1, 2);
    nr::socketpair => socket::socketpair(0, 1, 2, 4, 5);
    nr::setsockopt => socket::setsockopt(0, 1, 2, 3, 4);
    nr::getsockopt => socket::getsockopt(0, 1, 2, 3, 4, 5);
    nr::clone => life::clone::clone(0, 2, 3, 5);
    nr::exit => life::exit::exit(0);
    nr::wait4 => life::wait::wait4(0, 1, 2, 3);
    nr::kill => signal::send::kill(0, 1);
    nr::semget => sysv::semget(0, 1, 2);
    nr::semop => sysv::semop(0, 1, 2);
    nr::semctl => sysv::semctl(0, 1, 2, 3);
    nr::shmdt => sysv::shmdt(0);
    nr::msgget => sysv::msgget(0, 1);
    nr::msgsnd => sysv::msgsnd(0, 1, 2, 3);
    nr::msgrcv => sysv::msgrcv(0, 1, 2, 3, 4);
    nr::msgctl => sysv::msgctl(0, 1, 2);
    nr::fcntl => file::fcntl(0, 1, 2);
    nr::flock => file::flock(0, 1);
    nr::fchmod => file::fchmod(0, 1);
    nr::fchown => file::fchown(0, 1, 2);
    nr::getrlimit => limits::getrlimit(0, 1);
    nr::getrusage => usage::getrusage(0, 1);
    nr::sysinfo => usage::sysinfo(0);
    nr::times => usage::times(0);
    nr::setuid => credentials::changed();
    nr::setgid => credentials::changed();
    nr::setpgid => group::setpgid(0, 1);
    nr::setsid => group::setsid();
    nr::setreuid => credentials::changed();
    nr::setregid => credentials::changed();
    nr::setresuid => credentials::changed();
    nr::setresgid => credentials::changed();
    nr::getpgid => group::getpgid(0);
    nr::getsid => group::getsid(0);
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
    nr::prctl => life::prctl::prctl(0, 1);
    nr::adjtimex => clock_set::adjtimex(0);
    nr::setrlimit => limits::setrlimit(0, 1);
    nr::settimeofday => clock_set::settimeofday(0, 1);
    nr::sethostname => identity::sethostname();
    nr::setdomainname => identity::setdomainname();
    nr::tkill => signal::send::tkill(0, 1);
    nr::futex => futex::futex(0, 1, 2, 3, 4, 5);
    nr::sched_setaffinity => sched::affinity::sched_setaffinity(0, 1, 2);
    nr::sched_getaffinity => sched::affinity::sched_getaffinity(0, 1, 2);
    nr::epoll_create => file::epoll_create(0, 1);
    nr::set_tid_address => life::exit::set_tid_address(0);
    nr::semtimedop => sysv::semtimedop(0, 1, 2, 3);
    nr::timer_create => timer::call::timer_create(0, 1, 2);
    nr::timer_settime => timer::call::timer_settime(0, 1, 2, 3);
    nr::timer_gettime => timer::call::timer_gettime(0, 1);
    nr::timer_getoverrun => timer::call::timer_getoverrun(0);
    nr::timer_delete => timer::call::timer_delete(0);
    nr::clock_settime => clock_set::clock_settime(0, 1);
    nr::clock_gettime => clock::clock_gettime(0, 1);
    nr::clock_nanosleep => sleep::clock_nanosleep(0, 1, 2, 3);
    nr::exit_group => life::exit::exit_group(0);
    nr::epoll_wait => file::epoll_wait(0, 1, 2, 3);
    nr::epoll_ctl => file::epoll_ctl(0, 1, 2, 3, 4, 5);
    nr::tgkill => signal::send::tgkill(0, 1, 2);
    nr::mq_open => mqueue::mq_open(0, 1, 2, 3, 4);
    nr::mq_unlink => mqueue::mq_unlink(0);
    nr::mq_timedsend => mqueue::mq_timedsend(0, 1, 2, 3, 4);
    nr::mq_timedreceive => mqueue::mq_timedreceive(0, 1, 2, 3, 4);
    nr::mq_notify => mqueue::mq_notify(0, 1);
    nr::mq_getsetattr => mqueue::mq_getsetattr(0, 1, 2);
    nr::waitid => life::wait::waitid(0, 1, 2, 3, 4);
    nr::ioprio_set => sched::io_priority::ioprio_set(0, 1, 2);
    nr::ioprio_get => sched::io_priority::ioprio_get(0, 1);
    nr::inotify_init => file::inotify_init(0);
    nr::inotify_add_watch => file::inotify_add_watch(0, 1, 2, 3);
    nr::inotify_rm_watch => file::inotify_rm_watch(0, 1);
    nr::set_robust_list => futex::set_robust_list(0, 1);
    nr::get_robust_list => futex::get_robust_list(0, 1, 2);
    nr::splice => file::splice(0, 1, 2, 3, 4, 5);
    nr::tee => file::tee(0, 1, 2, 3);
    nr::vmsplice => file::vmsplice(0, 1, 2, 3);
    nr::utimensat => file::futimens(0, 2);
    nr::epoll_pwait => file::epoll_wait(0, 1, 2, 3);
    nr::signalfd => file::signalfd(0, 1, 2, 4);
    nr::timerfd_create => file::timerfd_create(0, 1, 2);
    nr::eventfd => file::eventfd(0, 1, 2);
    nr::timerfd_settime => file::timerfd_settime(0, 1, 2, 3);
    nr::timerfd_gettime => file::timerfd_gettime(0, 1);
    nr::accept4 => socket::accept4(0, 1, 2, 3, 4);
    nr::signalfd4 => file::signalfd4(0, 1, 2, 3, 4);
    nr::eventfd2 => file::eventfd2(0, 1, 2);
    nr::epoll_create1 => file::epoll_create1(0, 1);
    nr::pipe2 => file::pipe2(1, 2, 3);
    nr::inotify_init1 => file::inotify_init1(0, 1);
    nr::rt_tgsigqueueinfo => signal::send::rt_tgsigqueueinfo(0, 1, 2, 3);
    nr::prlimit64 => limits::prlimit64(0, 1, 2, 3);
    nr::clock_adjtime => clock_set::clock_adjtime(0, 1);
    nr::sched_setattr => sched::attribute::sched_setattr(0, 1, 2);
    nr::sched_getattr => sched::attribute::sched_getattr(0, 1, 2, 3);
    nr::pidfd_send_signal => signal::send::pidfd_send_signal(0, 1, 2, 3, 4);
    nr::pidfd_open => file::pidfd_open(0, 1, 2);
    nr::close_range => file::close_range(0, 1, 2);
    nr::pidfd_getfd => file::pidfd_getfd(0, 1, 2, 3);
    nr::epoll_pwait2 => file::epoll_pwait2(0, 1, 2, 3);
    nr::futex_waitv => futex::futex_waitv(0, 1, 2, 3, 4);
    nr::futex_wake => futex::futex_wake(0, 1, 2, 3);
    nr::futex_wait => futex::futex_wait(0, 1, 2, 3, 4, 5);
    nr::futex_requeue => futex::futex_requeue(0, 1, 2, 3);
    PSEUDO_VIRTUAL_FILE => files::read(0, 1, 2);
    PSEUDO_DUPLICATE => file::duplicate(0, 1, 2);
    PSEUDO_POLL => file::poll(0, 1, 2);
    PSEUDO_REOPEN => file::reopen(0, 1, 2);
    PSEUDO_NAME => file::name(0, 1, 2, 3);
    PSEUDO_OPEN_FIFO => file::open_fifo(0, 1, 2, 3);
    PSEUDO_PROCESS_FILE => files::tasks::read(0, 1, 2, 3, 4);
    PSEUDO_ATTACHED => sysv::attached(0, 1);
    PSEUDO_LOCK_WAIT => file_lock::wait(0);
    PSEUDO_LOCK_RELEASED => file_lock::released();
    PSEUDO_REPLACE_IMAGE => futex::replace_image(0);
    PSEUDO_TAKE_RIGHTS => socket::take_rights(0, 1, 2);
    PSEUDO_BIND_PATH => socket::bind_path(0, 1, 2, 3, 4);
    PSEUDO_TAKE_FILE => socket::take_file(0, 1);
    PSEUDO_WATCHED => file::watched(0);
    PSEUDO_PEEK_PIPE => file::peek_pipe(0, 1, 2);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::machine;
    use shim_abi::calls::{FORWARDED_AT_TIMES, Route, TABLE};
    use std::vec::Vec;

    #[test]
    fn what_is_forwarded_is_answered_and_nothing_else() {
        let is_forwarded = |call: &&shim_abi::calls::Call| {
            call.route == Route::Forward || FORWARDED_AT_TIMES.contains(&call.number)
        };
        let mut forwarded: Vec<u32> =
            TABLE.iter().filter(is_forwarded).map(|call| call.number).collect();
        forwarded.extend([
            PSEUDO_VIRTUAL_FILE,
            PSEUDO_DUPLICATE,
            PSEUDO_POLL,
            PSEUDO_REOPEN,
            PSEUDO_NAME,
            PSEUDO_OPEN_FIFO,
            PSEUDO_PROCESS_FILE,
            PSEUDO_ATTACHED,
            PSEUDO_LOCK_WAIT,
            PSEUDO_LOCK_RELEASED,
            PSEUDO_REPLACE_IMAGE,
            PSEUDO_TAKE_RIGHTS,
            PSEUDO_BIND_PATH,
            PSEUDO_TAKE_FILE,
            PSEUDO_WATCHED,
            PSEUDO_PEEK_PIPE,
        ]);
        assert_eq!(ANSWERED, forwarded);
    }

    #[test]
    fn any_other_call_is_not_implemented() {
        let (mut kernel, mut guest, tid) = machine();
        for number in (0..600).chain([PSEUDO_PEEK_PIPE + 1, u32::MAX]) {
            if !ANSWERED.contains(&number) {
                let result = kernel.do_call(tid, number, [0; 6], &mut guest);
                assert_eq!(result, Errno::ENOSYS.as_return(), "{number}");
            }
        }
    }
}
