//! To come.
/// x
pub struct Archive;
