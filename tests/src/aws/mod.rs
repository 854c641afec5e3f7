//! Whole runs on AWS: an Aurora global database and a name of Route 53 that an object moves, under a real `muster local`
//! with two real vantages. Control planes are the fake's, data is a real pair of PostgreSQL, and the name is asked for at
//! real name servers.
//!
//! ```text
//! muster local ──AWS_ENDPOINT_URL──► fake: RDS, S3, Route 53, STS ──what happened──► PostgreSQL east ══► PostgreSQL west
//!   ▲    │                                        │ DNS                                    ▲                 ▲
//!   │    └─fence──► a file that a front obeys     ▼                                        │                 │
//! v1, v2 ──probes, and the public name──► front east 127.0.1.1 ────────────────────────────┘                 │
//!                                         front west 127.0.2.1 ──────────────────────────────────────────────┘
//! ```
//! A failover loses east whole: its database, its front, every endpoint of AWS in its region, and whatever the global
//! control planes offer to change. Each run is played undisturbed, with each trouble of `troubles`, and with the process
//! ended at each of its points; then its end is compared with the one that it has to have, and what took effect at AWS with
//! what an undisturbed run takes.
//!
//! Runs follow one another in one bed; all that is compared is told by the parts that the regions play (left, taken).

mod cloud;
mod databases;
mod effects;
mod end;
mod following;
mod fronts;
mod policy;
mod programs;
mod region;
mod report;
mod seeded;
mod stage;
mod suite;
mod troubles;

pub use report::Tally;
pub use suite::{Choice, list, run};
