//! The fake's S3, at the wire.

mod buckets;
mod conditions;
mod objects;
mod readers;
mod stage;
