//! placeholder
/// placeholder
pub struct FaultProxy;
