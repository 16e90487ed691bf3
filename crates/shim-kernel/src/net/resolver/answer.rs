//! What a question about names gets for an answer: see RFC 1034, RFC 1035, RFC 6891.
//!
//! A message and the names of the simulation in, a message out. Always true: a name is known exactly if the other ways to
//! ask know it (`/etc/hosts`, getaddrinfo); another name for a host is an alias for its canonical one; answers are valid for
//! [`TTL_SECS`], although nothing ever changes; what does not fit is left out and marked, so that who asks asks again by
//! TCP. Who asks and how it travels is `net::resolver`'s.

use alloc::vec::Vec;

use domain::base::iana::{Class, Opcode, OptRcode, Rcode, Rtype};
use domain::base::message_builder::{AnswerBuilder, PushError};
use domain::base::name::{Name, ToName};
use domain::base::{Message, MessageBuilder, StaticCompressor, Ttl};
use domain::rdata::{A, Aaaa, Cname, Ptr};
use shim_abi::names::{NameEntry, Names};

/// How long an answer is valid.
const TTL_SECS: u32 = 60;
/// What a message by UDP may have without further words, and what we take in with them.
const PLAIN_BYTES: usize = 512;
const EXTENDED_BYTES: u16 = 1232;
/// A message by TCP may have these.
const MAX_BYTES: usize = 65_535;

type Answer = AnswerBuilder<StaticCompressor<Vec<u8>>>;

/// How much of an answer is told: without its records it is marked as cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    Questions,
    Header,
}

/// The answer to a message; none if it is no question at all.
pub(super) fn answer(question: &[u8], names: Names<'_>, is_by_tcp: bool) -> Option<Vec<u8>> {
    let message = Message::from_octets(question).ok()?;
    if message.header().qr() {
        return None;
    }
    let options = message.opt();
    let limit_bytes = match &options {
        _ if is_by_tcp => MAX_BYTES,
        Some(options) => usize::from(options.udp_payload_size()).max(PLAIN_BYTES),
        None => PLAIN_BYTES,
    };
    let has_options = options.is_some();
    let is_of_another_version = options.is_some_and(|options| options.version() != 0);
    let finish = |extent: Extent| {
        let is_cut = extent != Extent::Whole;
        let builder = MessageBuilder::from_target(StaticCompressor::new(Vec::new())).ok()?;
        let mut answer = builder.start_error(&message, Rcode::NOERROR);
        let header = answer.header_mut();
        header.set_aa(true);
        header.set_ra(true);
        header.set_tc(is_cut);
        let rcode = match is_of_another_version {
            true => Rcode::NOERROR,
            false => records(&message, names, &mut answer).ok()?,
        };
        if is_cut || rcode != Rcode::NOERROR {
            answer.rewind();
        }
        if extent == Extent::Header {
            let mut questions = answer.question();
            questions.rewind();
            answer = questions.answer();
        }
        answer.header_mut().set_rcode(rcode);
        let mut additional = answer.additional();
        if has_options {
            let told = additional.opt(|options| {
                options.set_udp_payload_size(EXTENDED_BYTES);
                if is_of_another_version {
                    options.set_rcode(OptRcode::BADVERS);
                }
                Ok(())
            });
            told.ok()?;
        }
        Some(additional.finish().into_target())
    };
    let fits = |answer: &Vec<u8>| answer.len() <= limit_bytes;
    // Questions may be longer when they are said again: whoever asks so many at once is not told them.
    let mut extents = [Extent::Whole, Extent::Questions, Extent::Header].into_iter();
    extents.find_map(|extent| finish(extent).filter(fits))
}

