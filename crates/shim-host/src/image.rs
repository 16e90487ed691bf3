//! Whether a program can become a guest: found out before it runs.
//!
//! A path in, and how the program sees the file system; nothing or the reason against it out. Always true: a program that the dynamic linker would
//! not load our library into is refused by name, because it would run outside the simulation, in real
//! time; what is broken in any other way is left to execve(2), whose error is the true one. The same question
//! about a guest's own execve is the shim's.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::read::ReadCache;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, elf};
use shim_supervisor::View;

/// Why a program cannot become a guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsuitable {
    /// The program, or the interpreter of a script.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for Unsuitable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be a guest: {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for Unsuitable {}

const STATIC: &str = "it is statically linked, so libshim.so cannot be loaded into it; use a dynamically linked build";
const FOREIGN: &str = "it is not a 64-bit x86 program";

/// Look at the program `path`, and at the interpreters if it is a script, as `view` shows them.
pub fn check(path: &Path, view: Option<&View>) -> Result<(), Unsuitable> {
    // As deep as Linux goes.
    const MAX_INTERPRETERS: usize = 5;
    let mut path = path.to_owned();
    for _ in 0..MAX_INTERPRETERS {
        // What cannot be read cannot be judged: execve(2) says more.
        let Ok(mut file) = open(&path, view) else { return Ok(()) };
        let Ok(start) = first_bytes(&mut file) else { return Ok(()) };
        if let Some(interpreter) = interpreter(&start) {
            path = interpreter.to_owned();
            continue;
        }
        if !start.starts_with(b"\x7fELF") {
            return Ok(());
        }
        return match why_not(&start, file) {
            Some(reason) => Err(Unsuitable { path, reason }),
            None => Ok(()),
        };
    }
    Ok(())
}

/// Whether the program `path` is neither a binary nor a script that names its interpreter: execve(2)
/// refuses it, and shells and execvp(3) then hand it to `/bin/sh`.
pub fn needs_shell(path: &Path) -> bool {
    let start = File::open(path).and_then(|mut file| first_bytes(&mut file));
    start.is_ok_and(|start| !start.starts_with(b"#!") && !start.starts_with(b"\x7fELF"))
}

/// The interpreter that the script `path` names, if it is a script and there is no such interpreter.
pub fn missing_interpreter(path: &Path, view: Option<&View>) -> Option<PathBuf> {
    let start = open(path, view).and_then(|mut file| first_bytes(&mut file)).ok()?;
    let interpreter = interpreter(&start)?;
    let is_missing = interpreter.is_absolute() && open(interpreter, view).is_err();
    is_missing.then(|| interpreter.to_owned())
}

fn open(path: &Path, view: Option<&View>) -> io::Result<File> {
    match view {
        Some(view) => view.open(path),
        None => File::open(path),
    }
}

fn first_bytes(file: &mut File) -> io::Result<Vec<u8>> {
    // The longest first line that Linux looks at.
    const LEN: u64 = 256;
    let mut bytes = Vec::new();
    file.take(LEN).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The interpreter in a script's first line.
fn interpreter(start: &[u8]) -> Option<&Path> {
    let line = start.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let word = line.trim_ascii_start().split(is_blank).next()?;
    (!word.is_empty()).then(|| Path::new(std::ffi::OsStr::from_bytes(word)))
}

fn why_not(start: &[u8], file: File) -> Option<&'static str> {
    const CLASS: usize = 4;
    if start.get(CLASS) != Some(&elf::ELFCLASS64.0) {
        return Some(FOREIGN);
    }
    let data = ReadCache::new(file);
    let header = elf::FileHeader64::<Endianness>::parse(&data).ok()?;
    let endian = header.endian().ok()?;
    if header.e_machine(endian) != elf::EM_X86_64 {
        return Some(FOREIGN);
    }
    let segments = header.program_headers(endian, &data).ok()?;
    let has_interpreter = segments.iter().any(|segment| segment.p_type(endian) == elf::PT_INTERP);
    // A dynamic linker that is run as a program has no interpreter, but a name, and loads us.
    let is_linker = segments
        .iter()
        .filter_map(|segment| segment.dynamic(endian, &data).ok().flatten())
        .any(|dynamic| dynamic.iter().any(|entry| entry.d_tag(endian) == elf::DT_SONAME));
    if has_interpreter || is_linker { None } else { Some(STATIC) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dynamic_programs_and_their_scripts_are_suitable() {
        assert_eq!(check(&std::env::current_exe().unwrap(), None), Ok(()));
        assert_eq!(check(Path::new("/lib64/ld-linux-x86-64.so.2"), None), Ok(()));
        assert_eq!(check(Path::new("/nonexistent"), None), Ok(()));
        assert_eq!(check(Path::new("/etc/passwd"), None), Ok(()));
        assert!(needs_shell(Path::new("/etc/passwd")));
        assert!(!needs_shell(&std::env::current_exe().unwrap()));
        assert!(!needs_shell(Path::new("/nonexistent")));
    }

    #[test]
    fn interpreters_are_read_from_the_first_line() {
        let path = |line: &'static [u8]| interpreter(line).and_then(Path::to_str);
        assert_eq!(path(b"#!/bin/sh\n#!/x"), Some("/bin/sh"));
        assert_eq!(path(b"#! \t/usr/bin/env python3\n"), Some("/usr/bin/env"));
        assert_eq!(path(b"#!/bin/sh"), Some("/bin/sh"));
        assert_eq!(path(b"#!\n/bin/sh"), None);
        assert_eq!(path(b"\x7fELF"), None);
    }

    #[test]
    fn the_interpreter_of_a_script_is_named_if_it_is_missing() {
        let script = std::env::temp_dir().join(format!("shim-script-{}", std::process::id()));
        std::fs::write(&script, "#!/nonexistent/sh -e\n").unwrap();
        let interpreter = missing_interpreter(&script, None);
        std::fs::remove_file(&script).unwrap();
        assert_eq!(interpreter.as_deref(), Some(Path::new("/nonexistent/sh")));
        assert_eq!(missing_interpreter(&std::env::current_exe().unwrap(), None), None);
        assert_eq!(missing_interpreter(Path::new("/nonexistent"), None), None);
    }

    /// The smallest ELF file that is a static program, and what a change of one byte makes of it.
    #[test]
    fn static_and_foreign_programs_are_refused_by_name() {
        let mut bytes = vec![0; 64];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        bytes[16] = 2; // ET_EXEC
        bytes[18] = 62; // EM_X86_64
        bytes[20] = 1; // EV_CURRENT
        let folder = std::env::temp_dir().join(format!("shim-image-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let check_bytes = |bytes: &[u8]| {
            let path = folder.join("program");
            std::fs::write(&path, bytes).unwrap();
            let script = folder.join("script");
            std::fs::write(&script, format!("#!{}\n", path.display())).unwrap();
            let verdict = check(&path, None);
            assert_eq!(check(&script, None), verdict);
            verdict.map_err(|error| (error.path == path, error.reason))
        };
        let as_static = check_bytes(&bytes);
        bytes[18] = 183; // EM_AARCH64
        let as_foreign = check_bytes(&bytes);
        bytes[4] = 1; // ELFCLASS32
        let as_narrow = check_bytes(&bytes);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(as_static, Err((true, STATIC)));
        assert_eq!(as_foreign, Err((true, FOREIGN)));
        assert_eq!(as_narrow, Err((true, FOREIGN)));
    }
}
