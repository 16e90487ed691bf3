//! The virtual Linux of a host, its arena, and the host's clock.
//!
//! Calls into the kernel in, their results out. Always true: the kernel is only ever called with its arena
//! open, so that everything it allocates lies there; `now` never goes back, and the words that guests
//! read follow it at each hand-over. What the calls mean for a guest is `serve`.

use std::io;
use std::sync::Arc;

use shim_abi::SimTime;
use shim_abi::event::SignalInfo;
use shim_arena::Arena;
use shim_kernel::{Kernel, VirtualPid};
use shim_supervisor::{HostMemory, Library};

use crate::config::HostConfig;
use crate::interrupter::Interrupter;

/// Largest state of one host's kernel.
const ARENA_BYTES: usize = 1 << 30;

pub(crate) struct Machine {
    // Before the arena: it lies in it, and is dropped first.
    kernel: Box<Kernel>,
    arena: Arena,
    pub(crate) memory: Arc<HostMemory>,
    pub(crate) config: HostConfig,
    /// Processes that have not ended, in the order of their start.
    pub(crate) pids: Vec<VirtualPid>,
    now: SimTime,
    /// End of the step that is under way.
    until: SimTime,
}

impl Machine {
    /// `descriptor_limit` is what guests see: soft, hard.
    pub(crate) fn new(
        config: HostConfig,
        library: &Library,
        descriptor_limit: (u32, u32),
    ) -> io::Result<Machine> {
        let memory = HostMemory::new(library, &config.manager()?, &config.host())?;
        let arena = Arena::create(config.host_id, ARENA_BYTES)?;
        let settings = config.kernel(descriptor_limit);
        let kernel = arena.enter(|| Box::new(Kernel::new(settings)));
        // Whoever maps the arena finds the kernel here.
        arena.set_root((&raw const *kernel).addr());
        Ok(Machine {
            kernel,
            arena,
            memory: Arc::new(memory),
            config,
            pids: Vec::new(),
            now: SimTime::ZERO,
            until: SimTime::ZERO,
        })
    }

    /// Call the kernel.
    pub(crate) fn kernel<T>(&mut self, call: impl FnOnce(&mut Kernel) -> T) -> T {
        let Machine { kernel, arena, .. } = self;
        arena.enter(|| call(kernel))
    }

    /// Simulated now.
    pub(crate) fn now(&self) -> SimTime {
        self.now
    }

    /// Move on to `time`, if it is later than now. Only while no guest has control.
    pub(crate) fn advance_to(&mut self, time: SimTime) {
        self.now = self.now.max(time);
    }

    /// A step begins that ends at `until`.
    pub(crate) fn begin_step(&mut self, now: SimTime, until: SimTime) {
        self.advance_to(now);
        self.until = until;
    }

    /// Tell guests the time, and how far they may go. To be called before each hand-over.
    pub(crate) fn publish_clock(&self) {
        self.memory.set_now(self.now);
        self.memory.set_realtime_offset_ns(self.kernel.realtime_offset_ns(self.now));
        self.memory.set_run_until(self.run_until());
    }

    /// The instant at which a guest must hand over; the end of time: nothing waits for it.
    pub(crate) fn run_until(&self) -> SimTime {
        let next = self.kernel.next_event().unwrap_or(SimTime::MAX);
        self.until.min(next).max(self.now)
    }

    /// Post the signals that came from outside to every process.
    pub(crate) fn post_interrupts(&mut self, interrupter: &Interrupter) {
        for signal in interrupter.take() {
            // As a terminal's line discipline sends it.
            let info = SignalInfo { signal, code: libc::SI_KERNEL, ..SignalInfo::default() };
            let now = self.now;
            for i in 0..self.pids.len() {
                let pid = self.pids[i];
                self.kernel(|kernel| kernel.post_signal(now, pid, info));
            }
        }
    }

    /// The kernel's next own event.
    pub(crate) fn next_event(&self) -> Option<SimTime> {
        self.kernel.next_event()
    }

    /// Bytes of the arena in use.
    pub(crate) fn used_bytes(&self) -> usize {
        self.arena.used_bytes()
    }
}
