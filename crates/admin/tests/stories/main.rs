//! Stories about the admin, told over gRPC with TLS on loopback.

// In a story, what is not as expected ends the story.
#![allow(clippy::unwrap_used, clippy::panic)]
// Small whole numbers come back as they were sent.
#![allow(clippy::float_cmp)]

mod faults;
mod life;
mod metrics;
mod program;
mod support;
mod transport;
mod watch;
