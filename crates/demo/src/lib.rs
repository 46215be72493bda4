//! What the demos have in common: the cluster that they act on, and how they end.

mod error;
mod place;
mod stage;

pub use error::{Error, Result};
pub use place::{MANAGER, Place};
pub use stage::{explain, play, until_interrupted};
