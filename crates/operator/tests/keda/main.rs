//! Stories about scaling by KEDA, told with a real KEDA and real brokers: `make test` builds and starts them.

// In a story, what is not as expected ends the story.
#![allow(clippy::unwrap_used, clippy::panic)]

mod absent;
mod control;
mod credentials;
mod external;
mod fields;
#[path = "../stories/gauged.rs"]
#[allow(dead_code, reason = "these stories need a part of it")]
mod gauged;
mod hand_over;
mod queues;
mod rivals;
mod samples;
mod status;
mod story;
#[path = "../stories/support.rs"]
#[allow(dead_code, reason = "these stories need a part of it")]
mod support;
mod world;
