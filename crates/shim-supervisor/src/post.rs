//! Native descriptors of guests on their way from one to another: the post.
//!
//! A guest's datagrams with descriptors in, the descriptors out, and datagrams to guests the other way. Always true:
//! what is here is the open file itself, so that all who have it share its offset and its locks; nobody waits, neither
//! we for a guest nor a guest for us; a message is taken for a guest's only by its mark, and nobody is harmed by one that
//! lies, because it brings what the sender has. When something is sent, and to whom, is not here.
//!
//! Why not `pidfd_getfd`: containers forbid it, and a guest may not reach into us with it. Why not `/proc/<pid>/fd`: what
//! is opened there is another open file.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, getsockname,
    recvmsg, sendmsg_addr, socket_with,
};

/// The most descriptors of one datagram.
const MAX_FILES: usize = 253;
/// A mark, and the number that each descriptor has for its sender.
const MAX_BYTES: usize = 8 + 4 * MAX_FILES;
/// Characters of a name that the real kernel gives.
const NAME_CHARACTERS: usize = 5;

/// A socket that guests send descriptors to.
#[derive(Debug)]
pub struct Post {
    socket: OwnedFd,
    port: u64,
}

impl Post {
    /// A socket with a name of its own.
    pub fn new() -> io::Result<Post> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        bind(&socket, &SocketAddrUnix::new_unnamed())?;
        let address = SocketAddrUnix::try_from(getsockname(&socket)?)?;
        let name = address.abstract_name().filter(|name| name.len() == NAME_CHARACTERS);
        let name = name.ok_or(io::ErrorKind::InvalidData)?;
        let mut bytes = [0; 8];
        bytes[..NAME_CHARACTERS].copy_from_slice(name);
        Ok(Post { socket, port: u64::from_le_bytes(bytes) })
    }

    /// Its name's characters, as a number.
    pub fn port(&self) -> u64 {
        self.port
    }

    /// What has come with this mark last: descriptors, each with the number that it has for its sender. What came
    /// besides is closed.
    pub fn collect(&self, mark: u64) -> Vec<(u32, OwnedFd)> {
        let mut last = Vec::new();
        while let Some((its_mark, files)) = self.receive() {
            if its_mark == mark {
                last = files;
            }
        }
        last
    }

    fn receive(&self) -> Option<(u64, Vec<(u32, OwnedFd)>)> {
        let mut bytes = [0; MAX_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut pieces = [IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let message = recvmsg(&self.socket, &mut pieces, &mut ancillary, flags).ok()?;
        let mut files = Vec::new();
        for part in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = part {
                files.extend(fds);
            }
        }
        let (mark, numbers) =
            bytes.get(..message.bytes)?.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let numbers = numbers.as_chunks().0.iter().map(|&number| u32::from_le_bytes(number));
        Some((u64::from_le_bytes(*mark), numbers.zip(files).collect()))
    }

    /// Send a descriptor to a guest's socket of this name, with a byte of what the guest knows of it.
    pub fn deliver(&self, port: u64, file: BorrowedFd<'_>, kind: u8) -> io::Result<()> {
        let name = port.to_le_bytes();
        let to = SocketAddrUnix::new_abstract_name(&name[..NAME_CHARACTERS])?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let files = [file];
        ancillary.push(SendAncillaryMessage::ScmRights(&files));
        let piece = [kind];
        sendmsg_addr(
            self.socket.as_fd(),
            &to,
            &[IoSlice::new(&piece)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};

    #[test]
    fn what_arrives_is_the_file_itself_and_only_what_is_marked() {
        let (post, guest) = (Post::new().unwrap(), Post::new().unwrap());
        let path = std::env::temp_dir().join(format!("shim-post-{}", guest.port()));
        let mut file = std::fs::File::create_new(&path).unwrap();
        let _ = std::fs::remove_file(&path);
        file.write_all(b"123").unwrap();
        // A guest's datagram: a mark, and a number for each descriptor.
        for (mark, number) in [(5_u64, 1_u32), (6, 2), (5, 3)] {
            let bytes = [&mark.to_le_bytes()[..], &number.to_le_bytes()].concat();
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            let files = [file.as_fd()];
            ancillary.push(SendAncillaryMessage::ScmRights(&files));
            let name = post.port().to_le_bytes();
            let to = SocketAddrUnix::new_abstract_name(&name[..NAME_CHARACTERS]).unwrap();
            let pieces = [IoSlice::new(&bytes)];
            let flags = SendFlags::empty();
            sendmsg_addr(&guest.socket, &to, &pieces, &mut ancillary, flags).unwrap();
        }
        let mut found = post.collect(5);
        assert_eq!(found.len(), 1);
        let (number, fd) = found.pop().unwrap();
        assert_eq!(number, 3);
        assert!(post.collect(6).is_empty());
        post.deliver(guest.port(), fd.as_fd(), 7).unwrap();
        let (mark, files) = guest.receive().unwrap();
        assert_eq!((mark, files.len()), (0, 0), "a byte is no mark");
        post.deliver(guest.port(), fd.as_fd(), 7).unwrap();
        let mut copy = std::fs::File::from(fd);
        copy.rewind().unwrap();
        let mut text = String::new();
        assert_eq!(file.stream_position().unwrap(), 0, "they share it");
        let _ = copy.read_to_string(&mut text);
        assert!(post.deliver(0x3030_3030, file.as_fd(), 0).is_err());
    }
}
