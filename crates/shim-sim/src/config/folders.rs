//! Folders that are a host's own.
//!
//! The keys `private` and `overlay` in, [`Files`] out. Always true: each is a folder of this machine, without links in
//! its path, none is in another, and none hides what the host needs: its programs, devices, `/proc`. A list that
//! a host gives replaces that of the defaults. How it is done is `shim_supervisor::views`, where the folders
//! lie `output::directory`.

use std::path::{Path, PathBuf};

use super::document::Node;
use super::problem::{Place, Report};
use super::reader::{Mismatch, Reading, Section, list_of, text};
use super::scenario::Files;

type Listed = Vec<(PathBuf, Place)>;

/// What a host or the defaults say.
#[derive(Clone, Default)]
pub(super) struct Folders {
    private: Option<Listed>,
    overlay: Option<Listed>,
}

impl Folders {
    /// Read them; what is not given stays open.
    pub(super) fn read(shim: &Section<'_>, report: &mut Report) -> Folders {
        Folders {
            private: shim.optional("private", private, report),
            overlay: shim.optional("overlay", overlay, report),
        }
    }

    /// These, or those of `defaults` where nothing is given.
    pub(super) fn or(self, defaults: &Folders) -> Folders {
        Folders {
            private: self.private.or_else(|| defaults.private.clone()),
            overlay: self.overlay.or_else(|| defaults.overlay.clone()),
        }
    }

    pub(super) fn files(&self) -> Files {
        let sorted = |listed: &Option<Listed>| {
            let mut paths: Vec<_> = listed.iter().flatten().map(|(path, _)| path.clone()).collect();
            paths.sort_unstable();
            paths
        };
        Files { private: sorted(&self.private), overlay: sorted(&self.overlay) }
    }

    /// What speaks against them, for a run with this data directory and a host with these programs.
    pub(super) fn objections<'p>(
        &self,
        host: &str,
        data_directory: &Path,
        programs: impl Iterator<Item = &'p Path>,
    ) -> Vec<(Place, String)> {
        let mut objections = Vec::new();
        let all: Vec<_> = self.private.iter().chain(&self.overlay).flatten().collect();
        for (index, (path, place)) in all.iter().enumerate() {
            for (other, _) in &all[..index] {
                let what = match () {
                    () if path == other => format!("{} is named twice", path.display()),
                    () if path.starts_with(other) || other.starts_with(path) => {
                        format!(
                            "of {} and {} one contains the other",
                            other.display(),
                            path.display()
                        )
                    }
                    () => continue,
                };
                objections.push((
                    place.clone(),
                    format!("{what}, among the folders of the host '{host}'"),
                ));
            }
        }
        let data = real(data_directory);
        for (path, place) in all {
            if path.starts_with(&data) {
                let what = format!(
                    "{} lies in the data directory {}, where hosts have folders of their own already",
                    path.display(),
                    data.display()
                );
                objections.push((place.clone(), what));
            }
        }
        for (path, place) in self.overlay.iter().flatten() {
            if data.starts_with(path) {
                let what = format!(
                    "{} contains the data directory {}, where the changes to it are to lie: name another with \
                     --data-directory",
                    path.display(),
                    data.display()
                );
                objections.push((place.clone(), what));
            }
        }
        for program in programs {
            for (path, place) in self.private.iter().flatten() {
                if program.starts_with(path) || real(program).starts_with(path) {
                    let what = format!(
                        "{} is empty for the host '{host}', whose program {} lies in it: move the program, or make \
                         {} an overlay",
                        path.display(),
                        program.display(),
                        path.display()
                    );
                    objections.push((place.clone(), what));
                }
            }
        }
        objections
    }
}

fn private(node: &Node) -> Reading<Listed> {
    const EXPECTED: &str = "a list of folders such as [/tmp, /run, /dev/shm]";
    list_of(node, EXPECTED, |item| folder(item, EXPECTED))
}

