//! Stories about the operator, told on a real control plane: `make test` starts one.

// In a story, what is not as expected ends the story.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bad_input;
mod changes;
mod crash;
mod drift;
mod health;
mod leadership;
mod quiet;
mod quorum;
mod replicas;
mod samples;
mod stack;
mod storage;
mod support;
mod unreadable;
