//! A column's value as expressions see it, from PostgreSQL's binary format.

use cel::objects::{Key, Map, Value};
use chrono::{DateTime, TimeDelta};
use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Kind, Type};

type Failure = Box<dyn Error + Sync + Send>;

/// Seconds between 1970 and 2000, PostgreSQL's epoch.
const EPOCH_2000: i64 = 946_684_800;

/// A row as a map from column to value. The error names the column that has no such form.
pub(super) fn value_of_row(row: &Row) -> Result<Value, String> {
    let mut map: HashMap<Key, Value> = HashMap::with_capacity(row.len());
    for (n, column) in row.columns().iter().enumerate() {
        let Cell(value) = row.try_get::<_, Cell>(n).map_err(|_| {
            let (name, kind) = (column.name(), column.type_());
            format!("column {name} is of type {kind}; write {name}::text in the query")
        })?;
        map.insert(Key::from(column.name()), value);
    }
    Ok(Value::Map(Map { map: Arc::new(map) }))
}

struct Cell(Value);

impl FromSql<'_> for Cell {
    fn from_sql(ty: &Type, raw: &[u8]) -> Result<Self, Failure> {
        read(ty, raw).map(Self)
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn read(ty: &Type, raw: &[u8]) -> Result<Value, Failure> {
    if let Kind::Domain(inner) = ty.kind() {
        return read(inner, raw);
    }
    Ok(match *ty {
        Type::BOOL => Value::Bool(bool::from_sql(ty, raw)?),
        Type::INT2 => Value::Int(i16::from_sql(ty, raw)?.into()),
        Type::INT4 => Value::Int(i32::from_sql(ty, raw)?.into()),
        Type::INT8 => Value::Int(i64::from_sql(ty, raw)?),
        Type::OID => Value::Int(u32::from_sql(ty, raw)?.into()),
        Type::FLOAT4 => Value::Float(f32::from_sql(ty, raw)?.into()),
        Type::FLOAT8 => Value::Float(f64::from_sql(ty, raw)?),
        Type::NUMERIC => numeric(raw)?,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
            Value::from(<&str>::from_sql(ty, raw)?)
        }
        Type::JSON => json(raw)?,
        // One byte of version before the text.
        Type::JSONB => json(raw.get(1..).ok_or("an empty jsonb")?)?,
        Type::TIMESTAMPTZ | Type::TIMESTAMP => timestamp(raw)?,
        Type::INTERVAL => interval(raw)?,
        Type::UUID => Value::from(uuid(raw)?),
        _ if matches!(ty.kind(), Kind::Enum(_)) => Value::from(std::str::from_utf8(raw)?),
        _ => return Err("no such form".into()),
    })
}

fn json(raw: &[u8]) -> Result<Value, Failure> {
    Ok(crate::expr::from_json(serde_json::from_slice(raw)?))
}

fn int(raw: &[u8], at: usize) -> Result<i64, Failure> {
    let bytes = raw.get(at..at + 8).ok_or("too short")?;
    Ok(i64::from_be_bytes(bytes.try_into()?))
}

fn timestamp(raw: &[u8]) -> Result<Value, Failure> {
    let micros = int(raw, 0)?;
    let base = DateTime::from_timestamp(EPOCH_2000, 0).ok_or("no epoch")?;
    let at = base.checked_add_signed(TimeDelta::microseconds(micros)).ok_or("out of range")?;
    Ok(Value::Timestamp(at.fixed_offset()))
}

/// Microseconds, days, months; a month counts as 30 days, as PostgreSQL compares intervals.
fn interval(raw: &[u8]) -> Result<Value, Failure> {
    let micros = TimeDelta::microseconds(int(raw, 0)?);
    let days_and_months = int(raw, 8)?;
    let (days, months) = (days_and_months >> 32, days_and_months & 0xffff_ffff);
    let months = i64::from(u32::try_from(months)?.cast_signed());
    let days = TimeDelta::try_days(days + 30 * months).ok_or("out of range")?;
    Ok(Value::Duration(micros.checked_add(&days).ok_or("out of range")?))
}

fn uuid(raw: &[u8]) -> Result<String, Failure> {
    let n = u128::from_be_bytes(raw.try_into()?);
    let hex = format!("{n:032x}");
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

/// Groups of four decimal digits with a weight (`numeric_send` in PostgreSQL's sources). Whole numbers that fit are
/// ints, others the nearest double.
fn numeric(raw: &[u8]) -> Result<Value, Failure> {
    let word = |n: usize| -> Result<i16, Failure> {
        let bytes = raw.get(2 * n..2 * n + 2).ok_or("too short")?;
        Ok(i16::from_be_bytes(bytes.try_into()?))
    };
    let (count, weight, sign, scale) =
        (usize::try_from(word(0)?)?, word(1)?, word(2)?.cast_unsigned(), word(3)?);
    match sign {
        0xC000 => return Ok(Value::Float(f64::NAN)),
        0xD000 => return Ok(Value::Float(f64::INFINITY)),
        0xF000 => return Ok(Value::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    let mut text = String::from(if sign == 0x4000 { "-0" } else { "0" });
    for n in 0..count {
        write!(text, "{:04}", word(4 + n)?)?;
    }
    let exponent = 4 * (i32::from(weight) + 1 - i32::try_from(count)?);
    if scale == 0 && (0..=16).contains(&exponent) {
        let whole = format!("{text}{}", "0".repeat(usize::try_from(exponent)?));
        if let Ok(int) = whole.parse::<i64>() {
            return Ok(Value::Int(int));
        }
    }
    Ok(Value::Float(format!("{text}e{exponent}").parse()?))
}

#[cfg(test)]
mod tests {
    use super::numeric;
    use cel::objects::Value;

    fn wire(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|w| w.to_be_bytes()).collect()
    }

    #[test]
    fn numerics_are_read_as_postgresql_sends_them() {
        for (words, want) in [
            (&[0, 0, 0, 0][..], Value::Int(0)),
            (&[1, 0, 0, 0, 42], Value::Int(42)),
            (&[2, 1, 0x4000, 0, 1, 5], Value::Int(-10_005)),
            (&[1, 2, 0, 0, 3], Value::Int(300_000_000)),
            (&[2, 0, 0, 2, 12, 5000], Value::Float(12.5)),
            (&[1, 0xffff, 0, 1, 5000], Value::Float(0.5)),
        ] {
            assert_eq!(numeric(&wire(words)).expect("reads"), want, "{words:?}");
        }
        assert!(matches!(numeric(&wire(&[0, 0, 0xC000, 0])).expect("reads"), Value::Float(n) if n.is_nan()));
        assert!(numeric(&[0, 1]).is_err());
    }
}
