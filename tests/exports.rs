//! What `libshim.so` offers to the loader, and what it asks of it: nothing. And what the libraries beside it offer.
//!
//! The built libraries in, read by the tools of binutils; a list of what is wrong out. Always true: map,
//! headers and library name the same functions, and the guests' object needs no library, no symbol, no writable
//! text. Where `syscall` instructions may stand is recorded in `syscall-sites.list` beside; run with
//! `SHIM_BLESS=1` to record anew. What the functions do is tested elsewhere.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use shim_testkit::built::{built, library, root, supervisor};

/// What a tool says about the guests' library.
fn tool(program: &str, arguments: &[&str]) -> String {
    tool_about(library(), program, arguments)
}

/// What a tool says about a library.
fn tool_about(library: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(library)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("binutils write ASCII")
}

fn source(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The symbol maps of the libraries that have headers: for guests, and for simulators.
const MAPS: [&str; 2] = ["src/shim.map", "crates/shim-supervisor-c/src/supervisor.map"];
/// The headers of the library for simulators; all others are the guests'.
const SUPERVISOR_HEADERS: [&str; 2] = ["supervisor.h", "host.h"];

/// The headers of one of the libraries, by name.
fn headers(map: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join("include/shim")).expect("they are checked in");
    let names =
        entries.map(|it| it.expect("it can be read").file_name().to_string_lossy().into_owned());
    let is_supervisors = map == MAPS[1];
    names.filter(|it| SUPERVISOR_HEADERS.contains(&it.as_str()) == is_supervisors).collect()
}

/// The functions of a symbol map with their version: (name, node).
fn mapped(map: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let mut node = String::new();
    for line in source(map).lines().map(str::trim).filter(|l| !l.starts_with('#')) {
        if let Some(name) = line.strip_suffix(" {") {
            node = name.to_owned();
        } else if let Some(name) = line.strip_suffix(';').filter(|n| n.starts_with(['s', '_'])) {
            assert!(found.insert((name.to_owned(), node.clone())), "{name} is mapped twice");
        }
    }
    assert!(found.len() > 30, "{found:?}");
    found
}

/// What a library exports: (kind, name, version).
fn exported(library: &Path) -> Vec<(String, String, String)> {
    tool_about(library, "nm", &["-D", "--defined-only"])
        .lines()
        .map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let kind = words.next().unwrap_or_default().to_owned();
            let symbol = words.next().unwrap_or_default();
            let (name, version) = symbol.split_once('@').unwrap_or((symbol, ""));
            (kind, name.to_owned(), version.trim_start_matches('@').to_owned())
        })
        .filter(|(kind, ..)| kind != "A") // the nodes' own names
        .collect()
}

/// The functions that a library's headers declare.
fn declared(map: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in headers(map) {
        let text = source(&format!("include/shim/{name}"));
        let mut rest = without_comments(&text);
        // A declaration is `SHIM_API ... name(...);`, over one or more lines.
        while let Some(at) = rest.find("SHIM_API") {
            let line = rest[..at].lines().next_back().unwrap_or_default().to_owned();
            rest = rest[at + "SHIM_API".len()..].to_owned();
            if !line.trim_start().starts_with("#define") {
                let before = rest.split('(').next().unwrap_or_default();
                let name = before.split([' ', '\n', '*']).next_back().unwrap_or_default();
                found.insert(name.to_owned());
            }
        }
    }
    found
}

fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/*") {
        out.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    out + rest
}

/// What stands before the C library's functions: unversioned names, and nothing needed but libshim.
#[test]
fn the_interposer_exports_its_map_and_needs_libshim_only() {
    let file = built().library.with_file_name("libshim-preload.so.1").display().to_string();
    let say = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .arg(&file)
            .env("LC_ALL", "C")
            .output()
            .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
        String::from_utf8(output.stdout).expect("binutils write ASCII")
    };
    let exports = say("nm", &["-D", "--defined-only", "--format=just-symbols"]);
    let exports: BTreeSet<&str> = exports.lines().collect();
    let map = source("crates/shim-preload/src/preload.map");
    let mapped: BTreeSet<&str> = map
        .lines()
        .filter_map(|line| line.trim().strip_suffix(';'))
        .filter(|name| name.starts_with(|c: char| c.is_alphabetic()))
        .collect();
    assert_eq!(exports, mapped, "left: the library, right: its map");
    let dynamic = say("readelf", &["-dW"]);
    let needed: Vec<_> = dynamic.lines().filter(|line| line.contains("(NEEDED)")).collect();
    assert!(matches!(needed[..], [one] if one.contains("[libshim.so.1]")), "{needed:?}");
    for words in ["soname: [libshim-preload.so.1]", "runpath: [$ORIGIN]"] {
        assert!(dynamic.contains(words), "{words}: {dynamic}");
    }
    let undefined = say("nm", &["-D", "--undefined-only"]);
    let strange = undefined.lines().filter(|line| !line.contains(" w ") && !line.contains("shim_"));
    assert_eq!(strange.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn it_needs_no_library_and_no_symbol() {
    let dynamic = tool("readelf", &["-dW"]);
    assert!(!dynamic.contains("(NEEDED)"), "{dynamic}");
    let undefined = tool("nm", &["-D", "--undefined-only"]);
    let strong: Vec<_> = undefined.lines().filter(|line| !line.contains(" w ")).collect();
    assert!(strong.is_empty(), "{strong:?}");
}

#[test]
fn it_is_named_and_initialized_first() {
    let dynamic = tool("readelf", &["-dW"]);
    assert!(dynamic.contains("soname: [libshim.so.1]"), "{dynamic}");
    let flags = dynamic.lines().find(|line| line.contains("(FLAGS_1)")).unwrap_or_default();
    for flag in ["NOW", "INITFIRST", "NODELETE"] {
        assert!(flags.contains(flag), "{flag} is not among {flags}");
    }
}

#[test]
fn its_memory_is_protected() {
    let dynamic = tool("readelf", &["-dW"]);
    assert!(!dynamic.contains("TEXTREL"), "{dynamic}");
    let segments = tool("readelf", &["-lW"]);
    assert!(segments.contains("GNU_RELRO"), "{segments}");
    assert!(!segments.contains("RWE"), "{segments}");
    let stack = segments.lines().find(|line| line.contains("GNU_STACK")).unwrap_or_default();
    assert!(stack.contains(" RW "), "the stack is not executable: {stack}");
    let tls = segments.lines().find(|line| line.trim_start().starts_with("TLS"));
    assert!(tls.is_none(), "it has thread-local storage: {tls:?}");
    let executable = segments.lines().filter(|l| l.contains("LOAD") && l.contains(" R E ")).count();
    assert_eq!(executable, 1, "one executable segment, which the trap excepts:\n{segments}");
}

#[test]
fn exports_map_and_headers_agree() {
    for (map, library) in MAPS.into_iter().zip([library(), supervisor()]) {
        let mapped = mapped(map);
        let mut exports = BTreeSet::new();
        for (kind, name, version) in exported(library) {
            assert_eq!(kind, "T", "{name} is not a function");
            assert!(!version.is_empty(), "{name} has no version");
            exports.insert((name, version));
        }
        assert_eq!(exports, mapped, "left: the library, right: {map}");

        let public = mapped.iter().filter(|(_, node)| node != "SHIM_PRIVATE");
        let public: BTreeSet<String> = public.map(|(name, _)| name.clone()).collect();
        assert_eq!(declared(map), public, "left: the headers, right: the public nodes of {map}");
        for (name, node) in &mapped {
            assert_eq!(name.starts_with('_'), node == "SHIM_PRIVATE", "{name} stands in {node}");
        }
    }
}

/// What simulators link: named by its interface's version, with the C library as all that it needs, and never unloaded.
#[test]
fn the_supervisor_needs_the_c_library_only() {
    let dynamic = tool_about(supervisor(), "readelf", &["-dW"]);
    assert!(dynamic.contains("soname: [libshim-supervisor.so.1]"), "{dynamic}");
    for line in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
        let is_known = ["libc.so.6", "libgcc_s.so.1", "libm.so.6", "ld-linux-x86-64.so.2"]
            .iter()
            .any(|name| line.ends_with(&format!("[{name}]")));
        assert!(is_known, "{line}");
    }
    let flags = dynamic.lines().find(|line| line.contains("(FLAGS_1)")).unwrap_or_default();
    assert!(flags.contains("NOW") && flags.contains("NODELETE"), "{flags}");
    assert!(!dynamic.contains("TEXTREL"), "{dynamic}");
}

#[test]
fn every_function_is_documented() {
    let labels = ["Returns:", "Errors:", "Threads and signals:", "Since:"];
    for map in MAPS {
        for name in headers(map) {
            let text = source(&format!("include/shim/{name}"));
            let declarations = text.lines().filter(|line| line.starts_with("SHIM_API")).count();
            // A simulator is not in a simulation, and has nothing to say about that.
            let outside = (map == MAPS[0]).then_some("Outside a simulation:");
            for words in labels.into_iter().chain(outside) {
                let count = text.matches(&format!(" * {words}")).count();
                assert_eq!(count, declarations, "{name}: \"{words}\"");
            }
            assert!(!text.contains("# Safety"), "{name} has Markdown in it");
        }
    }
}

/// In which release a node came out; `docs/abi-policy.md` says why the two count differently.
const RELEASES: &[(&str, &str)] = &[("SHIM_1.0", "0.1"), ("SHIM_SUPERVISOR_1.0", "0.1")];

#[test]
fn each_function_says_since_when_it_is_there() {
    for map in MAPS {
        let mapped = mapped(map);
        let mut count = 0;
        for name in headers(map) {
            let text = source(&format!("include/shim/{name}"));
            for piece in text.split("/**\n").skip(1) {
                let (comment, code) = piece.split_once("*/\n").expect("a comment has an end");
                if !code.starts_with("SHIM_API") {
                    continue;
                }
                let since = comment.split(" * Since: ").nth(1);
                let since = since.and_then(|rest| rest.split(".\n").next());
                let before = code.split('(').next().unwrap_or_default();
                let function = before.split([' ', '\n', '*']).next_back().unwrap_or_default();
                let node = mapped.iter().find(|(name, _)| name == function);
                let (_, node) = node.unwrap_or_else(|| panic!("{function} is not mapped"));
                let release = RELEASES.iter().find(|(name, _)| name == node);
                assert_eq!(since, release.map(|(_, since)| *since), "{function} is in {node}");
                count += 1;
            }
        }
        assert_eq!(count, declared(map).len());
    }
}

