//! The demo's world: two or three regions on one machine, each with a real PostgreSQL node and a real order
//! service, a real name server, two vantages, two anchors, and the network between them.
//!
//! ```text
//!  clients --front--> [ east: orders, PostgreSQL ] ==replication==> [ west: orders, PostgreSQL ]
//!     |                     ^      ^                                      ^      ^
//!     +--> name server      |      +---- v1, v2 ---- anchors              |      |
//!               ^-----------+------- controller --------------------------+------+
//! ```
//! Each arrow is a [`links::Link`]: a TCP (or UDP) path through this process that can be cut, refused, cut one
//! way or delayed. Clients inside a region use no link, so a region that is cut off goes on for them.
//!
//! A tour: [`world`] starts and stops it all; [`addresses`] says who listens where; [`processes`] starts, freezes
//! and kills, and cleans up after a run that was killed itself; [`postgres`], [`nameserver`], [`service`] and
//! [`policy`] are the parts; [`clients`] write and count what was acknowledged; [`faults`] take things away;
//! [`power`] and [`rejoin`] are the policy's fence and hook; [`cloud`] is AWS, for a world that stands in it; [`command`] is
//! `muster demo`.
//!
//! Everything stays on loopback addresses, under one folder, and works as root and as an ordinary user. Nothing
//! here may be used by the controller itself: it knows this world only through its policy file.

pub mod addresses;
mod anchors;
pub mod clients;
pub mod cloud;
pub mod command;
pub mod control;
pub mod controller;
pub mod faults;
pub mod folders;
pub mod hold;
pub mod http;
pub mod ledger;
pub mod links;
pub mod nameserver;
mod observers;
mod old_log;
pub mod pods;
pub mod policy;
pub mod postgres;
pub mod power;
pub mod process_table;
pub mod processes;
pub mod rejoin;
pub mod report;
pub mod resolver;
mod scram;
pub mod service;
mod site;
pub mod story;
pub mod template;
pub mod timeline;
mod wire;
pub mod world;

pub use command::DemoCommand;
pub use world::{World, WorldSpec};
