//! Watches of files: what is told of them, natively and as guests.
//!
//! Parts of a small C program and programs that watch files come in; what they print natively and as guests is compared.
//! Always true: every part is one run, in folders of its own, so that one behaviour that is missing hides no other.
//! Programs whose whole output is compared (`tail`, Node.js, Python) are in `whole.list`.

mod parts;

use parts::assert_parts_same;
use shim_testkit::guest::compile;
use shim_testkit::{Folder, Libc, Run};

#[test]
fn what_happens_to_files_is_told() {
    assert_parts_same("watches");
}

#[test]
fn events_come_in_the_same_order_wherever_the_kernel_is() {
    let program = compile("watches", Libc::Glibc);
    let [one, other] = ["yes", "no"].map(|place| {
        let folder = Folder::new();
        let run = Run::native(&program).args(["waiting"]).folder(folder.path());
        let option = format!("--kernel-in-guest={place}");
        run.as_guest(["--strace", "-", &option]).finish().expect_success()
    });
    assert!(one.text().contains("from cookie new file"), "{one:?}");
    assert_eq!((one.text(), one.stderr), (other.text(), other.stderr));
}
