//! What the demo and the benchmark set up, and how they show that they are at it.

mod definitions;
mod error;
mod operator;
mod steps;

pub use definitions::install_definitions;
pub use error::{Error, Result};
pub use operator::{OperatorProcess, sibling};
pub use steps::{Note, Steps};
