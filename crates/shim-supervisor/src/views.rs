//! What the processes of one host see of the file system: folders of their own in the place of the machine's.
//!
//! A [`ViewPlan`] in, a [`View`] out, which goes with a command. Always true: a view is a mount namespace that only
//! descriptors and processes hold, so that nothing stays mounted when they are gone, whoever is killed; what is mounted
//! in one is seen in no other; it is made in a thread of its own, which ends in it, so that this process's own view
//! never changes. Which folders there are and where they lie is the embedder's.
//!
//! Who may not mount gets a user namespace, in which everybody may ([`Launcher::start_with_views`]): with the same
//! user and group as before, and nobody else's. The launcher keeps the right, to put guests into their views, and so does
//! the thread that makes views; a guest loses it by its exec, and the other threads here give it up, because a guest
//! could not open their memory files otherwise.
//!
//! Why not in the launcher: it may not allocate, and a view takes paths. Why not a mount for each guest: what
//! one process of a host mounts or writes the others see.
//!
//! # Safety
//!
//! Unsafe here: leaving what threads share, but never the table of descriptors.
#![allow(unsafe_code)]

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, Stat, fstat, openat2};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
    mount_change, move_mount, open_tree,
};
use rustix::process::{getegid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, UnshareFlags, capabilities, set_capabilities, unshare_unsafe,
};

use crate::launcher::Launcher;
use crate::signals::with_all_blocked;

/// How a view is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ViewPlan {
    /// Folders that are not the machine's. None lies in another.
    pub places: Vec<Place>,
    /// Files and folders of the machine's that are to be seen all the same where a place hides them. Absolute, in folders
    /// without links.
    pub kept: Vec<PathBuf>,
    /// Where its processes start.
    pub directory: PathBuf,
}

/// A folder that is not the machine's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Where it is seen. Absolute, no links, a folder.
    pub path: PathBuf,
    /// What is seen there.
    pub shows: Shows,
}

/// What is seen in a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shows {
    /// This folder.
    Folder(PathBuf),
    /// The machine's folder with what the host changed in it.
    Overlay {
        /// Where the changes are.
        upper: PathBuf,
        /// An empty folder beside it, for the system's use.
        work: PathBuf,
    },
}

/// A view that guests can be started in.
#[derive(Debug)]
pub struct View {
    namespace: OwnedFd,
    root: OwnedFd,
    directory: OwnedFd,
}

/// Why there is no view.
#[derive(Debug)]
pub struct ViewError {
    /// What was to be done.
    what: String,
    error: io::Error,
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.what, self.error)
    }
}

impl std::error::Error for ViewError {}

impl ViewError {
    fn at(what: impl Into<String>) -> impl FnOnce(rustix::io::Errno) -> ViewError {
        move |errno| ViewError { what: what.into(), error: errno.into() }
    }

    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> ViewError {
        move |error| ViewError { what: what.into(), error }
    }
}

impl View {
    /// Open a file for reading as the host's processes see it.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        // A file that is a pipe is not waited for.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(openat2(&self.root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?.into())
    }

    /// What a file is, as the host's processes see it.
    pub(crate) fn stat(&self, path: &Path) -> rustix::io::Result<Stat> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        fstat(openat2(&self.root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?)
    }

    pub(crate) fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    /// Where its processes start. The same folder opened outside would have no path inside.
    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

type Wish = (ViewPlan, Sender<Result<View, ViewError>>);

/// Makes views.
#[derive(Debug)]
pub struct ViewMaker {
    wishes: Option<Sender<Wish>>,
    thread: Option<JoinHandle<()>>,
}

impl ViewMaker {
    fn start(is_in_user_namespace: bool) -> io::Result<ViewMaker> {
        let (wishes, arriving) = channel();
        let thread = with_all_blocked(|| {
            std::thread::Builder::new()
                .name("shim-views".to_owned())
                .spawn(move || serve(&arriving, is_in_user_namespace))
        })?;
        Ok(ViewMaker { wishes: Some(wishes), thread: Some(thread) })
    }

    /// Make a view.
    pub fn make(&self, plan: ViewPlan) -> Result<View, ViewError> {
        let lost = || ViewError {
            what: "make a view".to_owned(),
            error: io::ErrorKind::BrokenPipe.into(),
        };
        let (answer, arriving) = channel();
        let wishes = self.wishes.as_ref().ok_or_else(lost)?;
        wishes.send((plan, answer)).map_err(|_| lost())?;
        arriving.recv().map_err(|_| lost())?
    }
}

impl Drop for ViewMaker {
    fn drop(&mut self) {
        self.wishes = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Launcher {
    /// Start the launcher process, and what makes views for its guests. To be called while this process has one
    /// thread: it may get a user namespace.
    pub fn start_with_views() -> Result<(Launcher, ViewMaker), ViewError> {
        let needed = CapabilitySet::SYS_ADMIN | CapabilitySet::SYS_CHROOT;
        let is_lent = !capabilities(None)
            .map_err(ViewError::at("ask for capabilities"))?
            .effective
            .contains(needed);
        if is_lent {
            enter_user_namespace()?;
        }
        let launcher = Launcher::start().map_err(ViewError::io("start the launcher"))?;
        let is_in_user_namespace = !is_initial(&fs::read("/proc/self/uid_map").unwrap_or_default());
        let maker = ViewMaker::start(is_in_user_namespace)
            .map_err(ViewError::io("start the thread that mounts"))?;
        // Guests of the superuser's keep all rights in their namespace, and could not be reached by one with fewer.
        if is_lent && !geteuid().is_root() {
            let none = CapabilitySet::empty();
            let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
            set_capabilities(None, sets).map_err(ViewError::at("give capabilities up"))?;
        }
        maker.make(ViewPlan { places: vec![], kept: vec![], directory: "/".into() })?;
        Ok((launcher, maker))
    }
}

/// Let this process and its children live in a user namespace, as who they are.
fn enter_user_namespace() -> Result<(), ViewError> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    // SAFETY: this process has one thread, else the call fails; the table of descriptors stays.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER) }
        .map_err(ViewError::at("make a user namespace"))?;
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{user} {user} 1")),
        ("gid_map", format!("{group} {group} 1")),
    ] {
        let path = format!("/proc/self/{file}");
        fs::write(&path, text).map_err(ViewError::io(format!("write {path}")))?;
    }
    Ok(())
}

