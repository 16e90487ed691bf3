//! What to run, and how it is written down for the launcher.
//!
//! A [`Command`] in, a memory file with all its strings out. Always true: the environment gets
//! exactly two variables more, at its front, and everything else stays in its order (a preload variable of
//! the guest's own under another name, until its image has started);
//! the pointer tables of the file hold offsets, which the launcher turns into addresses where it maps
//! the file. Searching for the program is not here (`resolve`).

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::fcntl_dupfd_cloexec;
use shim_abi::handoff::{HANDOFF_VARIABLE, HIDDEN_PRELOAD_VARIABLE, PRELOAD_VARIABLE};

use crate::region::memory_file;
use crate::views::View;

/// A program to start as a guest.
#[derive(Debug)]
pub struct Command {
    /// The program's file, as for execve(2); a relative path starts at `cwd`.
    pub program: CString,
    /// Its arguments, the zeroth first.
    pub argv: Vec<CString>,
    /// Its environment: strings `NAME=value`.
    pub env: Vec<CString>,
    /// Its working directory; `None`: the one that the simulator has at that moment.
    pub cwd: Option<PathBuf>,
    /// What it sees of the file system, and its working directory instead of `cwd`; `None`: what the simulator sees.
    pub view: Option<Arc<View>>,
    /// Its standard input, output and error. `None`: closed.
    pub stdio: [Option<OwnedFd>; 3],
}

impl Command {
    /// Run `program` with itself as the only argument, no environment and closed standard streams.
    pub fn new(program: CString) -> Command {
        Command {
            argv: vec![program.clone()],
            program,
            env: Vec::new(),
            cwd: None,
            view: None,
            stdio: [None, None, None],
        }
    }

    /// Take over the environment that this process has now.
    pub fn inherit_environment(&mut self) -> &mut Command {
        self.env = std::env::vars_os()
            .filter_map(|(name, value)| {
                let mut bytes = name.into_vec();
                bytes.push(b'=');
                bytes.extend_from_slice(value.as_bytes());
                CString::new(bytes).ok()
            })
            .collect();
        self
    }

    /// Take over the standard streams that this process has now; a closed one stays closed.
    pub fn inherit_stdio(&mut self) -> io::Result<&mut Command> {
        self.stdio = [duplicate(io::stdin())?, duplicate(io::stdout())?, duplicate(io::stderr())?];
        Ok(self)
    }

    /// The environment with the two variables that a guest needs.
    pub(crate) fn environment(&self, libraries: &OsStr, handoff_fd: u32) -> Vec<CString> {
        let mut preload = Vec::from(PRELOAD_VARIABLE);
        preload.push(b'=');
        preload.extend_from_slice(libraries.as_bytes());
        // Of several, the dynamic linkers use the last.
        let own = self.env.iter().rev().find_map(|entry| value_of(entry, PRELOAD_VARIABLE));
        if let Some(own) = own.filter(|own| !own.is_empty()) {
            preload.push(b':');
            preload.extend_from_slice(own);
        }
        let added = [preload, format!("{HANDOFF_VARIABLE}={handoff_fd}").into_bytes()];
        let kept = self.env.iter().filter(|entry| value_of(entry, HANDOFF_VARIABLE).is_none());
        // Neither a path nor a C string holds a NUL, so nothing is dropped here.
        added
            .into_iter()
            .chain(kept.map(|entry| hide_preload(entry)))
            .filter_map(|entry| CString::new(entry).ok())
            .collect()
    }
}

/// The guest's own preload variable under the name that its image renames back, so that it stands where
/// it stood; any other entry as it is.
fn hide_preload(entry: &CStr) -> Vec<u8> {
    match value_of(entry, PRELOAD_VARIABLE) {
        Some(own) => [HIDDEN_PRELOAD_VARIABLE.as_bytes(), b"=", own].concat(),
        None => entry.to_bytes().to_vec(),
    }
}

fn duplicate(stream: impl std::os::fd::AsFd) -> io::Result<Option<OwnedFd>> {
    match fcntl_dupfd_cloexec(stream, 3) {
        Ok(fd) => Ok(Some(fd)),
        Err(rustix::io::Errno::BADF) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn value_of<'a>(entry: &'a CStr, name: &str) -> Option<&'a [u8]> {
    entry.to_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

/// All strings of a command in one memory file.
pub(crate) struct Strings {
    pub(crate) file: OwnedFd,
    pub(crate) len_bytes: u32,
    /// Words of the two tables at the file's start: argv, 0, envp, 0.
    pub(crate) table_words: u32,
    /// Which of them envp begins with.
    pub(crate) envp_word: u32,
    /// Where the program's path stands.
    pub(crate) program_offset: u32,
}

impl Strings {
    pub(crate) fn write(program: &CStr, argv: &[CString], env: &[CString]) -> io::Result<Strings> {
        let table_words = argv.len() + 1 + env.len() + 1;
        let mut bytes = vec![0; table_words * 8];
        let lists = [(0, argv), (argv.len() + 1, env)];
        for (first_word, list) in lists {
            for (i, string) in list.iter().enumerate() {
                let offset = bytes.len() as u64;
                let word = (first_word + i) * 8;
                bytes[word..word + 8].copy_from_slice(&offset.to_le_bytes());
                bytes.extend_from_slice(string.as_bytes_with_nul());
            }
        }
        let program_offset = bytes.len();
        bytes.extend_from_slice(program.to_bytes_with_nul());
        let too_long = |_| io::Error::from_raw_os_error(libc::E2BIG);
        let len_bytes = u32::try_from(bytes.len()).map_err(too_long)?;
        let mut file = File::from(memory_file("shim-command")?);
        file.write_all(&bytes)?;
        Ok(Strings {
            file: file.into(),
            len_bytes,
            table_words: table_words as u32,
            envp_word: argv.len() as u32 + 1,
            program_offset: program_offset as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(env: &[&str]) -> Vec<String> {
        let mut command = Command::new(c"/bin/true".into());
        command.env = env.iter().map(|entry| CString::new(*entry).unwrap()).collect();
        command
            .environment(OsStr::new("/lib/libshim.so"), 7)
            .into_iter()
            .map(|entry| entry.into_string().unwrap())
            .collect()
    }

    #[test]
    fn two_variables_come_first_and_the_rest_stays() {
        let expected = ["LD_PRELOAD=/lib/libshim.so", "SHIM_HANDOFF_FD=7", "B=1", "A=2", "odd"];
        assert_eq!(environment(&["B=1", "A=2", "odd"]), expected);
    }

    #[test]
    fn a_preload_of_the_guests_own_is_appended_and_hidden() {
        let env = ["A=1", "LD_PRELOAD=/a.so", "LD_PRELOAD=/b.so /c.so", "SHIM_HANDOFF_FD=1"];
        let expected = [
            "LD_PRELOAD=/lib/libshim.so:/b.so /c.so",
            "SHIM_HANDOFF_FD=7",
            "A=1",
            "_D_PRELOAD=/a.so",
            "_D_PRELOAD=/b.so /c.so",
        ];
        assert_eq!(environment(&env), expected);
        let expected =
            ["LD_PRELOAD=/lib/libshim.so", "SHIM_HANDOFF_FD=7", "_D_PRELOAD=", "LD_PRELOADED=1"];
        assert_eq!(environment(&["LD_PRELOAD=", "LD_PRELOADED=1"]), expected);
    }
}
