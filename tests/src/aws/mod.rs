//! Whole runs on AWS: an Aurora global database, an instance of RDS with a read replica, and a name of Route 53 that an object
//! moves, under a real `muster local` or `muster operator` with two real vantages. Control planes are the fake's, data are two real pairs of
//! PostgreSQL, and the name is asked for at real name servers.
//!
//! ```text
//! muster local ──AWS_ENDPOINT_URL──► fake: RDS, S3, Route 53, STS ──what happened──► orders  east ══► west
//!   ▲    │                             ▲          │ DNS         └──────────────────► reports east ══► west
//!   │    ├─fence──► a file that a      │          ▼                                     │
//!   │    │          front obeys        person     the public name                       │ orders, each of its own region
//!   │    └─fence──► SQL in reports                │                                     │
//! v1, v2 ──probes, and the public name──► front east 127.0.1.1, front west 127.0.2.1 ───┘
//! ```
//! A failover loses east whole: its databases, its front, every endpoint of AWS in its region, and with it all of Route 53's
//! API. Each run is played undisturbed, with each trouble of `troubles`, and with the process
//! ended at each of its points; then its end is compared with the one that it has to have, and what took effect at AWS with
//! what an undisturbed run takes.
//!
//! Under the operator (`control`) the policy is an object in a real API server, and a person speaks with kubectl. What acts on
//! AWS is the same there, so it is a sample: each trouble of the usual runs in one kind of them, and one of so many of their points.
//!
//! Where Aurora's own failover comes to no end (`detached`), a person has the target detached and stops the old writer, which comes
//! back beside it. That uses the bed up.
//!
//! Where the application alone is lost and its databases go on (`by network ACL`), these are cut off by what EC2 is asked to deny:
//! Muster reaches them by `links`, and a person takes the entries off once RDS has moved the writer.
//!
//! Muster may do there what `muster aws iam` prints for the policy, and nothing else (`rights`).
//!
//! RDS never makes an old primary a replica: after each run Muster makes it anew (`replacing`), once it has closed it.
//!
//! Runs follow one another in one bed, and several beds take from the same queue of them; all that is compared is told by the parts that the regions play (left, taken).

mod clerk;
mod cloud;
mod control;
mod databases;
mod effects;
mod end;
mod following;
mod fronts;
mod items;
mod links;
mod objects;
mod policy;
mod programs;
mod rds;
mod region;
mod replacing;
mod report;
mod rights;
mod seeded;
mod stage;
mod suite;
mod troubles;

pub use control::Under;
pub use report::Tally;
pub use suite::{Choice, list, run};
