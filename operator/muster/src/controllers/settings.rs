//! What `muster operator` is told on its command line.

use crate::local::TestArgs;
use crate::telemetry::LogArgs;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The controller in a Kubernetes cluster.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  muster operator                                             # in a pod, with its ServiceAccount
  muster operator --kubeconfig ~/.kube/config --context mgmt --namespace muster

Reconciles RegionFailoverPolicy objects. Two replicas: one acts, the other takes over within seconds. Health is served
under /healthz and /readyz, vantages report to /v1/vantage/report.")]
pub struct Settings {
    /// Kubeconfig of the API server [default: the pod's ServiceAccount, else ~/.kube/config]
    #[arg(long, value_name = "FILE", env = "KUBECONFIG", hide_env_values = true)]
    pub kubeconfig: Option<PathBuf>,
    /// Context within the kubeconfig
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    pub context: Option<String>,
    /// Namespace of the lease and the claims
    #[arg(
        long,
        value_name = "NAMESPACE",
        default_value = "muster",
        env = "MUSTER_NAMESPACE",
        hide_env_values = true
    )]
    pub namespace: String,
    /// Name of the lease; installations that share the cluster must share it
    #[arg(long, value_name = "NAME", default_value = "muster")]
    pub lease_name: String,
    /// Only policies of this namespace [default: of all]
    #[arg(long, value_name = "NAMESPACE")]
    pub watch_namespace: Option<String>,
    /// Address of health, metrics and the vantages' reports
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:7420")]
    pub listen: SocketAddr,
    /// Folder for series and reports; losing it loses pictures, never safety [default: none are kept]
    #[arg(long, value_name = "DIR")]
    pub archive: Option<PathBuf>,
    /// File with the token of the HTTP API; without it the API answers nobody but vantages and health checks
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Name of this process in the lease; pid and a random part are added [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Region that this process stands in, if it stands in one of a policy's regions
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// For how many milliseconds a listing of the objects is good
    #[arg(long, value_name = "MS", hide = true)]
    pub relist_ms: Option<u64>,
    /// The log.
    #[command(flatten)]
    pub log: LogArgs,
    /// For tests.
    #[command(flatten)]
    pub test: TestArgs,
}
