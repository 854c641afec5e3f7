//! What stands at a name, and the witness beside it.

use hickory_proto::rr::rdata::{A, AAAA, CNAME, TXT};
use hickory_proto::rr::{Name, RData, RecordType};
use muster_core::facts::Witness;
use muster_core::ids::{Epoch, Owner, Seq, Term};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// One record's data, as far as this adapter steers it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Datum {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(Name),
}

impl Datum {
    pub(crate) const fn record_type(&self) -> RecordType {
        match self {
            Self::A(_) => RecordType::A,
            Self::Aaaa(_) => RecordType::AAAA,
            Self::Cname(_) => RecordType::CNAME,
        }
    }

    pub(crate) fn rdata(&self) -> RData {
        match self {
            Self::A(address) => RData::A(A(*address)),
            Self::Aaaa(address) => RData::AAAA(AAAA(*address)),
            Self::Cname(name) => RData::CNAME(CNAME(name.clone())),
        }
    }

    pub(crate) fn from_rdata(rdata: &RData) -> Option<Self> {
        match rdata {
            RData::A(A(address)) => Some(Self::A(*address)),
            RData::AAAA(AAAA(address)) => Some(Self::Aaaa(*address)),
            RData::CNAME(CNAME(name)) => Some(Self::Cname(name.to_lowercase())),
            _ => None,
        }
    }
}

impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => write!(f, "A {address}"),
            Self::Aaaa(address) => write!(f, "AAAA {address}"),
            Self::Cname(name) => write!(f, "CNAME {name}"),
        }
    }
}

/// For messages: all that stands at a name.
pub(crate) fn list_data<'a>(data: impl IntoIterator<Item = &'a Datum>) -> String {
    let list: Vec<_> = data.into_iter().map(ToString::to_string).collect();
    if list.is_empty() { "nothing".to_owned() } else { list.join(", ") }
}

/// A witness record: who wrote last, and what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Written {
    pub(crate) witness: Witness,
    /// As [`Datum`] displays it. Text, because a policy edit may have taken the target away since.
    pub(crate) data: String,
}

/// The first string of a witness; another version's is not read.
const MAGIC: &str = "muster1";

impl Written {
    pub(crate) fn new(witness: Witness, data: &Datum) -> Self {
        Self { witness, data: data.to_string() }
    }

    /// One character-string per field, so that no field can run into another.
    pub(crate) fn to_txt(&self) -> TXT {
        let Witness { owner, epoch, term, seq } = &self.witness;
        TXT::new(vec![
            MAGIC.to_owned(),
            format!("owner={owner}"),
            format!("epoch={epoch}"),
            format!("term={term}"),
            format!("seq={seq}"),
            self.data.clone(),
        ])
    }

    pub(crate) fn from_txt(txt: &TXT) -> Option<Self> {
        let strings: Option<Vec<&str>> = txt.txt_data.iter().map(|s| std::str::from_utf8(s).ok()).collect();
        let [magic, owner, epoch, term, seq, data] = strings?[..] else { return None };
        if magic != MAGIC {
            return None;
        }
        let number = |text: &str, key: &str| text.strip_prefix(key)?.parse::<u64>().ok();
        let witness = Witness {
            owner: Owner::new(owner.strip_prefix("owner=").filter(|o| !o.is_empty())?),
            epoch: Epoch(number(epoch, "epoch=")?),
            term: Term(number(term, "term=")?),
            seq: Seq(number(seq, "seq=")?),
        };
        Some(Self { witness, data: data.to_owned() })
    }
}

/// What one server says of the name and its witness, at (about) one moment.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct View {
    /// Addresses and CNAMEs at the name.
    pub(crate) data: BTreeSet<Datum>,
    /// TXT records at the witness' name, as they are.
    pub(crate) witness: Vec<TXT>,
}

/// The witness as far as it can be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum WitnessView {
    /// No record there.
    Absent,
    /// One that this version wrote.
    Written(Written),
    /// Something else.
    Unreadable,
}

impl View {
    pub(crate) fn written(&self) -> WitnessView {
        match &self.witness[..] {
            [] => WitnessView::Absent,
            [txt] => Written::from_txt(txt).map_or(WitnessView::Unreadable, WitnessView::Written),
            _ => WitnessView::Unreadable,
        }
    }

    /// The data that an item with targets of this type steers: everything at the name but the other address
    /// family, which stands beside it without taking part.
    pub(crate) fn steered(&self, kind: RecordType) -> BTreeSet<&Datum> {
        self.data.iter().filter(|datum| !is_beside(datum.record_type(), kind)).collect()
    }

    /// Why the data is not what its witness wrote, if so.
    pub(crate) fn drift(&self, kind: RecordType) -> Option<String> {
        let steered = self.steered(kind);
        let beside: Vec<_> = self.data.iter().filter(|d| is_beside(d.record_type(), kind)).collect();
        match self.written() {
            WitnessView::Unreadable => Some("the witness is not one that Muster wrote".to_owned()),
            WitnessView::Written(written) if !is_exactly(&steered, &written.data) => {
                let (found, data) = (list_data(steered), written.data);
                Some(format!("another writer: {found} stands there, {data} was written"))
            }
            _ if !beside.is_empty() => {
                Some(format!("{} stands there too, which is not steered", list_data(beside)))
            }
            _ => None,
        }
    }
}

/// Whether the data is one record that displays like this.
pub(crate) fn is_exactly(data: &BTreeSet<&Datum>, text: &str) -> bool {
    data.len() == 1 && data.iter().all(|datum| datum.to_string() == text)
}

fn is_beside(found: RecordType, kind: RecordType) -> bool {
    matches!((found, kind), (RecordType::A, RecordType::AAAA) | (RecordType::AAAA, RecordType::A))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Written {
        let witness = Witness { owner: "uid-1".into(), epoch: Epoch(3), term: Term(1), seq: Seq(7) };
        Written::new(witness, &Datum::A(Ipv4Addr::new(127, 0, 1, 1)))
    }

    #[test]
    fn a_witness_reads_back_as_it_was_written() {
        assert_eq!(Written::from_txt(&written().to_txt()), Some(written()));
    }

    #[test]
    fn a_text_that_only_resembles_a_witness_is_not_read() {
        let good = ["muster1", "owner=o", "epoch=1", "term=0", "seq=1", "A 127.0.1.1"];
        let read = |strings: &[&str]| {
            Written::from_txt(&TXT::new(strings.iter().map(ToString::to_string).collect()))
        };
        assert!(read(&good).is_some());
        for (at, broken) in
            [(0, "muster2"), (1, "owner="), (1, "o"), (2, "epoch=-1"), (3, "term=x"), (4, "epoch=1")]
        {
            let mut strings = good;
            strings[at] = broken;
            assert_eq!(read(&strings), None, "{broken} at {at}");
        }
        assert_eq!(read(&good[..5]), None);
    }
}
