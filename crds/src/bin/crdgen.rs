//! Prints the CustomResourceDefinition; with `--docs` the field reference; with `--write` writes both files.

use std::io::Write;
use std::path::Path;

fn main() -> std::io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => std::io::stdout().write_all(muster_crds::schema::policy_crd_yaml().as_bytes()),
        Some("--docs") => std::io::stdout().write_all(muster_crds::reference::policy_reference().as_bytes()),
        Some("--write") => {
            let here = Path::new(env!("CARGO_MANIFEST_DIR"));
            let crd = here.join("generated/muster.dev_regionfailoverpolicies.yaml");
            std::fs::write(crd, muster_crds::schema::policy_crd_yaml())?;
            std::fs::write(here.join("../docs/policy.md"), muster_crds::reference::policy_reference())
        }
        Some(other) => {
            Err(std::io::Error::other(format!("unknown argument {other}: give nothing, --docs or --write")))
        }
    }
}