/// Write the records that a message asks for.
fn records(
    message: &Message<&[u8]>,
    names: Names<'_>,
    answer: &mut Answer,
) -> Result<Rcode, PushError> {
    if message.header().opcode() != Opcode::QUERY {
        return Ok(Rcode::NOTIMP);
    }
    let Ok(question) = message.sole_question() else { return Ok(Rcode::FORMERR) };
    let (asked, kind) = (question.qname(), question.qtype());
    let is_of_internet = matches!(question.qclass(), Class::IN | Class::ANY);
    let is_transfer = matches!(kind, Rtype::AXFR | Rtype::IXFR);
    if !is_of_internet || is_transfer {
        return Ok(Rcode::REFUSED);
    }
    let Some(text) = text_of(asked) else { return Ok(Rcode::NXDOMAIN) };
    let wants = |other: Rtype| kind == other || kind == Rtype::ANY;
    if let Some(address) = reversed(&text) {
        let named = match address {
            Address::V4(ip) => names.of_ipv4(u32::from_ne_bytes(ip)),
            Address::V6(ip) => names.of_ipv6(&ip),
        };
        let name = named.and_then(|entry| name_of(names.canonical(entry)));
        let Some(name) = name else { return Ok(Rcode::NXDOMAIN) };
        if wants(Rtype::PTR) {
            push(answer, asked, Ptr::new(name))?;
        }
        return Ok(Rcode::NOERROR);
    }
    let Some(first) = names.find(&text).first() else { return Ok(Rcode::NXDOMAIN) };
    let canonical = names.canonical(first);
    let Some(name) = name_of(canonical) else { return Ok(Rcode::NXDOMAIN) };
    let is_alias = canonical.name.as_bytes() != first.name.as_bytes();
    if is_alias {
        push(answer, asked, Cname::new(name.clone()))?;
    }
    for entry in names.find(canonical.name.as_bytes()) {
        let [a, b, c, d] = entry.ipv4.to_ne_bytes();
        let v4 = (entry.ipv4 != 0 && wants(Rtype::A)).then(|| A::from_octets(a, b, c, d));
        let v6 = (entry.has_ipv6() && wants(Rtype::AAAA)).then(|| Aaaa::new(entry.ipv6.into()));
        if is_alias {
            v4.map_or(Ok(()), |data| push(answer, &name, data))?;
            v6.map_or(Ok(()), |data| push(answer, &name, data))?;
        } else {
            v4.map_or(Ok(()), |data| push(answer, asked, data))?;
            v6.map_or(Ok(()), |data| push(answer, asked, data))?;
        }
    }
    Ok(Rcode::NOERROR)
}

fn push(
    answer: &mut Answer,
    owner: impl ToName,
    data: impl domain::base::rdata::ComposeRecordData,
) -> Result<(), PushError> {
    answer.push((owner, Class::IN, Ttl::from_secs(TTL_SECS), data))
}

/// A host's name as it travels.
fn name_of(entry: &NameEntry) -> Option<Name<Vec<u8>>> {
    let text = core::str::from_utf8(entry.name.as_bytes()).ok()?;
    text.parse().ok()
}

/// A name that travels as text, without the dot at its end; none if it cannot be a host's.
fn text_of(name: &impl ToName) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    for label in name.iter_labels().filter(|label| !label.is_root()) {
        let bytes = label.as_slice();
        if bytes.contains(&b'.') {
            return None;
        }
        if !text.is_empty() {
            text.push(b'.');
        }
        text.extend_from_slice(bytes);
    }
    (!text.is_empty()).then_some(text)
}

/// An address of which somebody wants the name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Address {
    V4([u8; 4]),
    V6([u8; 16]),
}

/// The address in a name of `in-addr.arpa` or `ip6.arpa`: backwards, a decimal byte or a hexadecimal digit a label.
fn reversed(text: &[u8]) -> Option<Address> {
    let text = text.to_ascii_lowercase();
    if let Some(rest) = text.strip_suffix(b".in-addr.arpa") {
        let mut ip = [0; 4];
        let mut labels = rest.rsplit(|&byte| byte == b'.');
        for place in &mut ip {
            let label = core::str::from_utf8(labels.next()?).ok()?;
            let is_plain = label.len() == 1 || !label.starts_with(['0', '+']);
            *place = label.parse().ok().filter(|_| is_plain)?;
        }
        return labels.next().is_none().then_some(Address::V4(ip));
    }
    let rest = text.strip_suffix(b".ip6.arpa")?;
    let mut ip = 0_u128;
    let mut labels = rest.rsplit(|&byte| byte == b'.');
    for _ in 0..32 {
        let &[digit] = labels.next()? else { return None };
        ip = ip << 4 | u128::from((digit as char).to_digit(16)?);
    }
    labels.next().is_none().then_some(Address::V6(ip.to_be_bytes()))
}

