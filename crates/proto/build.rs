//! Generates the code of the contracts. protox reads the `.proto` files, so no `protoc` is needed.

use std::error::Error;

/// Messages whose fields may hold credentials: their `Debug` is written by hand, in `src/secrets.rs`.
const SECRET: [&str; 2] = ["prism.BackendConfig", "prism.AuthConfig"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let contracts = [
        "prism/control_plane.proto",
        "prism/metrics/v1/metrics.proto",
        "externalscaler/externalscaler.proto",
    ];
    let descriptors = protox::compile(contracts, ["proto"])?;
    tonic_prost_build::configure()
        .include_file("contracts.rs")
        .skip_debug(SECRET)
        .compile_fds(descriptors)?;
    Ok(())
}
