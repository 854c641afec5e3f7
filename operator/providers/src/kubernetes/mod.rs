//! Workloads in the regions' clusters: scaled up where the application goes, scaled to zero as a fence.
//!
//! Anything with a `scale` subresource, beside its horizontal autoscaler if it has one. Who scaled it last (owner, epoch,
//! term, seq) and what it had before stand in annotations of the object itself, so that they outlive every journal:
//! `muster.dev/witness`, `muster.dev/replicas-before`, `muster.dev/fenced-from`, and on an autoscaler `muster.dev/min-before`.
//!
//! | call | idempotent by | what the target checks | not protected |
//! |---|---|---|---|
//! | mark: PATCH of the annotations | resourceVersion | a newer or foreign witness is refused before it is sent, a change in between by the API server (409) | - |
//! | scale: apply of `scale`, field manager `muster` | resourceVersion of the mark | the same | a person or a tool that scales afterwards; seen by the next look |
//! | autoscaler: apply of `spec.minReplicas`, field manager `muster` | resourceVersion | a change in between (409) | the same |
//!
//! A look is a read of the API server, not of the nodes: a pod of a node that is cut off counts as long as its object
//! exists, and whoever force-deletes a pod says that it has stopped.
//!
//! Must never scale down what it did not scale up, and never name a credential.

mod call;
mod effects;
mod fence;
mod link;
mod look;
mod marks;
mod workload;

pub use call::tell;
pub use fence::ScaleFence;
pub use link::{Clusters, KubeconfigError, Link, check_kubeconfig};
pub use workload::{Place, Workload, WorkloadConfig};
