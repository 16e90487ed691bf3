//! The command as a person meets it when something is wrong.
//!
//! Words in, status and messages out. No guest runs here: what runs do is tested at the top level.

use std::process::{Command, Output};

fn shim(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_shim"))
        .args(words)
        .env_remove("SHIM_LIBRARY")
        .output()
        .expect("the command runs")
}

fn error_of(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn wrong_options_of_exec_are_failures_of_shim() {
    for words in
        [&["exec"][..], &["exec", "--cpus", "0", "--", "true"], &["exec", "--frob", "true"]]
    {
        let output = shim(words);
        assert_eq!(output.status.code(), Some(125), "{words:?}");
        assert!(output.stdout.is_empty(), "{words:?}");
        assert!(error_of(&output).starts_with("error:"), "{words:?}");
    }
    assert_eq!(shim(&["frob"]).status.code(), Some(2));
    assert_eq!(shim(&["doctor", "--frob"]).status.code(), Some(2));
}

#[test]
fn help_explains_time_and_status() {
    let output = shim(&["exec", "--help"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for word in ["simulated time", "128 + n", "Examples:", "--strace"] {
        assert!(text.contains(word), "{word}");
    }
}

#[test]
fn a_missing_or_wrong_library_is_one_message() {
    let output = shim(&["exec", "--library", "/nonexistent/libshim.so", "--", "true"]);
    assert_eq!(output.status.code(), Some(125));
    let text = error_of(&output);
    assert!(text.starts_with("shim: cannot find libshim.so"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");

    let own = env!("CARGO_BIN_EXE_shim");
    let output = shim(&["exec", "--library", own, "--", "true"]);
    assert_eq!(output.status.code(), Some(125));
    let text = error_of(&output);
    assert!(text.contains(own) && text.lines().count() == 1, "{text}");
}

#[test]
fn doctor_prints_lines_or_json_and_says_whether_guests_can_run() {
    let missing = ["doctor", "--library", "/nonexistent/libshim.so"];
    let output = shim(&missing);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\nfail  library: "), "{text}");
    assert!(text.ends_with("guests cannot run here\n"), "{text}");

    let output = shim(&[&missing[..], &["--json"]].concat());
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["can_run_guests"], false);
    let findings = value["findings"].as_array().unwrap();
    assert_eq!(findings.len(), text.lines().filter(|line| !line.starts_with(' ')).count() - 1);
    for finding in findings {
        let grade = finding["grade"].as_str().unwrap();
        assert!(["ok", "warn", "fail"].contains(&grade), "{finding}");
        assert_eq!(grade == "ok", finding["cost"] == "", "{finding}");
    }
}

#[test]
fn wrong_values_are_told_in_our_words() {
    let cases = [
        (&["exec", "--seed", "-1", "true"][..], "invalid value '-1' for '--seed"),
        (&["exec", "--clock-offset", "1d", "true"], "units from ns to h"),
        (&["run", "/dev/null", "--seed", "-1"], "/dev/null: the file is empty"),
    ];
    for (words, expected) in cases {
        let text = error_of(&shim(words));
        assert!(text.contains(expected) && !text.contains("jiff"), "{words:?}: {text}");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_told() {
    let config = std::env::temp_dir().join(format!("shim-command-{}.yaml", std::process::id()));
    let text = "general: {stop_time: 1 s}\nnetwork: {graph: {type: 1_gbit_switch}}\n\
                hosts: {h: {network_node_id: 0, processes: []}}\n";
    std::fs::write(&config, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_shim"))
        .args(["run", "--show-config"])
        .arg(&config)
        .stdout(std::fs::File::create("/dev/full").unwrap())
        .output()
        .unwrap();
    std::fs::remove_file(&config).unwrap();
    assert!(error_of(&output).contains("cannot write to standard output"), "{output:?}");
}

#[test]
fn sites_of_a_library_are_listed_with_their_ways() {
    let cache = env!("CARGO_TARGET_TMPDIR");
    let sites = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shim"));
        command.arg("sites").args(words).env("XDG_CACHE_HOME", cache).output().expect("it runs")
    };
    let library = "/lib64/ld-linux-x86-64.so.2";
    let output = sites(&[library]);
    assert_eq!(output.status.code(), Some(0), "{}", error_of(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.lines().any(|l| l.contains("  syscall mmap ") && l.contains("  jump at 0x")),
        "{text}"
    );
    let count = text.lines().filter(|line| line.contains("  syscall ")).count();
    assert!(text.contains(&format!("\nsyscall: {count}, of which ")), "{text}");
    // The second time from the cache, and only a part of it.
    let output = sites(&["--left", library]);
    let left = String::from_utf8(output.stdout).unwrap();
    assert!(left.contains("  syscall rt_sigreturn ") && !left.contains("  jump "), "{left}");
    assert!(left.lines().all(|line| text.contains(line)), "{left}");

    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (file, words) in [("/nonexistent", "No such file"), (source, "not a 64-bit ELF file")] {
        let output = sites(&[file]);
        assert_eq!(output.status.code(), Some(1));
        let text = error_of(&output);
        assert!(text.starts_with(&format!("shim: {file}: ")) && text.contains(words), "{text}");
        assert!(output.stdout.is_empty());
    }
}
