//! Names, values and changes as the API of Route 53 writes them.

use crate::OpCtx;
use crate::dns::Datum;
use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{Change, ChangeAction, ResourceRecordSet, RrType};
use hickory_proto::rr::{Name, RecordType};

/// As requests name it.
pub(super) fn wire_name(name: &Name) -> String {
    name.to_ascii()
}

/// The API writes octets beyond letters, digits, `-` and `_` as `\ooo`, three octal digits; of steered names only that of a
/// wildcard has any, and that is not one of them.
pub(super) fn parse_listed(name: &str) -> Option<Name> {
    let mut parsed = Name::from_ascii(name).ok()?;
    parsed.set_fqdn(true);
    Some(parsed.to_lowercase())
}

pub(super) fn parse_value(kind: &RrType, value: &str) -> Option<Datum> {
    match kind {
        RrType::A => value.parse().ok().map(Datum::A),
        RrType::Aaaa => value.parse().ok().map(Datum::Aaaa),
        RrType::Cname => parse_listed(value).map(Datum::Cname),
        _ => None,
    }
}

pub(super) fn write_value(datum: &Datum) -> (RrType, String) {
    match datum {
        Datum::A(address) => (RrType::A, address.to_string()),
        Datum::Aaaa(address) => (RrType::Aaaa, address.to_string()),
        Datum::Cname(name) => (RrType::Cname, name.to_ascii()),
    }
}

/// The other address family stands beside and stays out of it.
pub(super) fn takes_part(found: &RrType, kind: RecordType) -> bool {
    match found {
        RrType::A => kind != RecordType::AAAA,
        RrType::Aaaa => kind != RecordType::A,
        RrType::Cname => true,
        _ => false,
    }
}

pub(super) fn change(action: ChangeAction, set: ResourceRecordSet) -> Result<Change, BuildError> {
    Change::builder().action(action).resource_record_set(set).build()
}

/// For whoever reads the zone's history; the API takes 256 characters.
pub(super) fn comment(ctx: &OpCtx) -> String {
    let text = format!("muster {} epoch {} effect {}", ctx.run, ctx.effect.epoch, ctx.effect.seq);
    text.chars().filter(char::is_ascii).take(256).collect()
}
