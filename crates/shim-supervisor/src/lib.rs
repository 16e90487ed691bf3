//! Launching, answering and watching guests.
//!
//! A simulator, ours or anybody's, is a program that decides what its guests see. This library is
//! the other half: how a guest comes to life, how its requests arrive and its answers reach it, how
//! its memory is read, and how its death is noticed, whatever it dies of. It is mechanism and
//! has no opinion about any system call; the opinions are in `shim-kernel`, and `shim-host` joins
//! the two.
//!
//! The rooms, in the order in which a simulation enters them:
//!
//! 1. [`library`]: is this file a `libshim.so` that we can work with?
//! 2. [`launcher`]: the small process whose children all guests are, and the thread here that
//!    listens to it;
//! 3. [`settings`], [`region`], `slots`: the two memory files of a host and the blocks in them;
//!    [`segment`]: memory that guests share beside; [`post`]: files that they send each other;
//!    [`names`]: the file with the names of all hosts;
//! 4. [`command`], [`resolve`]: what to run, and where its file is; [`views`]: what it sees of the file system;
//! 5. [`guest`]: one guest, a thread: the next event, the reply, native calls inside it; `channel` is how it
//!    waits, `baton` how it waits for several that hand control to each other, [`lookout`] how one waits for any of several
//!    and `herald` how that can be polled, [`guest_memory`] how memory is read and written, [`mappings`] what stands behind it,
//!    [`records`] what the guest has to tell;
//!    `images`: patched code for it to map, which `maps` and `smaps` hide again; `offspring`: how it makes another one;
//! 6. `process`: what the threads of a process share; `life`: whether it is alive, and what may be done to it
//!    only while it is;
//!    [`interrupt`]: reaching a guest from another thread; `watchdog`: preempting one that makes no call;
//! 7. [`status`]: how a guest ended;
//! 8. [`trial`]: whether guests had better run on the simulator's processor or on another one.
//!
//! # Rules
//!
//! - Nothing of the embedding program is touched: guests are no children of ours, no signal handler
//!   is installed, no limit changed. The launcher is a child that neither `wait(-1)` nor SIGCHLD
//!   shows.
//! - Every wait ends: by the guest's doing, by its death, or by the launcher's death.
//! - Whatever a guest wrote is an allegation. The worst that it can do to us is [`Event::Malformed`].
//! - A guest's native process id is used only while `life` vouches that it is not reaped.
//! - Nothing is left behind: no files, no processes, whoever is killed.
//! - This crate imports `shim-abi`, `shim-sync` and `shim-patch` and nothing else of ours; a test checks it.
#![deny(unsafe_code)]

mod baton;
mod channel;
pub mod command;
pub mod guest;
pub mod guest_memory;
mod herald;
mod images;
pub mod interrupt;
pub mod launcher;
pub mod library;
mod life;
pub mod lookout;
pub mod mappings;
mod maps;
pub mod names;
mod offspring;
pub mod post;
mod process;
pub mod records;
pub mod region;
pub mod resolve;
pub mod segment;
pub mod settings;
mod signals;
mod slots;
mod smaps;
pub mod status;
pub mod trial;
pub mod views;
mod watchdog;

pub use command::Command;
pub use guest::{Ended, Event, Guest};
pub use guest_memory::GuestMemory;
pub use interrupt::Interrupter;
pub use launcher::{Launcher, SpawnError};
pub use library::{Library, LibraryError};
pub use lookout::Lookout;
pub use mappings::Backing;
pub use names::{Name, Names};
pub use post::Post;
pub use region::HostMemory;
pub use resolve::{Unresolved, resolve_program};
pub use segment::Segment;
pub use settings::{HostSettings, Identity, KernelMemory, ManagerSettings};
pub use status::ExitStatus;
pub use views::{View, ViewError, ViewMaker, ViewPlan};