fn overlay(node: &Node) -> Reading<Listed> {
    const EXPECTED: &str = "a list of folders such as [/etc]";
    list_of(node, EXPECTED, |item| {
        let (path, place) = folder(item, EXPECTED)?;
        // Linux takes the first for an end of the path, the others for something else.
        match path.as_os_str().as_encoded_bytes().iter().any(|byte| b",:\\".contains(byte)) {
            true => Err(Mismatch::because(EXPECTED, "its path cannot contain , : or \\")),
            false => Ok((path, place)),
        }
    })
}

fn folder(node: &Node, expected: &str) -> Reading<(PathBuf, Place)> {
    const NEEDED: [&str; 3] = ["/proc", "/sys", "/dev"];
    let written = text(node, expected)?;
    let path = Path::new(&written);
    let because = |reason: String| Err(Mismatch::because(expected, reason));
    if !path.is_absolute() {
        return because(format!("'{written}' is not absolute"));
    }
    let real = match path.canonicalize() {
        Ok(real) if real.is_dir() => real,
        Ok(_) => return because(format!("'{written}' is not a folder")),
        Err(error) => return because(format!("'{written}' cannot be examined: {error}")),
    };
    let is_in = |above: &str| real.starts_with(above) && real != Path::new(above);
    if NEEDED.iter().any(|needed| Path::new(needed).starts_with(&real))
        || is_in("/proc")
        || is_in("/sys")
    {
        return because(format!("no program runs without what is in {}", real.display()));
    }
    match real.to_str() {
        Some(_) => Ok((real, node.place.clone())),
        None => because(format!("'{written}' leads to a path that is no text")),
    }
}

/// `path` without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    match there {
        Some((above, real)) => match path.strip_prefix(above) {
            Ok(rest) if rest.as_os_str().is_empty() => real,
            Ok(rest) => real.join(rest),
            Err(_) => path.to_owned(),
        },
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, parse};

    fn problems(shim: &str, data_directory: &str) -> String {
        let text = format!(
            "general: {{stop_time: 1 s, data_directory: {data_directory}}}\n\
             network: {{graph: {{type: 1_gbit_switch}}}}\n\
             host_option_defaults: {{shim: {{private: [/var/tmp]}}}}\n\
             hosts:\n  a:\n    network_node_id: 0\n    shim: {shim}\n    processes: [{{path: /bin/sh}}]\n"
        );
        match parse(Path::new("x.yaml"), &text, &Overrides::default()) {
            Ok((scenario, _)) => format!("{:?}", scenario.hosts[0].files),
            Err(problems) => problems.iter().map(|one| format!("{one}\n")).collect(),
        }
    }

    #[test]
    fn lists_of_a_host_replace_those_of_the_defaults() {
        let expect = |private: &str, overlay: &str| {
            format!("Files {{ private: [{private}], overlay: [{overlay}] }}")
        };
        assert_eq!(problems("{}", "/nonexistent/data"), expect("\"/var/tmp\"", ""));
        assert_eq!(problems("{overlay: [/etc/]}", "/x"), expect("\"/var/tmp\"", "\"/etc\""));
        assert_eq!(problems("{private: []}", "/x"), expect("", ""));
    }

    #[test]
    fn what_hides_too_much_is_refused() {
        let table = [
            ("{private: tmp}", "a list of folders"),
            ("{private: [tmp]}", "'tmp' is not absolute"),
            ("{private: [/no/such]}", "'/no/such' cannot be examined"),
            ("{private: [/etc/passwd]}", "is not a folder"),
            ("{private: [/dev]}", "no program runs without"),
            ("{private: [/]}", "no program runs without"),
            ("{overlay: [/proc/self]}", "no program runs without"),
            ("{private: [/usr/bin, /usr/bin/]}", "is named twice"),
            ("{private: [/usr/lib], overlay: [/usr]}", "one contains the other"),
            ("{private: [/usr]}", "whose program /bin/sh lies in it"),
            ("{overlay: [/usr]}", "contains the data directory /usr/data"),
        ];
        for (shim, expected) in table {
            let told = problems(shim, "/usr/data");
            assert!(told.contains(expected), "{shim}: {told}");
        }
        let told = problems("{private: [/usr/lib]}", "/usr");
        assert!(told.contains("lies in the data directory /usr"), "{told}");
    }
}
