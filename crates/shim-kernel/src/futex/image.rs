//! Another image: what its threads leave behind is noted before their memory is gone.
//!
//! The shim's own calls before `execve` and after one that failed in; words changed, and changed back, out. Always
//! true: a thread that goes on after a failed `execve` holds what it held; who was woken in vain finds the owner
//! alive. That a new image has started is told in `life::exec`.

use alloc::vec::Vec;

use super::robust::{Change, End};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::read_u32;

/// The shim's own call: the process is about to be replaced (0), or was not after all (1).
pub(crate) fn replace_image(context: &mut Context<'_>, stage: u32) -> Answer {
    let changes = context.kernel.futexes.replacing.remove(&context.pid).unwrap_or_default();
    if stage == 0 {
        let changes = context.note_ends();
        context.kernel.futexes.replacing.insert(context.pid, changes);
    } else {
        context.take_back(changes);
    }
    done(0)
}

impl Context<'_> {
    /// Note the end of all threads of the caller's process in the locks that they hold.
    fn note_ends(&mut self) -> Vec<Change> {
        let space = self.process().address_space;
        let mut changes = Vec::new();
        for tid in self.kernel.threads_of(self.pid) {
            let list =
                self.kernel.threads.get(&tid).map_or(GuestAddr(0), |thread| thread.robust_list);
            if list.is_null() {
                continue;
            }
            let mut end = End::new(self.kernel, self.now, tid, space, self.guest);
            // A bad address ends it, and nobody is left to be told.
            let _ = end.walk(list);
            changes.append(&mut end.changes);
        }
        changes
    }

    /// Take back what nobody has changed since.
    fn take_back(&mut self, changes: Vec<Change>) {
        for Change { address, before, after } in changes {
            if read_u32(self.guest, address) == Ok(after) {
                // As when it was noted: nobody is told.
                let _ = self.write_word(address, before);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use crate::outcome::Outcome;
    use crate::testing::DATA;
    use shim_abi::SimTime;
    use shim_abi::calls::{PSEUDO_REPLACE_IMAGE, nr};

    const WORD: u64 = DATA + 256;

    #[test]
    fn a_lock_is_left_by_another_image_and_kept_by_a_failure() {
        let mut bench = Bench::new(1);
        let waiters = u64::from(libc::FUTEX_WAITERS);
        let (id, other) = (u64::from(bench.threads[0].0), waiters | 77);
        bench.guest.put_words(DATA, &[DATA + 64, WORD - DATA - 64, 0]);
        bench.guest.put_words(DATA + 64, &[DATA + 72]);
        bench.guest.put_words(DATA + 72, &[DATA]);
        bench.guest.put_words(WORD, &[waiters | id, other]);
        let replace = |bench: &mut Bench, stage| {
            let done = bench.call(0, PSEUDO_REPLACE_IMAGE, [stage, 0, 0, 0, 0, 0]);
            assert_eq!(done, Outcome::Done(0));
            bench.guest.words::<2>(WORD)
        };
        assert_eq!(
            replace(&mut bench, 0),
            [waiters | id, other],
            "it has said nothing of its list"
        );
        bench.call(0, nr::set_robust_list, [DATA, 24, 0, 0, 0, 0]);
        let died = waiters | u64::from(libc::FUTEX_OWNER_DIED);
        assert_eq!(replace(&mut bench, 0), [died, other]);
        assert_eq!(replace(&mut bench, 1), [waiters | id, other]);
        assert_eq!(replace(&mut bench, 0), [died, other]);
        bench.guest.put_words(WORD, &[5]);
        assert_eq!(replace(&mut bench, 1), [5, other], "somebody was there");
        replace(&mut bench, 0);
        bench.kernel.exec_started(SimTime::ZERO, bench.threads[0], &mut bench.guest);
        assert!(bench.kernel.futexes.replacing.is_empty());
    }
}