#[cfg(test)]
pub(super) mod tests {
    use std::string::{String, ToString};
    use std::vec;
    use std::vec::Vec;

    use domain::base::iana::Rtype;
    use domain::base::{Message, MessageBuilder, Name};
    use domain::rdata::AllRecordData;
    use shim_abi::names::compare;

    use super::*;

    /// A table of names, the number of addresses pairs of each, and the canonical name of an alias.
    pub(in crate::net::resolver) fn table(list: &[(&str, u8, Option<&str>)]) -> Vec<NameEntry> {
        let mut entries = Vec::new();
        for &(name, count, of) in list {
            let seed = of.unwrap_or(name).bytes().map(usize::from).sum::<usize>() as u8;
            for i in 0..count {
                let mut v6 = [0; 16];
                (v6[0], v6[14], v6[15]) = (0xfd, seed, i);
                let v4 = u32::from_ne_bytes([11, 0, seed, i]);
                entries.push((NameEntry::new(name.as_bytes(), v4, v6, 1), of.unwrap_or(name)));
            }
        }
        entries.sort_by(|a, b| compare(a.0.name.as_bytes(), b.0.name.as_bytes()));
        let names: Vec<_> = entries.iter().map(|(entry, _)| entry.name).collect();
        let place = |of: &str| names.iter().position(|name| name.as_bytes() == of.as_bytes());
        let canonical: Vec<_> = entries.iter().map(|(_, of)| place(of).unwrap() as u32).collect();
        let mut order: Vec<u32> = (0..entries.len() as u32).collect();
        let text = |i: u32| names[i as usize].as_bytes();
        let is_alias = |i: u32| text(canonical[i as usize]) != text(i);
        order.sort_by_key(|&i| (entries[i as usize].0.ipv4.to_ne_bytes(), is_alias(i), i));
        let by_v4 = order.clone();
        order.sort_by_key(|&i| (entries[i as usize].0.ipv6, is_alias(i), i));
        let all = entries.iter().enumerate();
        all.map(|(i, (it, _))| it.with_indices(canonical[i], by_v4[i], order[i])).collect()
    }

    fn ask(name: &str, kind: Rtype, payload: Option<u16>) -> Vec<u8> {
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(4711);
        builder.header_mut().set_rd(true);
        let mut question = builder.question();
        question.push((name.parse::<Name<Vec<u8>>>().unwrap(), kind)).unwrap();
        let mut additional = question.additional();
        if let Some(bytes) = payload {
            additional
                .opt(|it| {
                    it.set_udp_payload_size(bytes);
                    Ok(())
                })
                .unwrap();
        }
        additional.finish()
    }

    /// Return code, whether it is cut, and the records of an answer.
    fn told(bytes: &[u8]) -> (Rcode, bool, Vec<String>) {
        let message = Message::from_octets(bytes).unwrap();
        let header = message.header();
        assert!(header.qr() && header.ra() && header.id() == 4711);
        let answer = message.answer().unwrap().limit_to::<AllRecordData<_, _>>();
        let records = answer.map(|record| {
            let record = record.unwrap();
            std::format!("{} {} {}", record.owner(), record.rtype(), record.data())
        });
        (header.rcode(), header.tc(), records.collect())
    }

    fn answered(name: &str, kind: Rtype) -> (Rcode, Vec<String>) {
        let names =
            table(&[("bob", 1, None), ("www.example.org", 1, Some("bob")), ("many", 40, None)]);
        let answer = answer(&ask(name, kind, None), Names::new(&names), false).unwrap();
        let (rcode, _, records) = told(&answer);
        (rcode, records)
    }

    #[test]
    fn names_have_addresses_and_addresses_names() {
        let v4 = "bob A 11.0.51.0".to_string();
        let v6 = "bob AAAA fd00::3300".to_string();
        assert_eq!(answered("bob", Rtype::A), (Rcode::NOERROR, vec![v4.clone()]));
        assert_eq!(answered("BOB", Rtype::AAAA).1, ["BOB AAAA fd00::3300"]);
        assert_eq!(answered("bob", Rtype::ANY).1, [v4.clone(), v6]);
        let alias = "www.example.org CNAME bob.".to_string();
        assert_eq!(answered("www.example.org", Rtype::A).1, [alias.clone(), v4]);
        assert_eq!(answered("www.example.org", Rtype::CNAME).1, [alias]);
        let back = answered("0.51.0.11.in-addr.arpa", Rtype::PTR);
        assert_eq!(back.1, ["0.51.0.11.in-addr.arpa PTR bob."]);
        let digits = "0.0.3.3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
        assert_eq!(answered(digits, Rtype::PTR).1, [std::format!("{digits} PTR bob.")]);
    }

