//! Stories about the operator, told on a real control plane: `make test` starts one.

// In a story, what is not as expected ends the story.
#![allow(clippy::unwrap_used, clippy::panic)]

mod adoption;
mod bad_input;
mod cascade;
mod changes;
mod collocation;
mod consent;
mod crash;
mod credentials;
mod dialing;
mod drift;
mod faults;
mod forged;
mod gauged;
mod guests;
mod hands;
mod health;
mod integrations;
mod leadership;
mod members;
mod outlets;
mod quiet;
mod quorum;
mod replicas;
mod rights;
mod samples;
mod scaling;
mod scaling_faults;
mod scaling_hpa;
mod scaling_targets;
mod specs;
mod stack;
mod stack_bad_input;
mod stack_fields;
mod storage;
mod support;
mod told;
mod unreadable;
mod world;
