//! The C headers: one per file of the C boundary, by cbindgen.
//!
//! The files of `src/capi/` in, header texts out. Always true: each header compiles alone, in C from
//! C99 and in C++ from C++11 on, and its name is its boundary file's; `boot.rs` has no header, because
//! its functions are private. The texts that do not come from the boundary are in [`crate::fixed`].

use std::io;
use std::path::Path;

use cbindgen::{Builder, Config, DocumentationStyle, Language, SortKey, Style};

use crate::files::Made;
use crate::fixed;

/// A header: its name, the sentence that opens it, what stands before and behind its declarations.
struct Header {
    name: &'static str,
    title: &'static str,
    macros: fn() -> String,
    /// What stands behind them.
    tail: &'static str,
}

/// The generated headers, in the order in which `shim.h` includes them.
const HEADERS: &[Header] = &[
    Header {
        name: "version",
        title: "Which library this is, and which one is loaded.",
        macros: fixed::version_macros,
        tail: "",
    },
    Header {
        name: "api",
        title: "System calls as the guest makes them, names and interfaces, simulated time.",
        macros: fixed::c_library_types,
        tail: "",
    },
    Header {
        name: "native",
        title: "Past the simulation and back, for one thread.",
        macros: String::new,
        tail: fixed::NATIVE_SECTION,
    },
    Header {
        name: "shmem",
        title: "What a guest can read about itself, its machine and the simulation.",
        macros: String::new,
        tail: "",
    },
    Header {
        name: "thread",
        title: "The end of a thread, for code that ends threads without its C library.",
        macros: String::new,
        tail: "",
    },
    Header {
        name: "log",
        title: "Records of the program's own in the log of the run.",
        macros: String::new,
        tail: "",
    },
];

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
    let includes: String =
        HEADERS.iter().map(|header| format!("#include \"shim/{}.h\"\n", header.name)).collect();
    fixed::UMBRELLA.replace("@INCLUDES@\n", &includes)
}

fn generate(root: &Path, header: &Header) -> io::Result<String> {
    let source = root.join(format!("src/capi/{}.rs", header.name));
    let bindings = Builder::new()
        .with_config(config(header))
        .with_src(&source)
        .generate()
        .map_err(|error| io::Error::other(format!("src/capi/{}.rs: {error}", header.name)))?;
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
        header: Some(format!("/* {} */\n\n{}", header.title, fixed::GENERATED)),
        include_guard: Some(format!("SHIM_{}_H", header.name.to_uppercase())),
        sys_includes: vec!["stdbool.h".into(), "stddef.h".into(), "stdint.h".into()],
        includes: vec!["shim/export.h".into()],
        ..Config::default()
    };
    let macros = (header.macros)();
    config.after_includes = (!macros.is_empty()).then_some(macros);
    for name in fixed::C_LIBRARY_TYPES {
        config.export.rename.insert(name.to_string(), format!("struct {name}"));
    }
    config.function.prefix = Some("SHIM_API".into());
    config.function.must_use = Some("SHIM_NODISCARD".into());
    config.function.no_return = Some("SHIM_NORETURN".into());
    config.function.deprecated = Some("SHIM_DEPRECATED(\"\")".into());
    config.function.deprecated_with_note = Some("SHIM_DEPRECATED({})".into());
    config
}
