//! Second opinions on AWS: one suite of statements about the services that Muster's adapters stand on, played unchanged
//! on three endpoints: the project's own fake, moto and ministack.
//!
//! ```text
//! cases ──SDK──► fake        in process; every statement holds
//!        ├─SDK──► moto       a process of its own, installed by scripts/build-emulators.sh
//!        └─SDK──► ministack  likewise
//!                     │
//!                     └─ compared with `differences`: what is known to be otherwise, and why the fake is right
//! ```
//!
//! The fake and Muster come from the same hands, so a test of one by the other may share a misunderstanding. The
//! emulators were written by others, who tried the real services. Where one of them disagrees, somebody is wrong, and
//! `differences` says who and by which document.
//!
//! What this crate must never do: reach AWS, or anything beyond 127.0.0.1; tell endpoints apart inside of a case; count
//! an emulator that was not asked.

mod arrange;
mod aws;
mod bench;
mod cases;
mod check;
mod differences;
mod emulator;
mod opinions;
mod suite;

pub use opinions::{Opinions, Standing, play_fake, play_second_opinions};
