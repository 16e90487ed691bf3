//! The virtual Linux of a host, its arena, and the host's clock.
//!
//! Calls into the kernel in, their results out. Always true: the kernel is only ever called with its arena
//! open, so that everything it allocates lies there; `now` never goes back, and the words that guests
//! read follow it at each hand-over. Guests that have control may call the kernel, too, where it lies; so it is not
//! touched here while one has. What the calls mean for a guest is `serve`.
//!
//! # Safety
//!
//! Empties the arena under a kernel that nobody uses any more.
#![allow(unsafe_code)]

use std::io;
use std::sync::Arc;

use shim_abi::address::ARENA_BYTES;
use shim_abi::random::Stream;
use shim_abi::{SimDuration, SimTime};
use shim_arena::Arena;
use shim_kernel::{Guests, Kernel, VirtualPid};
use shim_supervisor::{HostMemory, KernelMemory, Library};

use crate::config::HostConfig;
use crate::guest_view::{Blocks, View};
use crate::thread::Thread;

pub(crate) struct Machine {
    // Before the arena: it lies in it, and is dropped first.
    kernel: Box<Kernel>,
    arena: Arena,
    pub(crate) blocks: Blocks,
    pub(crate) config: HostConfig,
    now: SimTime,
    /// How often it has been booted again.
    reboots: u64,
}

impl Machine {
    /// `descriptor_limit` is what guests see: soft, hard.
    pub(crate) fn new(
        config: HostConfig,
        library: &Library,
        descriptor_limit: (u32, u32),
    ) -> io::Result<Machine> {
        let arena = Arena::create(config.host_id, ARENA_BYTES)?;
        // Whoever has it can write anything there, and it is believed: see `HostConfig::is_kernel_in_guest`.
        let for_guests = config.is_kernel_in_guest.then(|| KernelMemory {
            file: arena.fd(),
            arena: config.host_id,
            layout: Kernel::LAYOUT,
        });
        let memory = HostMemory::new(library, &config.manager(), &config.host(), for_guests)?;
        let settings = config.kernel(descriptor_limit);
        let kernel = arena.enter(|| Box::new(Kernel::new(settings)));
        // Whoever maps the arena finds the kernel here.
        arena.set_root((&raw const *kernel).addr());
        Ok(Machine {
            kernel,
            arena,
            blocks: Blocks::new(Arc::new(memory)),
            config,
            now: SimTime::ZERO,
            reboots: 0,
        })
    }

    /// Call the kernel.
    pub(crate) fn kernel<T>(&mut self, call: impl FnOnce(&mut Kernel) -> T) -> T {
        let Machine { kernel, arena, blocks, .. } = self;
        arena.enter(|| {
            let result = call(kernel);
            drop_files(kernel, blocks);
            result
        })
    }

