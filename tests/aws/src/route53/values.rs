//! The values of records, from the text that Route 53 takes to what is sent in DNS.

use crate::name::{DomainName, read_octal};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, SOA, TXT};
use hickory_proto::rr::{Name, RData};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Of one character-string (RFC 1035, 3.3).
const LONGEST_STRING: usize = 255;

/// Why a value is none of its type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Illegal {
    code: &'static str,
    sentence: &'static str,
}

const ILLEGAL_IPV4: Illegal =
    Illegal { code: "ARRDATAIllegalIPv4Address", sentence: "Value is not a valid IPv4 address" };
const ILLEGAL_IPV6: Illegal =
    Illegal { code: "AAAARRDATAIllegalIPv6Address", sentence: "Value is not a valid IPv6 address" };
const UNQUOTED: Illegal =
    Illegal { code: "InvalidCharacterString", sentence: "Value should be enclosed in quotation marks" };
const TOO_LONG: Illegal = Illegal { code: "CharacterStringTooLong", sentence: "Value is too long" };
const ILLEGAL_NAME: Illegal =
    Illegal { code: "InvalidDomainName", sentence: "Value is not a valid domain name" };
const ILLEGAL_SOA: Illegal = Illegal { code: "InvalidSOA", sentence: "Value is not a valid SOA record" };

impl Illegal {
    pub(super) fn sentence_about(self, value: &str) -> String {
        format!("FATAL problem: {} ({}) encountered with '{value}'", self.code, self.sentence)
    }
}

/// Reads a value. `None`: a type whose values are kept, and not answered in DNS.
pub(super) fn parse(kind: &str, value: &str) -> Option<Result<RData, Illegal>> {
    let data = match kind {
        "A" => value.parse::<Ipv4Addr>().map(|address| RData::A(A(address))).map_err(|_| ILLEGAL_IPV4),
        "AAAA" => {
            value.parse::<Ipv6Addr>().map(|address| RData::AAAA(AAAA(address))).map_err(|_| ILLEGAL_IPV6)
        }
        "CNAME" => read_name(value).map(|name| RData::CNAME(CNAME(name))).ok_or(ILLEGAL_NAME),
        "NS" => read_name(value).map(|name| RData::NS(NS(name))).ok_or(ILLEGAL_NAME),
        "SOA" => read_soa(value).map(RData::SOA).ok_or(ILLEGAL_SOA),
        "TXT" => read_strings(value).map(RData::TXT),
        _ => return None,
    };
    Some(data)
}

fn read_name(value: &str) -> Option<Name> {
    DomainName::parse(value)?.to_wire()
}

fn read_soa(value: &str) -> Option<SOA> {
    let fields: Vec<&str> = value.split_whitespace().collect();
    let [server, person, serial, refresh, retry, expire, minimum] = fields[..] else { return None };
    Some(SOA::new(
        read_name(server)?,
        read_name(person)?,
        serial.parse().ok()?,
        refresh.parse().ok()?,
        retry.parse().ok()?,
        expire.parse().ok()?,
        minimum.parse().ok()?,
    ))
}

/// Reads one or several quoted strings, each of which is a character-string.
fn read_strings(value: &str) -> Result<TXT, Illegal> {
    let mut strings: Vec<Vec<u8>> = Vec::new();
    let mut rest = value.trim().as_bytes();
    while !rest.is_empty() {
        let (string, tail) = read_quoted(rest).ok_or(UNQUOTED)?;
        if string.len() > LONGEST_STRING {
            return Err(TOO_LONG);
        }
        strings.push(string);
        rest = tail.trim_ascii_start();
    }
    if strings.is_empty() {
        return Err(UNQUOTED);
    }
    Ok(TXT::from_bytes(strings.iter().map(Vec::as_slice).collect()))
}

fn read_quoted(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = bytes.strip_prefix(b"\"")?;
    let mut string = Vec::new();
    loop {
        let (byte, tail) = rest.split_first()?;
        rest = tail;
        match *byte {
            b'"' => return Some((string, rest)),
            b'\\' => {
                let (escaped, tail) = read_escaped(rest)?;
                string.push(escaped);
                rest = tail;
            }
            byte => string.push(byte),
        }
    }
}

/// What follows a backslash: three octal digits, or a character that stands for itself.
fn read_escaped(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (first, tail) = bytes.split_first()?;
    if first.is_ascii_digit() { read_octal(bytes) } else { Some((*first, tail)) }
}
