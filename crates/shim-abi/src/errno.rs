//! Error numbers of Linux, as a type.
//!
//! Small positive numbers in, the value that a system call returns out. Always true: the number is
//! between 1 and 4095. The names are those of errno(3); only the ones that this project returns are
//! listed, any other may be carried.

/// An error number: `Errno(2)` is ENOENT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Errno(u16);

macro_rules! errnos {
    ($($name:ident = $number:literal;)*) => {
        impl Errno {
            $(
                #[doc = concat!("`", stringify!($name), "`, see errno(3).")]
                pub const $name: Errno = Errno($number);
            )*

            /// The symbolic name, `None` for a number that this table does not hold.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

errnos! {
    EPERM = 1; ENOENT = 2; ESRCH = 3; EINTR = 4; EIO = 5; ENXIO = 6; E2BIG = 7; ENOEXEC = 8;
    EBADF = 9; ECHILD = 10; EAGAIN = 11; ENOMEM = 12; EACCES = 13; EFAULT = 14; ENOTBLK = 15;
    EBUSY = 16; EEXIST = 17; EXDEV = 18; ENODEV = 19; ENOTDIR = 20; EISDIR = 21; EINVAL = 22;
    ENFILE = 23; EMFILE = 24; ENOTTY = 25; ETXTBSY = 26; EFBIG = 27; ENOSPC = 28; ESPIPE = 29;
    EROFS = 30; EMLINK = 31; EPIPE = 32; EDOM = 33; ERANGE = 34; EDEADLK = 35; ENAMETOOLONG = 36;
    ENOLCK = 37; ENOSYS = 38; ENOTEMPTY = 39; ELOOP = 40; ENODATA = 61; EOVERFLOW = 75; ENOTSOCK = 88; EMSGSIZE = 90;
    ENOPROTOOPT = 92; EPROTONOSUPPORT = 93; ESOCKTNOSUPPORT = 94; ECONNRESET = 104; EISCONN = 106; ENOTCONN = 107;
    EDESTADDRREQ = 89; EADDRNOTAVAIL = 99; ENETUNREACH = 101; EALREADY = 114;
    EPROTOTYPE = 91; EADDRINUSE = 98; ECONNABORTED = 103; ETOOMANYREFS = 109; ECONNREFUSED = 111;
    EOPNOTSUPP = 95; EIDRM = 43; ENOMSG = 42; EOWNERDEAD = 130; ENOTRECOVERABLE = 131; EAFNOSUPPORT = 97; EPFNOSUPPORT = 96; ETIMEDOUT = 110; EINPROGRESS = 115;
    ENOPKG = 65; ENOBUFS = 105; ECANCELED = 125; ENONET = 64; EPROTO = 71; EHOSTDOWN = 112; EHOSTUNREACH = 113;
}

impl Errno {
    /// Never seen by programs: a signal interrupted the call, which is made again if no handler runs, or one
    /// with SA_RESTART; else it fails with EINTR. See signal(7).
    pub const ERESTARTSYS: Errno = Errno(512);
    /// Never seen by programs: a signal interrupted the call, which is made again whatever the handler's flags.
    pub const ERESTARTNOINTR: Errno = Errno(513);

    /// The error with this number, if it is one that a system call can return.
    pub const fn new(number: i32) -> Option<Errno> {
        if number >= 1 && number <= 4095 { Some(Errno(number as u16)) } else { None }
    }
    /// The number, positive.
    pub const fn number(self) -> i32 {
        self.0 as i32
    }
    /// What a system call returns for it: the negated number.
    pub const fn as_return(self) -> i64 {
        -(self.0 as i64)
    }
    /// The error in a system call's return value, if it is one.
    pub const fn from_return(value: i64) -> Option<Errno> {
        if value < 0 && value >= -4095 { Some(Errno(-value as u16)) } else { None }
    }
}

/// Shown as its name, or `errno N`.
impl core::fmt::Display for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}
