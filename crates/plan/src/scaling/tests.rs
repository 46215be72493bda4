//! From an autoscaling block to what scales.
