//! The README's part "Use it from C", followed command by command in an empty directory.
//!
//! The text of `README.md` in; the commands' answers, compared with what the text shows, out. Always true:
//! the commands are those that a reader would type, with a home directory of their own; only `make` is told
//! where this test run has built. Nothing but the README is followed here.

use std::process::{Command, Stdio};

use shim_testkit::Folder;
use shim_testkit::built::{root, target_dir};
use shim_testkit::installed::{prefix, release};

/// The indented blocks of the part, without their indentation.
fn blocks() -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root().join("README.md")).expect("it is there");
    let part = text.split("## Use it from C\n").nth(1).expect("it has the part");
    let part = part.split("\n## ").next().unwrap_or_default();
    let mut blocks = vec![Vec::new()];
    for line in part.lines() {
        match line.strip_prefix("    ") {
            Some(line) => blocks.last_mut().expect("there is one").push(line.to_owned()),
            // An empty line in a program does not end it.
            None if line.is_empty() => {
                if let Some(block) = blocks.last_mut().filter(|block| !block.is_empty()) {
                    block.push(String::new());
                }
            }
            None => blocks.push(Vec::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

#[test]
fn the_part_for_c_can_be_followed_command_by_command() {
    // Makes sure that everything that `make install` needs is there.
    prefix();
    let folder = Folder::new();
    let (mut commands, mut program) = (Vec::new(), String::new());
    for block in blocks() {
        if block[0].starts_with("$ ") {
            commands.extend(block.into_iter().filter(|line| !line.is_empty()));
        } else {
            assert!(program.is_empty(), "a second program: {block:?}");
            program = block.join("\n");
        }
    }
    assert!(program.lines().count() <= 24, "it is a program that a newcomer would write");
    std::fs::write(folder.path().join("example.c"), program)
        .expect("a fresh folder can be written");

    // Each command's answer stands between lines that only the script writes.
    let mut script = format!(
        "make() {{ command make -s -C '{}' RELEASE='{}' TARGET='{}' \"$@\"; }}\n",
        root().display(),
        release().display(),
        target_dir().display()
    );
    let (mut typed, mut expected) = (Vec::new(), Vec::new());
    for line in commands {
        if let Some(command) = line.strip_prefix("$ ") {
            script += &format!("echo '=== next'\n{command} || echo \"status $?\"\n");
            typed.push(command.to_owned());
            expected.push(Vec::new());
        } else {
            expected.last_mut().expect("an answer follows a command").push(line);
        }
    }
    assert!(typed.len() >= 5, "only {typed:?}");
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("sh can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let answers: Vec<&str> = text.split("=== next\n").skip(1).collect();
    assert_eq!(answers.len(), typed.len(), "{text}");
    for ((command, expected), answer) in typed.iter().zip(&mut expected).zip(answers) {
        // In a pipe, standard output comes later than standard error.
        let mut answer: Vec<&str> = answer.lines().collect();
        answer.sort_unstable();
        expected.sort_unstable();
        assert_eq!(answer, *expected, "{command}");
    }
}