/// The disassembly: (function, instruction and operands).
fn instructions() -> Vec<(String, String)> {
    let text = tool("objdump", &["-d", "-C", "--no-show-raw-insn", "-w"]);
    let mut function = String::from("(no function)");
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(head) = line.strip_suffix(">:") {
            function = head.split_once('<').map_or(head, |(_, name)| name).to_owned();
        } else if let Some((_, instruction)) = line.split_once(":\t") {
            let code = instruction.split(['#', '<']).next().unwrap_or_default();
            found.push((function.clone(), code.trim().to_owned()));
        }
    }
    assert!(found.len() > 1000, "only {} instructions", found.len());
    found
}

#[test]
fn every_system_call_stands_where_it_may() {
    let list = "tests/syscall-sites.list";
    let stand: BTreeSet<String> = instructions()
        .into_iter()
        .filter(|(_, code)| matches!(code.as_str(), "syscall" | "sysenter" | "int    $0x80"))
        .map(|(function, _)| function)
        .collect();
    if std::env::var_os("SHIM_BLESS").is_some() {
        let head = "# Functions of libshim.so in which a `syscall` instruction stands, after inlining;\n\
                    # checked by tests/exports.rs, recorded anew with SHIM_BLESS=1.\n";
        let lines: String = stand.iter().map(|function| format!("{function}\n")).collect();
        std::fs::write(root().join(list), head.to_owned() + &lines).expect("it can be written");
    }
    let recorded: BTreeSet<String> =
        source(list).lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect();
    assert_eq!(stand, recorded, "left: the library, right: {list}");
}

#[test]
fn no_vector_state_beyond_sse_is_touched() {
    for (function, code) in instructions() {
        let mnemonic = code.split_whitespace().next().unwrap_or_default();
        let is_vex = mnemonic.starts_with('v') && !matches!(mnemonic, "verr" | "verw" | "vmcall");
        let is_wide = ["%ymm", "%zmm", "%k0", "%k1", "%k2", "%k3"].iter().any(|r| code.contains(r));
        let is_x87 = mnemonic.starts_with('f') && !mnemonic.starts_with("fx");
        assert!(!is_vex && !is_wide && !is_x87, "{function}: {code}");
    }
}
