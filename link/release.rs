//! How a release build for Linux with glibc is linked, so that less of it is resident: the order of its functions and the
//! form of its relocations, nothing else. For `muster`, and for the bench that measures it. LLVM's and GNU's linker take
//! both.
// A build script has its settings from cargo, in the environment, and answers on its standard output.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::env::var;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first glibc that reads packed relocations. An older one refuses to start the program, and says that it lacks
/// `GLIBC_ABI_DT_RELR`; who builds for one sets [`FOR_OLDER`], or builds there.
const READS_PACKED: (u32, u32) = (2, 36);

/// Set to 1: the program shall start with an older glibc than this machine's.
const FOR_OLDER: &str = "MUSTER_FOR_OLDER_GLIBC";

fn main() {
    let Some(layout) = find_layout() else { return };
    println!("cargo:rerun-if-changed={}", layout.display());
    println!("cargo:rerun-if-env-changed={FOR_OLDER}");
    let is = |name: &str, wanted: &str| var(name).is_ok_and(|value| value == wanted);
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu")
    {
        return;
    }
    let program = if is("CARGO_PKG_NAME", "muster") { "muster" } else { "bench" };
    println!("cargo:rustc-link-arg-bin={program}=-Wl,-T,{}", layout.display());
    // Of another machine's glibc nothing is known.
    let for_here = var("HOST") == var("TARGET") && !is(FOR_OLDER, "1");
    if for_here && glibc_here().is_some_and(|version| version >= READS_PACKED) {
        println!("cargo:rustc-link-arg-bin={program}=-Wl,-z,pack-relative-relocs");
    }
}

/// Beside this file, in a folder above the package's.
fn find_layout() -> Option<PathBuf> {
    let package = var("CARGO_MANIFEST_DIR").ok()?;
    Path::new(&package).ancestors().map(|above| above.join("link/layout.ld")).find(|path| path.exists())
}

fn glibc_here() -> Option<(u32, u32)> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let (major, rest) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    let minor = rest.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
