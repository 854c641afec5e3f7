//! STATE/journal.reserve: room on the disk that is set aside before a run begins, and given up when the disk is
//! full, so that the run can still record how it goes on.

use super::place::Place;
use crate::store::StoreError;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

/// Makes sure that the reserve stands, with real blocks under it.
pub(super) fn ensure(place: &Place) -> Result<(), StoreError> {
    if is_whole(place) {
        return Ok(());
    }
    build(place).map_err(|error| {
        release(place);
        match super::worker::io(&place.dir, "set room aside", error) {
            StoreError::Full { .. } => {
                StoreError::NoReserve { path: place.reserve(), bytes: place.options.reserve_bytes }
            }
            other => other,
        }
    })
}

/// Whether the room is set aside right now.
pub(super) fn is_whole(place: &Place) -> bool {
    let Ok(meta) = std::fs::metadata(place.reserve()) else { return false };
    // Blocks of 512 bytes, whatever the file system's own are; a sparse file reserves nothing.
    meta.len() >= place.options.reserve_bytes && meta.blocks() * 512 >= place.options.reserve_bytes
}

fn build(place: &Place) -> io::Result<()> {
    let path = place.reserve();
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // Written, not only allocated: some file systems promise blocks that they do not have. No run of zeros
    // either, which a compressing one would not keep.
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let mut chunk = Vec::with_capacity(64 * 1024);
    let mut left = place.options.reserve_bytes;
    while left > 0 {
        chunk.clear();
        while chunk.len() < 64 * 1024 {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            chunk.extend_from_slice(&noise.to_le_bytes());
        }
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        file.write_all(chunk.get(..len).unwrap_or(&chunk))?;
        left -= len as u64;
    }
    file.sync_all()
}

/// Gives the room up. Whether there was any.
pub(super) fn release(place: &Place) -> bool {
    std::fs::remove_file(place.reserve()).is_ok()
}