    #[test]
    fn what_is_not_there_is_told_apart() {
        assert_eq!(answered("bob", Rtype::MX), (Rcode::NOERROR, vec![]));
        assert_eq!(answered("bob", Rtype::from_int(65280)), (Rcode::NOERROR, vec![]));
        assert_eq!(answered("0.51.0.11.in-addr.arpa", Rtype::A), (Rcode::NOERROR, vec![]));
        for name in ["carol", "bob.example.org", ".", "1.51.0.11.in-addr.arpa", "11.in-addr.arpa"] {
            assert_eq!(answered(name, Rtype::A), (Rcode::NXDOMAIN, vec![]), "{name}");
        }
        assert_eq!(answered("bob", Rtype::AXFR).0, Rcode::REFUSED);
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        let names = table(&[("many", 40, None)]);
        let names = Names::new(&names);
        let of = |payload, is_by_tcp| {
            let bytes = answer(&ask("many", Rtype::ANY, payload), names, is_by_tcp).unwrap();
            let (rcode, is_cut, records) = told(&bytes);
            let has_options = Message::from_octets(bytes).unwrap().opt().is_some();
            assert_eq!((rcode, has_options), (Rcode::NOERROR, payload.is_some()));
            (is_cut, records.len())
        };
        assert_eq!(of(None, false), (true, 0));
        assert_eq!(of(Some(600), false), (true, 0));
        assert_eq!(of(Some(4096), false), (false, 80));
        assert_eq!(of(None, true), (false, 80));
    }

    #[test]
    fn questions_that_do_not_fit_are_not_said_again() {
        let mut builder = MessageBuilder::new_vec().question();
        builder.header_mut().set_id(4711);
        for n in 0..60 {
            let name: Name<Vec<u8>> = std::format!("host{n}.example").parse().unwrap();
            builder.push((name, Rtype::A)).unwrap();
        }
        let names = table(&[("bob", 1, None)]);
        let question = builder.finish();
        let counts = |is_by_tcp| {
            let bytes = answer(&question, Names::new(&names), is_by_tcp).unwrap();
            assert_eq!(told(&bytes).0, Rcode::FORMERR);
            let count = Message::from_octets(bytes.as_slice()).unwrap().header_counts().qdcount();
            (bytes.len() <= PLAIN_BYTES, count)
        };
        assert_eq!((counts(false), counts(true)), ((true, 0), (false, 60)));
    }

    #[test]
    fn nonsense_is_refused_or_ignored() {
        let names = table(&[("bob", 1, None)]);
        let names = Names::new(&names);
        let good = ask("bob", Rtype::A, Some(1232));
        for len in 0..good.len() {
            let answer = answer(&good[..len], names, false);
            assert_eq!(answer.is_some(), len >= 12, "{len}");
        }
        let changed = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            answer(&bytes, names, false).map(|bytes| told(&bytes).0)
        };
        assert_eq!(changed(2, 0x81), None, "an answer");
        assert_eq!(changed(2, 0x28), Some(Rcode::NOTIMP), "an update");
        assert_eq!(changed(5, 2), Some(Rcode::FORMERR), "two questions");
        assert_eq!(changed(20, 3), Some(Rcode::REFUSED), "another class");
        let mut version = good.clone();
        let at = good.len() - 5;
        version[at] = 1;
        let bytes = answer(&version, names, false).unwrap();
        let options = Message::from_octets(bytes.as_slice()).unwrap().opt().unwrap();
        assert_eq!(
            options.rcode(Message::from_octets(bytes.as_slice()).unwrap().header()),
            OptRcode::BADVERS
        );
        // Any byte at any place: an answer or none, but no panic.
        for at in 0..good.len() {
            for byte in 0..=255 {
                let mut bytes = good.clone();
                bytes[at] = byte;
                let _ = answer(&bytes, names, at % 2 == 0);
            }
        }
    }
}
