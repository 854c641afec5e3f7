//! Prints the definitions of the kinds; with `--docs` the field reference; with `--write` writes the files,
//! the chart's copies of the definitions too.

use muster_crds::schema::definitions;
use std::io::Write;
use std::path::Path;

fn main() -> std::io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => {
            let all: Vec<String> = definitions().iter().map(muster_crds::schema::Definition::yaml).collect();
            std::io::stdout().write_all(all.join("---\n").as_bytes())
        }
        Some("--docs") => std::io::stdout().write_all(muster_crds::reference::policy_reference().as_bytes()),
        Some("--write") => {
            let here = Path::new(env!("CARGO_MANIFEST_DIR"));
            for definition in definitions() {
                for folder in ["generated", "../charts/muster/crds"] {
                    std::fs::write(here.join(folder).join(definition.file), definition.yaml())?;
                }
            }
            std::fs::write(here.join("../docs/policy.md"), muster_crds::reference::policy_reference())
        }
        Some(other) => {
            Err(std::io::Error::other(format!("unknown argument {other}: give nothing, --docs or --write")))
        }
    }
}
