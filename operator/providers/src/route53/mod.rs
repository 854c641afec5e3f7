//! Traffic by a public hosted zone of Amazon Route 53, in one of two ways:
//!
//! | way | what a flip changes | needs on the day |
//! |---|---|---|
//! | [`HealthObject`] | an object in the bucket of the region that takes over, which a health check watches | the S3 of that region |
//! | [`Route53`] | the record itself | the API of Route 53, which stands in us-east-1 |
//!
//! Both count as done only once the zone's own servers answer so, each asked by itself and without a call of the API.

mod config;
mod health_object;
mod record;
mod servers;
mod values;
mod verb;

pub use config::{Route53Config, Route53ConfigError, ServerName};
pub use health_object::{HealthObject, HealthObjectConfig, HealthObjectConfigError, MarkerPlace};
pub use record::Route53;
