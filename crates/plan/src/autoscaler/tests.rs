//! From a `PrismAutoscaler` to what scales.