    /// Call the kernel about `thread`, with what it may want to know of guests.
    pub(crate) fn kernel_for<T>(
        &mut self,
        thread: &mut Thread,
        call: impl FnOnce(&mut Kernel, &mut View<'_>) -> T,
    ) -> T {
        let Machine { kernel, arena, blocks, .. } = self;
        let mut view = View { guest: &mut thread.guest, blocks };
        arena.enter(|| {
            let result = call(kernel, &mut view);
            view.blocks.end_call();
            drop_files(kernel, view.blocks);
            result
        })
    }

    /// Call the kernel about a process that has no thread any more.
    pub(crate) fn kernel_alone<T>(
        &mut self,
        call: impl FnOnce(&mut Kernel, &mut Blocks) -> T,
    ) -> T {
        let Machine { kernel, arena, blocks, .. } = self;
        arena.enter(|| {
            let result = call(kernel, blocks);
            drop_files(kernel, blocks);
            result
        })
    }

    /// Where guests send native files.
    pub(crate) fn port(&mut self) -> i64 {
        self.blocks.port()
    }

    /// Begin with a new kernel that numbers processes where this one would, and has random numbers of its own. Only when
    /// no guest of the host is left.
    pub(crate) fn reboot(&mut self, descriptor_limit: (u32, u32)) -> io::Result<()> {
        let last = self.kernel.next_pid().0 - 1;
        self.reboots += 1;
        let mut settings = self.config.kernel(descriptor_limit);
        let names = ["host", &self.config.hostname, "reboot", &self.reboots.to_string()];
        settings.seed = Stream::named(settings.seed, &names).next_u64();
        self.replace_kernel(settings)?;
        self.kernel(|kernel| kernel.number_after(VirtualPid(last)));
        Ok(())
    }

    /// Forget the kernel, and begin with a new one. Only when no guest of the host is left.
    pub(crate) fn replace_kernel(&mut self, settings: shim_kernel::Config) -> io::Result<()> {
        // Outside the arena, for as long as that is empty.
        let broken = std::mem::replace(&mut self.kernel, Box::new(Kernel::new(settings.clone())));
        // Its state may be anything: nothing of it is dropped.
        std::mem::forget(broken);
        // SAFETY: the kernel was all that was in the arena, and is forgotten; the guests that had it are dead.
        unsafe { self.arena.reset() }?;
        self.kernel = self.arena.enter(|| Box::new(Kernel::new(settings)));
        self.arena.set_root((&raw const *self.kernel).addr());
        Ok(())
    }

    /// The memory files.
    pub(crate) fn memory(&self) -> &Arc<HostMemory> {
        self.blocks.memory()
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
        self.kernel.begin_step(until);
    }

    /// A thread gets the processor now.
    pub(crate) fn begin_turn(&mut self) {
        self.kernel.begin_turn(self.now);
    }

    /// Tell guests the time, and how far they may go. To be called before each hand-over.
    pub(crate) fn publish_clock(&mut self) {
        self.collect_ready();
        let memory = self.memory();
        memory.set_now(self.now);
        memory.set_realtime_offset_ns(self.kernel.realtime_offset_ns(self.now));
        memory.set_watching(self.kernel.is_watching());
        memory.set_run_until(self.kernel.run_until(self.now));
    }

    /// Queue the threads whose waits are over; whether there are any.
    pub(crate) fn collect_ready(&mut self) -> bool {
        self.kernel(Kernel::collect_ready)
    }

    /// Whether a thread can go on now.
    pub(crate) fn has_ready(&self) -> bool {
        self.kernel.has_ready()
    }

    /// The instant at which the turn ends, whatever the step does.
    pub(crate) fn end_of_turn(&self) -> SimTime {
        self.kernel.end_of_turn()
    }

    /// The instant at which the step ends that is under way.
    pub(crate) fn end_of_step(&self) -> SimTime {
        self.kernel.end_of_step()
    }

    /// An instant that no guest reaches before it hands over, by whatever it does in the step that is under way: it goes on
    /// to the end of the step, and what it is charged beyond that is a few calls, or once what a busy loop costs.
    pub(crate) fn latest(&self) -> SimTime {
        const CALLS: u64 = 1_000;
        let HostConfig { syscall_latency, vdso_latency, watchdog, .. } = &self.config;
        let of_calls = (*syscall_latency + *vdso_latency).as_ns().saturating_mul(CALLS);
        let of_loop = watchdog.map_or(SimDuration::ZERO, |watchdog| watchdog.quantum);
        self.end_of_step() + SimDuration::from_ns(of_calls) + of_loop + SimDuration::from_secs(1)
    }

    /// Let everything happen that is due by now. Only while no guest has control.
    pub(crate) fn catch_up(&mut self) {
        let now = self.now;
        self.kernel(|kernel| kernel.advance(now));
    }

    /// The call in which a thread waits. Who made it by itself may not have told.
    pub(crate) fn call_of(&self, thread: &Thread) -> Option<(u32, [u64; 6])> {
        let visited = self.kernel.visited(thread.tid);
        visited.map(|call| (call.number, call.args)).or(thread.call)
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
/// Close the native files that nobody can receive any more.
fn drop_files(kernel: &mut Kernel, blocks: &mut Blocks) {
    for number in kernel.take_dropped_files() {
        blocks.drop_file(number);
    }
}
