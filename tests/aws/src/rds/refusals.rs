//! What the service says when it does not do as it is told.

use crate::service::Refusal;

/// A refusal by RDS, with the names as they are on the wire.
#[derive(Debug, thiserror::Error)]
pub(super) enum RdsRefusal {
    #[error("Global cluster {0} not found")]
    GlobalClusterNotFound(String),
    #[error("DBCluster {0} not found.")]
    ClusterNotFound(String),
    #[error("DBInstance {0} not found.")]
    InstanceNotFound(String),
    #[error("DBClusterSnapshot not found: {0}")]
    SnapshotNotFound(String),
    #[error("{0}")]
    InvalidGlobalClusterState(String),
    #[error("{0}")]
    InvalidClusterState(String),
    #[error("{0}")]
    InvalidInstanceState(String),
    #[error("Snapshot {0} is not available")]
    InvalidSnapshotState(String),
    #[error("DB instance already exists: {0}")]
    InstanceAlreadyExists(String),
    #[error("Cannot create the cluster snapshot because one with the identifier {0} already exists.")]
    SnapshotAlreadyExists(String),
    #[error("{0}")]
    InvalidParameterCombination(String),
}

impl RdsRefusal {
    /// The codes bear the ending "Fault" or not as the API's model says, one by one.
    fn status_and_code(&self) -> (u16, &'static str) {
        match self {
            Self::GlobalClusterNotFound(_) => (404, "GlobalClusterNotFoundFault"),
            Self::ClusterNotFound(_) => (404, "DBClusterNotFoundFault"),
            Self::InstanceNotFound(_) => (404, "DBInstanceNotFound"),
            Self::SnapshotNotFound(_) => (404, "DBClusterSnapshotNotFoundFault"),
            Self::InvalidGlobalClusterState(_) => (400, "InvalidGlobalClusterStateFault"),
            Self::InvalidClusterState(_) => (400, "InvalidDBClusterStateFault"),
            Self::InvalidInstanceState(_) => (400, "InvalidDBInstanceState"),
            Self::InvalidSnapshotState(_) => (400, "InvalidDBClusterSnapshotStateFault"),
            Self::InstanceAlreadyExists(_) => (400, "DBInstanceAlreadyExists"),
            Self::SnapshotAlreadyExists(_) => (400, "DBClusterSnapshotAlreadyExistsFault"),
            Self::InvalidParameterCombination(_) => (400, "InvalidParameterCombination"),
        }
    }
}

impl From<RdsRefusal> for Refusal {
    fn from(refused: RdsRefusal) -> Self {
        let (status, code) = refused.status_and_code();
        Self::new(status, code, refused.to_string())
    }
}
