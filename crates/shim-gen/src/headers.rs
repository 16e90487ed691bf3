//! The C headers of both libraries, from the files of their C boundaries, by cbindgen.
//!
//! The files of `src/capi/` (one header each) and of `crates/shim-supervisor-c/src/` (two headers) in, header texts out.
//! Always true: each header compiles alone, in C from C99 and in C++ from C++11 on; declarations stand in the order of
//! the files that are named here, and within a file in its order; `boot.rs` has no header, because its functions are
//! private. The texts that do not come from the boundary are in [`crate::fixed`].

use std::io;
use std::path::Path;

use cbindgen::{Builder, Config, DocumentationStyle, Language, SortKey, Style};

use crate::files::Made;
use crate::fixed;

/// A library with headers.
pub struct Library {
    /// Its name, and what the linker is asked for.
    pub name: &'static str,
    /// What it is for: the line of the section LIBRARY of its pages.
    pub purpose: &'static str,
    /// The page of its concepts, in section 7.
    pub concepts: &'static str,
    /// Where its boundary is.
    pub folder: &'static str,
    /// What cbindgen calls types and C does not.
    types: &'static [(&'static str, &'static str)],
}

const GUEST: Library = Library {
    name: "libshim",
    purpose: "C interface of a simulation's guests",
    concepts: "shim",
    folder: "src/capi/",
    types: &[],
};

const SUPERVISOR: Library = Library {
    name: "libshim-supervisor",
    purpose: "Simulations with real programs, in C",
    concepts: "shim-supervisor",
    folder: "crates/shim-supervisor-c/src/",
    types: &[
        ("Simulation", "shimsup_simulation"),
        ("Command", "shimsup_command"),
        ("BareHost", "shimsup_host"),
        ("Guest", "shimsup_guest"),
        ("Host", "shimhost"),
        ("Config", "shimhost_config"),
        ("Record", "shimhost_record"),
    ],
};

/// A header: its name, the sentence that opens it, where its declarations come from, what stands before and behind them.
struct Header {
    library: &'static Library,
    name: &'static str,
    title: &'static str,
    /// Behind the title, for whoever reads the header first.
    introduction: &'static str,
    /// Files of the library's folder, without their ending.
    files: &'static [&'static str],
    /// Headers of ours that it includes.
    includes: &'static [&'static str],
    macros: fn() -> String,
    /// What stands behind them.
    tail: &'static str,
}

/// A header of the guest's, made from the file of its name.
const fn guest(name: &'static str, title: &'static str, files: &'static [&'static str]) -> Header {
    Header {
        library: &GUEST,
        name,
        title,
        introduction: "",
        files,
        includes: &["shim/export.h"],
        macros: String::new,
        tail: "",
    }
}

/// The generated headers, those of `shim.h` in the order in which it includes them.
const HEADERS: &[Header] = &[
    Header {
        macros: fixed::version_macros,
        ..guest("version", "Which library this is, and which one is loaded.", &["version"])
    },
    Header {
        macros: fixed::c_library_types,
        ..guest(
            "api",
            "System calls as the guest makes them, names and interfaces, simulated time.",
            &["api"],
        )
    },
    Header {
        tail: fixed::NATIVE_SECTION,
        ..guest("native", "Past the simulation and back, for one thread.", &["native"])
    },
    guest(
        "shmem",
        "What a guest can read about itself, its machine and the simulation.",
        &["shmem"],
    ),
    guest(
        "thread",
        "The end of a thread, for code that ends threads without its C library.",
        &["thread"],
    ),
    guest("log", "Records of the program's own in the log of the run.", &["log"]),
    Header {
        library: &SUPERVISOR,
        name: "supervisor",
        title: "Real programs as guests of a simulator in C: simulations, bare hosts, guests and what they ask.",
        introduction: fixed::SUPERVISOR_INTRODUCTION,
        files: &[
            "error",
            "simulation",
            "command",
            "bare",
            "bare/settings",
            "guest",
            "guest/launch",
            "guest/events",
            "guest/answers",
            "guest/memory",
            "guest/signals",
            "guest/told",
        ],
        includes: &["shim/export.h", "shim/version.h"],
        macros: String::new,
        tail: "",
    },
    Header {
        library: &SUPERVISOR,
        name: "host",
        title: "One simulated machine, its kernel and its guests, as a unit that an event loop steps.",
        introduction: fixed::HOST_INTRODUCTION,
        files: &[
            "host",
            "host/config",
            "host/tuning",
            "host/unit",
            "host/packets",
            "host/processes",
            "host/account",
            "host/records",
        ],
        includes: &["shim/export.h", "shim/supervisor.h"],
        macros: String::new,
        tail: "",
    },
];

