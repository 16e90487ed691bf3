//! The data directory of a run, laid out as Shadow does.
//!
//! ```text
//! shim.data/
//!   processed-config.yaml   the configuration as it was understood
//!   shim.log                what the simulator and the guests had to say
//!   sim-stats.json          figures of the simulation: the same for every run
//!   wall-stats.json         figures of the run: the only file with wall-clock times
//!   hosts/<name>/           working directory of the host's processes
//!     <program>.<pid>.{stdout,stderr,exitcode,strace}
//!   private/<name>/         what the host has in folders of its own, each under its path
//! ```
//!
//! A path, a template and host names in, folders out. Always true: the directory was not there before, so
//! no run overwrites another; a template's files keep their modes and times. What is written into the
//! files is their writers' business.

use std::fmt;
use std::fs::{self, File, FileTimes, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use shim_supervisor::ViewPlan;
use shim_supervisor::views::{Place, Shows};

use crate::config::scenario::Host;

/// The file with the configuration as it was understood.
pub const PROCESSED_CONFIG: &str = "processed-config.yaml";
/// The file with the log lines.
pub const LOG: &str = "shim.log";
/// The file with the figures of the simulation.
pub const SIM_STATS: &str = "sim-stats.json";
/// The file with the figures of the run: the only one that differs between two runs.
pub const WALL_STATS: &str = "wall-stats.json";

/// Below it lie the folders that are a host's own.
const PRIVATE: &str = "private";

/// Why there is no data directory.
#[derive(Debug)]
pub enum DirectoryError {
    /// There is something in its place.
    Exists(PathBuf),
    /// It lies in the template, which would have to hold a copy of itself.
    InTemplate(PathBuf),
    /// This cannot be made or copied.
    Io(PathBuf, io::Error),
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DirectoryError::Exists(path) => write!(
                f,
                "the data directory {} exists already: remove it, or name another with --data-directory",
                path.display()
            ),
            DirectoryError::InTemplate(path) => write!(
                f,
                "the data directory {} lies in the template directory that is to be copied there",
                path.display()
            ),
            DirectoryError::Io(path, error) => write!(f, "cannot make {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for DirectoryError {}

/// A fresh data directory.
#[derive(Debug)]
pub struct DataDirectory(PathBuf);

impl DataDirectory {
    /// Make it, as a copy of `template` if there is one, with a folder for each host.
    pub fn create<'h>(
        path: &Path,
        template: Option<&Path>,
        hosts: impl IntoIterator<Item = &'h str>,
    ) -> Result<DataDirectory, DirectoryError> {
        if path.symlink_metadata().is_ok() {
            return Err(DirectoryError::Exists(path.to_owned()));
        }
        if template.is_some_and(|template| path.starts_with(template)) {
            return Err(DirectoryError::InTemplate(path.to_owned()));
        }
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| DirectoryError::Io(path, error)
        };
        fs::create_dir_all(path).map_err(at(path))?;
        if let Some(template) = template {
            copy(template, path)?;
        }
        let directory = DataDirectory(path.to_owned());
        for host in hosts {
            let folder = directory.host(host);
            fs::create_dir_all(&folder).map_err(at(&folder))?;
        }
        Ok(directory)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The folder of a host.
    pub fn host(&self, name: &str) -> PathBuf {
        self.0.join("hosts").join(name)
    }

    /// What the host sees of the file system beside this machine's, if it has folders of its own: they are made here,
    /// with the modes of those that they stand for. What is in `kept` it sees in any case.
    pub fn view(&self, host: &Host, kept: &[&Path]) -> Result<ViewPlan, DirectoryError> {
        let own = |path: &Path| {
            let below_root = path.strip_prefix("/").unwrap_or(path);
            let folder = self.0.join(PRIVATE).join(&host.name).join(below_root);
            make_like(path, &folder).map_err(|error| DirectoryError::Io(folder.clone(), error))?;
            Ok(folder)
        };
        let mut places = Vec::new();
        for path in &host.files.private {
            places.push(Place { path: path.clone(), shows: Shows::Folder(own(path)?) });
        }
        for (index, path) in host.files.overlay.iter().enumerate() {
            let work = self.work().join(&host.name).join(index.to_string());
            fs::create_dir_all(&work).map_err(|error| DirectoryError::Io(work.clone(), error))?;
            places.push(Place {
                path: path.clone(),
                shows: Shows::Overlay { upper: own(path)?, work },
            });
        }
        let directory = self.host(&host.name);
        // Links to files are seen as the files.
        let real = |path: &Path| match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) => folder
                .canonicalize()
                .map(|folder| folder.join(name))
                .map_err(|error| DirectoryError::Io(path.to_owned(), error)),
            _ => Ok(path.to_owned()),
        };
        let kept = kept.iter().copied().chain([directory.as_path()]);
        let kept = kept.map(real).collect::<Result<_, _>>()?;
        Ok(ViewPlan { places, kept, directory })
    }

    /// Remove what only the system needed for views, which must be gone.
    pub fn forget_views(&self) -> io::Result<()> {
        match remove(&self.work()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Remove it, because nothing has run.
    pub fn discard(&self) {
        // What cannot be removed is in the way of the next run, which says so.
        let _ = remove(&self.0);
    }

    /// Where overlays have their working folders.
    fn work(&self) -> PathBuf {
        self.0.join(PRIVATE).join(".work")
    }

    /// Write one of its files.
    pub fn write(&self, name: &str, content: &str) -> Result<(), DirectoryError> {
        let path = self.0.join(name);
        fs::write(&path, content).map_err(|error| DirectoryError::Io(path, error))
    }

    /// Begin one of its files.
    pub fn begin(&self, name: &str) -> Result<File, DirectoryError> {
        let path = self.0.join(name);
        File::create(&path).map_err(|error| DirectoryError::Io(path, error))
    }
}

/// Make `folder`, with the mode and, as far as we may, the owner of `original`.
fn make_like(original: &Path, folder: &Path) -> io::Result<()> {
    let metadata = original.metadata()?;
    fs::create_dir_all(folder)?;
    // Everybody's wish to have is the superuser's to grant.
    let _ = std::os::unix::fs::chown(folder, Some(metadata.uid()), Some(metadata.gid()));
    fs::set_permissions(folder, metadata.permissions())
}

/// Remove a tree, also where an overlay left folders that nobody may enter.
fn remove(path: &Path) -> io::Result<()> {
    if !path.symlink_metadata()?.is_dir() {
        return fs::remove_file(path);
    }
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        remove(&entry?.path())?;
    }
    fs::remove_dir(path)
}

/// Copy what is in `from` into `to`, which exists.
fn copy(from: &Path, to: &Path) -> Result<(), DirectoryError> {
    let mut waiting = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = waiting.pop() {
        let at = |error| DirectoryError::Io(to.clone(), error);
        for entry in fs::read_dir(&from).map_err(at)? {
            let entry = entry.map_err(at)?;
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            copy_one(&source, &target)
                .map_err(|error| DirectoryError::Io(target.clone(), error))?;
            if target.is_dir() && !target.is_symlink() {
                waiting.push((source, target));
            }
        }
    }
    Ok(())
}

/// Copy a file, a link, or a directory without its contents.
fn copy_one(source: &Path, target: &Path) -> io::Result<()> {
    let metadata = source.symlink_metadata()?;
    if metadata.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(source)?, target);
    }
    if metadata.is_dir() {
        fs::create_dir(target)?;
        return fs::set_permissions(target, metadata.permissions());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("neither a file nor a directory nor a link"));
    }
    fs::copy(source, target)?;
    let times =
        FileTimes::new().set_modified(metadata.modified()?).set_accessed(metadata.accessed()?);
    // A copy of a file that we may read but not write cannot be opened for its times any other way.
    File::open(target)?.set_times(times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_template_is_copied_whole_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let template = folder.path().join("template");
        let inner = template.join("hosts/alice");
        fs::create_dir_all(&inner).unwrap();
        fs::create_dir(template.join("empty")).unwrap();
        fs::write(inner.join("key"), "secret").unwrap();
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        File::options().write(true).open(inner.join("key")).unwrap().set_modified(old).unwrap();
        fs::set_permissions(inner.join("key"), fs::Permissions::from_mode(0o400)).unwrap();
        std::os::unix::fs::symlink("key", inner.join("link")).unwrap();

        let path = folder.path().join("a/data");
        let made = DataDirectory::create(&path, Some(&template), ["alice", "bob"]).unwrap();
        let copied = made.host("alice").join("key");
        assert_eq!(fs::read_to_string(&copied).unwrap(), "secret");
        assert_eq!(copied.metadata().unwrap().modified().unwrap(), old);
        assert_eq!(copied.metadata().unwrap().permissions().mode() & 0o777, 0o400);
        assert_eq!(fs::read_link(made.host("alice").join("link")).unwrap(), Path::new("key"));
        assert!(path.join("empty").is_dir());
        assert!(made.host("bob").is_dir());

        let error = DataDirectory::create(&path, None, []).unwrap_err().to_string();
        assert!(error.contains("exists already") && error.contains("--data-directory"), "{error}");
        let error = DataDirectory::create(&template.join("x"), Some(&template), []).unwrap_err();
        assert!(matches!(error, DirectoryError::InTemplate(_)), "{error}");
    }
}