/// Whether this is the map of the user namespace in which everything begins.
fn is_initial(uid_map: &[u8]) -> bool {
    let words = uid_map.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    words.eq([&b"0"[..], b"0", b"4294967295"])
}

fn serve(wishes: &Receiver<Wish>, is_in_user_namespace: bool) {
    for (plan, answer) in wishes {
        // In a thread of its own: the next view must not begin with the mounts of this one.
        let view = std::thread::scope(|scope| {
            let made = std::thread::Builder::new()
                .name("shim-view".to_owned())
                .spawn_scoped(scope, || make(&plan, is_in_user_namespace))
                .map_err(ViewError::io("start a thread that mounts"))?;
            let ended = || io::Error::other("the thread that mounts ended early");
            made.join().unwrap_or_else(|_| Err(ViewError::io("make a view")(ended())))
        });
        // Whoever asked waits.
        let _ = answer.send(view);
    }
}

/// Make a view, of which the calling thread becomes part.
fn make(plan: &ViewPlan, is_in_user_namespace: bool) -> Result<View, ViewError> {
    // SAFETY: this thread ends soon and uses no path before; the table of descriptors stays.
    unsafe { unshare_unsafe(UnshareFlags::FS | UnshareFlags::NEWNS) }
        .map_err(ViewError::at("make a mount namespace"))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(ViewError::at("keep mounts to a namespace"))?;
    // All sources before any of them is hidden.
    let mut mounts = Vec::new();
    for place in &plan.places {
        let mount = match &place.shows {
            Shows::Folder(folder) => tree(folder)?,
            Shows::Overlay { upper, work } => {
                overlay(&place.path, upper, work, is_in_user_namespace)?
            }
        };
        mounts.push((&place.path, mount));
    }
    let is_hidden = |path: &Path| {
        let hides = |place: &&Place| {
            matches!(place.shows, Shows::Folder(_)) && path.starts_with(&place.path)
        };
        plan.places.iter().any(|place| hides(&place))
    };
    let kept = plan.kept.iter().filter(|path| is_hidden(path));
    let kept: Vec<_> =
        kept.map(|path| Ok((path, path.is_dir(), tree(path)?))).collect::<Result<_, _>>()?;
    for (path, mount) in &mounts {
        attach(mount, path)?;
    }
    for (path, is_folder, mount) in &kept {
        make_mount_point(path, *is_folder)
            .map_err(ViewError::io(format!("make a place for {}", path.display())))?;
        attach(mount, path)?;
    }
    let open = |path: &Path, flags| {
        rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
            .map_err(ViewError::at(format!("open {}", path.display())))
    };
    let folder = OFlags::PATH | OFlags::DIRECTORY;
    Ok(View {
        namespace: open(Path::new("/proc/thread-self/ns/mnt"), OFlags::RDONLY)?,
        root: open(Path::new("/"), folder)?,
        directory: open(&plan.directory, folder)?,
    })
}

/// What is at `path`, to be attached somewhere else.
fn tree(path: &Path) -> Result<OwnedFd, ViewError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, path, flags).map_err(ViewError::at(format!("show {}", path.display())))
}

/// The folder `lower` with changes in `upper`.
fn overlay(
    lower: &Path,
    upper: &Path,
    work: &Path,
    is_in_user_namespace: bool,
) -> Result<OwnedFd, ViewError> {
    let try_it = || {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&context, "source", "overlay")?;
        for (key, path) in [("lowerdir", lower), ("upperdir", upper), ("workdir", work)] {
            fsconfig_set_string(&context, key, path)?;
        }
        if is_in_user_namespace {
            fsconfig_set_flag(&context, "userxattr")?;
        }
        fsconfig_create(&context)?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
    };
    try_it().map_err(ViewError::at(format!(
        "lay {} over {} (a data directory that is itself on an overlay, as in a container, cannot be an upper layer)",
        upper.display(),
        lower.display(),
    )))
}

fn attach(mount: &OwnedFd, path: &Path) -> Result<(), ViewError> {
    move_mount(mount, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(ViewError::at(format!("mount at {}", path.display())))
}

/// Something on which can be mounted.
fn make_mount_point(path: &Path, is_folder: bool) -> io::Result<()> {
    if is_folder {
        return fs::create_dir_all(path);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    File::options().create(true).append(true).open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_user_namespace_is_known_by_its_map() {
        assert!(is_initial(b"         0          0 4294967295\n"));
        assert!(!is_initial(b"      1000       1000          1\n"));
        assert!(!is_initial(b""));
    }
}