/// The library that a header belongs to.
pub fn library_of(header: &str) -> &'static Library {
    let is_it = |it: &&Header| header == format!("shim/{}.h", it.name);
    HEADERS.iter().find(is_it).map_or(&GUEST, |header| header.library)
}

/// All headers, the umbrella and the macros included.
pub fn all(root: &Path) -> io::Result<Vec<Made>> {
    let mut made = vec![
        Made { path: "include/shim/shim.h".into(), text: umbrella() },
        Made { path: "include/shim/export.h".into(), text: fixed::EXPORT.into() },
    ];
    for header in HEADERS {
        made.push(Made {
            path: format!("include/shim/{}.h", header.name),
            text: generate(root, header)?,
        });
    }
    Ok(made)
}

fn umbrella() -> String {
    let guests = HEADERS.iter().filter(|header| header.library.name == GUEST.name);
    let includes: String =
        guests.map(|header| format!("#include \"shim/{}.h\"\n", header.name)).collect();
    fixed::UMBRELLA.replace("@INCLUDES@\n", &includes)
}

fn generate(root: &Path, header: &Header) -> io::Result<String> {
    let folder = header.library.folder;
    let sources = header.files.iter().map(|file| root.join(format!("{folder}{file}.rs")));
    let builder = sources.fold(Builder::new().with_config(config(header)), Builder::with_src);
    let bindings = builder
        .generate()
        .map_err(|error| io::Error::other(format!("{folder}, {}.h: {error}", header.name)))?;
    let mut bytes = Vec::new();
    bindings.write(&mut bytes);
    let text = String::from_utf8(bytes).map_err(io::Error::other)?;
    // cbindgen's own trailer would stand behind the end of the include guard.
    let end = text.rfind("#endif").expect("an include guard ends with it");
    Ok(format!("{}{}{}", &text[..end], header.tail, &text[end..]))
}

fn config(header: &Header) -> Config {
    let mut config = Config {
        language: Language::C,
        cpp_compat: true,
        style: Style::Both,
        documentation_style: DocumentationStyle::Doxy,
        sort_by: SortKey::None,
        line_length: 90,
        tab_width: 4,
        no_includes: true,
        usize_is_size_t: true,
        header: Some(format!(
            "/* {} */\n\n{}",
            header.title,
            fixed::generated(header.library.folder, header.introduction)
        )),
        include_guard: Some(format!("SHIM_{}_H", header.name.to_uppercase())),
        sys_includes: vec!["stdbool.h".into(), "stddef.h".into(), "stdint.h".into()],
        includes: header.includes.iter().map(|name| name.to_string()).collect(),
        ..Config::default()
    };
    let macros = (header.macros)();
    config.after_includes = (!macros.is_empty()).then_some(macros);
    for name in fixed::C_LIBRARY_TYPES {
        config.export.rename.insert(name.to_string(), format!("struct {name}"));
    }
    for (ours, theirs) in header.library.types {
        config.export.rename.insert(ours.to_string(), theirs.to_string());
    }
    config.function.prefix = Some("SHIM_API".into());
    config.function.must_use = Some("SHIM_NODISCARD".into());
    config.function.no_return = Some("SHIM_NORETURN".into());
    config.function.deprecated = Some("SHIM_DEPRECATED(\"\")".into());
    config.function.deprecated_with_note = Some("SHIM_DEPRECATED({})".into());
    config
}
