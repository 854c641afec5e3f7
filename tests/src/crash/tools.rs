//! The world's power tool and rejoin hook, wrapped so that each call leaves a line with what it found.

use anyhow::Context;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What the tools were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Asked {
    /// Machines that ran were switched off.
    pub(crate) switched_off: usize,
    /// Machines that were off were switched on.
    pub(crate) switched_on: usize,
    /// Calls of the power tool that found nothing to change.
    pub(crate) found_done: usize,
    /// Calls of the rejoin hook.
    pub(crate) rejoins: usize,
}

fn log_path(world: &Path) -> PathBuf {
    world.join("bin/calls")
}

/// Puts the wrappers in the tools' places.
pub(crate) fn wrap(world: &Path) -> anyhow::Result<()> {
    let log = log_path(world);
    let log = log.display();
    let place = |name: &str| world.join("bin").join(name);
    let (power, rejoin) = (place("power"), place("rejoin"));
    let real = |path: &Path| path.with_extension("real");
    for path in [&power, &rejoin] {
        std::fs::rename(path, real(path)).with_context(|| format!("failed to move {}", path.display()))?;
    }
    let real_power = real(&power);
    let real_power = real_power.display();
    write(
        &power,
        &format!(
            "#!/bin/sh\ncase \"$1\" in status) exec '{real_power}' \"$@\";; esac\n\
             case \"$('{real_power}' status)\" in *'\"on\"'*) found=on;; *) found=off;; esac\n\
             echo \"$1 $found\" >> '{log}'\nexec '{real_power}' \"$@\"\n"
        ),
    )?;
    let real_rejoin = real(&rejoin);
    let text = format!("#!/bin/sh\necho rejoin called >> '{log}'\nexec '{}' \"$@\"\n", real_rejoin.display());
    write(&rejoin, &text)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    Ok(())
}

/// Counts the calls so far.
pub(crate) fn asked(world: &Path) -> Asked {
    let text = std::fs::read_to_string(log_path(world)).unwrap_or_default();
    let mut asked = Asked::default();
    for line in text.lines() {
        match line {
            "fence on" => asked.switched_off += 1,
            "unfence off" => asked.switched_on += 1,
            "fence off" | "unfence on" => asked.found_done += 1,
            _ => asked.rejoins += 1,
        }
    }
    asked
}
