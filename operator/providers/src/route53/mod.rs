//! Traffic by a public hosted zone of Amazon Route 53, in one of three ways:
//!
//! | way | what a flip changes | needs on the day |
//! |---|---|---|
//! | [`HealthObject`] | an object in the bucket of the region that takes over, which a health check watches | the S3 of that region |
//! | [`RoutingControl`] | routing controls of ARC, which health checks follow | one of a cluster's five endpoints |
//! | [`Route53`] | the record itself | the API of Route 53, which stands in us-east-1 |
//!
//! All count as done only once the zone's own servers answer so, each asked by itself and without a call of the API.

mod change;
mod config;
mod health_object;
mod listed;
mod record;
mod routing_control;
mod servers;
pub mod setup;
mod values;
mod verb;

pub use config::{Route53Config, Route53ConfigError, ServerName};
pub use health_object::{HealthObject, HealthObjectConfig, HealthObjectConfigError, MarkerPlace};
pub use record::Route53;
pub use routing_control::{
    ClusterEndpoint, ControlPlace, RoutingControl, RoutingControlConfig, RoutingControlConfigError,
};
