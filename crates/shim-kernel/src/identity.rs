//! The machine's names: `sethostname`, `setdomainname`.
//!
//! Nothing in, a refusal out. Always true: a machine's names are its configuration. Reading them is the guest's own
//! business.

use shim_abi::Errno;

use crate::context::{Answer, Context};

pub(crate) fn sethostname(_: &mut Context<'_>) -> Answer {
    Err(Errno::EPERM)
}

pub(crate) fn setdomainname(_: &mut Context<'_>) -> Answer {
    Err(Errno::EPERM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::machine;
    use shim_abi::calls::nr;

    #[test]
    fn names_are_the_configurations() {
        let (mut kernel, mut guest, tid) = machine();
        for number in [nr::sethostname, nr::setdomainname] {
            let result = kernel.do_call(tid, number, [8, 65, 0, 0, 0, 0], &mut guest);
            assert_eq!(result, Errno::EPERM.as_return());
        }
    }
}
