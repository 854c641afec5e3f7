//! The safety model: the real `decide()` in a small world that does its worst.
//!
//! Two controllers share a journal; three regions hold a database each. Effects leave late, land late or get
//! lost; an engine's failover hangs, and a person has its target detached; processes crash, pause between record
//! and act, and take the lease from each other; hosts die and come back; networks are cut; people abort; the wall
//! clock steps. What a target checks is what the real one checks.
//!
//! Exploration starts from every state along scripted runs, so that a small budget of faults reaches deep.

mod engine;
mod explore;
mod play;
mod world;

pub use engine::Engine;
pub use explore::{Budget, Checked, Seed, check};
pub use world::{Damage, Move, World};
