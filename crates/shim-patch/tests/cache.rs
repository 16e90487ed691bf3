//! What is in the cache is believed only if it is right, and written whatever was there.
//!
//! Always true: a plan that comes from the cache is the plan that would have been made. Files are damaged and
//! cut (in every way: the unit test in the module), belong to somebody else, and are written by many at once.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use shim_patch::cache::{Cache, name_of};
use shim_patch::elf::Elf;
use shim_patch::plan::{Plan, Way};

/// A file to plan: small, and full of sites.
fn library() -> Vec<u8> {
    let path = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-x86-64.so.2"];
    let path = path.iter().find(|path| Path::new(path).exists()).expect("a dynamic linker");
    fs::read(path).expect("it can be read")
}

struct Folder {
    parent: tempfile::TempDir,
    file: PathBuf,
}

impl Folder {
    fn new(elf: &Elf<'_>) -> Folder {
        let parent = tempfile::tempdir().expect("a folder for the test");
        let file = parent.path().join("shim").join(name_of(elf));
        Folder { parent, file }
    }
    fn cache(&self) -> Cache {
        Cache::in_folder(self.parent.path())
    }
}

#[test]
fn a_plan_is_made_once() {
    let bytes = library();
    let elf = Elf::parse(&bytes).expect("it is a library");
    let folder = Folder::new(&elf);
    let plan = Plan::of(&elf);
    assert!(plan.sites.iter().any(|site| matches!(site.way, Way::Before(_))));
    assert_eq!(folder.cache().plan(&elf), (plan.clone(), false));
    assert_eq!(folder.cache().plan(&elf), (plan.clone(), true));
    assert_eq!(fs::metadata(&folder.file).expect("it is there").mode() & 0o777, 0o600);
    let names: Vec<_> = fs::read_dir(folder.parent.path().join("shim")).expect("it is").collect();
    assert_eq!(names.len(), 1, "nothing but the file: {names:?}");

    // Another content is another plan, even if it is a file that has the same build-id.
    let mut changed = bytes.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    let changed = Elf::parse(&changed).expect("it is a library still");
    assert_eq!(changed.build_id, elf.build_id);
    assert!(!folder.cache().plan(&changed).1);
}

#[test]
fn what_is_old_goes_when_something_is_written() {
    let bytes = library();
    let elf = Elf::parse(&bytes).expect("it is a library");
    let folder = Folder::new(&elf);
    let place = folder.parent.path().join("shim");
    fs::create_dir_all(&place).expect("the folder is ours");
    let age = |name: &str, days: u64| {
        let path = place.join(name);
        let file = fs::File::create(&path).expect("the folder is ours");
        let then = SystemTime::now() - Duration::from_secs(days * 86_400);
        file.set_modified(then).expect("it is ours");
        path
    };
    let (old, new) = (age("old.image", 61), age("new.image", 59));
    folder.cache().plan(&elf);
    assert_eq!([old, new, folder.file].map(|path| path.exists()), [false, true, true]);
}

#[test]
fn damage_is_noticed_and_mended() {
    let bytes = library();
    let elf = Elf::parse(&bytes).expect("it is a library");
    let folder = Folder::new(&elf);
    let plan = folder.cache().plan(&elf).0;
    let good = fs::read(&folder.file).expect("it was written");
    let mut damaged: Vec<Vec<u8>> =
        (0..good.len()).step_by(good.len() / 20).map(|len| good[..len].to_vec()).collect();
    damaged.extend((0..good.len()).step_by(good.len() / 20).map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        bytes
    }));
    damaged.push([good.as_slice(), &[0]].concat());
    for bytes in damaged {
        fs::write(&folder.file, &bytes).expect("it can be damaged");
        assert_eq!(folder.cache().plan(&elf), (plan.clone(), false), "{} bytes", bytes.len());
        assert!(fs::read(&folder.file).expect("it is there") == good, "written anew");
    }
    assert!(folder.cache().plan(&elf).1);
}

#[test]
fn what_others_may_write_is_not_believed() {
    let bytes = library();
    let elf = Elf::parse(&bytes).expect("it is a library");
    let folder = Folder::new(&elf);
    let plan = folder.cache().plan(&elf).0;
    let inner = folder.parent.path().join("shim");
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    for bad in [0o620, 0o602] {
        mode(&folder.file, bad);
        assert_eq!(folder.cache().plan(&elf), (plan.clone(), false), "{bad:o}");
        assert!(folder.cache().plan(&elf).1, "written anew");
    }
    for bad in [0o720, 0o702] {
        mode(&inner, bad);
        assert!(!folder.cache().is_kept(), "{bad:o}");
        assert_eq!(folder.cache().plan(&elf), (plan.clone(), false));
    }
    mode(&inner, 0o700);
    assert!(folder.cache().plan(&elf).1);
    if fs::metadata(&inner).expect("it is there").uid() == 0 {
        chown(&folder.file, Some(1), None).expect("root can");
        assert!(!folder.cache().plan(&elf).1);
        chown(&inner, Some(1), None).expect("root can");
        assert!(!folder.cache().is_kept());
        chown(&inner, Some(0), None).expect("root can");
        chown(folder.parent.path(), Some(1), None).expect("root can");
        assert!(!folder.cache().is_kept(), "somebody else's home");
        chown(folder.parent.path(), Some(0), None).expect("root can");
    }

    // Links lead elsewhere.
    let elsewhere = folder.parent.path().join("elsewhere");
    fs::rename(&folder.file, &elsewhere).expect("it can be moved");
    symlink(&elsewhere, &folder.file).expect("it can be linked");
    assert!(!folder.cache().plan(&elf).1);
    assert!(fs::symlink_metadata(&folder.file).expect("it is there").is_file(), "replaced");
    fs::rename(&inner, &elsewhere).expect_err("a file is no folder");
    fs::remove_file(&elsewhere).expect("it is ours");
    fs::rename(&inner, &elsewhere).expect("it can be moved");
    symlink(&elsewhere, &inner).expect("it can be linked");
    assert!(!folder.cache().is_kept());
}

#[test]
fn without_a_place_nothing_is_kept() {
    let bytes = library();
    let elf = Elf::parse(&bytes).expect("it is a library");
    let cache = Cache::in_folder(Path::new("/proc/nothing"));
    assert!(!cache.is_kept());
    assert_eq!(cache.plan(&elf), (Plan::of(&elf), false));
    assert_eq!(Cache::none().plan(&elf), (Plan::of(&elf), false));
}

#[test]
fn many_write_and_read_at_once() {
    let bytes = library();
    let elf = Elf::parse(&bytes).expect("it is a library");
    let folder = Folder::new(&elf);
    let plan = Plan::of(&elf);
    let good = {
        folder.cache().plan(&elf);
        fs::read(&folder.file).expect("it was written")
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (elf, plan, folder, good) = (&elf, &plan, &folder, &good);
            scope.spawn(move || {
                for round in 0..20 {
                    if (round + thread) % 3 == 0 {
                        let _ = fs::remove_file(&folder.file);
                    }
                    assert_eq!(&folder.cache().plan(elf).0, plan);
                    if let Ok(found) = fs::read(&folder.file) {
                        assert!(&found == good, "complete or absent");
                    }
                }
            });
        }
    });
}
