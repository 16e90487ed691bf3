//! What a run's user should know when it is over: what was lacking.
//!
//! The hosts' lists in, lines out. Always true: one line per program and thing, sorted, and none if
//! nothing was lacking.

use shim_abi::calls::{Route, Status, lookup};
use shim_host::{Lack, LackKind};

/// The lines of the summary.
pub fn summary(lacks: &[Lack]) -> Vec<String> {
    lacks.iter().map(line).collect()
}

fn line(lack: &Lack) -> String {
    let times = if lack.count == 1 { "once".to_owned() } else { format!("{} times", lack.count) };
    let program = &lack.program;
    let number = match &lack.kind {
        LackKind::Other(text) => return format!("{program}: {} ({times})", text.escape_debug()),
        LackKind::Call(number) => *number,
    };
    let Some(call) = lookup(number.into()) else {
        return format!(
            "{program}: system call {number} is unknown here: failed with ENOSYS {times}"
        );
    };
    let mut line = match call.route {
        Route::Refuse(errno) => format!("{program}: {} failed with {errno} {times}", call.name),
        _ => format!("{program}: {} was refused {times}", call.name),
    };
    match call.status {
        _ if call.note.is_empty() => {}
        Status::Missing => line.push_str(&format!(" (needs: {})", call.note)),
        Status::Full | Status::Partial => line.push_str(&format!(" (there is: {})", call.note)),
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use shim_abi::calls::nr;

    fn lack(kind: LackKind, count: u64) -> Lack {
        Lack { program: "perl".into(), kind, count }
    }

    #[test]
    fn each_lack_is_one_line() {
        let lines = summary(&[
            lack(LackKind::Call(nr::socket), 3),
            lack(LackKind::Call(479), 1),
            lack(LackKind::Call(nr::flock), 2),
            lack(LackKind::Other("a\nb".into()), 1),
        ]);
        assert_eq!(
            lines,
            [
                "perl: socket failed with EAFNOSUPPORT 3 times (needs: sockets)",
                "perl: system call 479 is unknown here: failed with ENOSYS once",
                "perl: flock was refused 2 times (there is: a lock held elsewhere fails with EWOULDBLOCK)",
                "perl: a\\nb (once)",
            ]
        );
        assert_eq!(summary(&[]), Vec::<String>::new());
    }
}
