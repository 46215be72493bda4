//! Stories about the operator, told on a real control plane: `make test` starts one.

mod bad_input;
mod changes;
mod crash;
mod drift;
mod health;
mod leadership;
mod quiet;
mod replicas;
mod samples;
mod storage;
mod support;
