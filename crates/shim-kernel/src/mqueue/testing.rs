//! Some processes of one host that have one queue open, for tests.
//!
//! Always true: the queue's descriptor is 3. Processes and their calls are those of `testing::bench`.

use shim_abi::calls::nr;

use crate::testing::DATA;
use crate::testing::bench::Bench;
use crate::{Guest, GuestAddr};

/// Where names stand.
pub(super) const NAME: u64 = DATA + 0x2000;
/// Flags that make a queue.
pub(super) const CREATE: i32 = libc::O_CREAT | libc::O_RDWR;

impl Bench {
    /// Each of the processes has a queue for so many messages open.
    pub(super) fn with_queue(count: usize, flags: i32, messages: u64) -> Bench {
        let mut bench = Bench::new(count);
        bench.put_name(b"queue");
        bench.guest.put_words(DATA, &[0, messages, 8192]);
        for thread in 0..count {
            let args = [NAME, (libc::O_CREAT | flags) as u64, 0o600, DATA, 3];
            assert_eq!(bench.done(thread, nr::mq_open, &args), 3);
        }
        bench
    }

    /// The first process opens the queue once more.
    pub(super) fn open_again(&mut self, fd: u64, flags: i32) {
        let args = [NAME, flags as u64, 0, 0, fd];
        assert_eq!(self.done(0, nr::mq_open, &args), fd as i64);
    }

    pub(super) fn put_name(&mut self, name: &[u8]) {
        let bytes = [name, &[0]].concat();
        self.guest.write(GuestAddr(NAME), &bytes).unwrap();
    }
}
