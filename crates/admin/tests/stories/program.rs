//! The program `prism-admin`.

use std::process::Stdio;

use prism_proto::prism::metrics::v1::metrics_client::MetricsClient;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};
use tonic::Code;

use crate::support::{Authority, endpoint, lag_of, soon};

#[tokio::test]
async fn the_program_serves_until_sigterm_and_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("authority");
    let (certificate, key) = authority.issue();
    let files = [("tls.crt", certificate), ("tls.key", key.clone()), ("ca.crt", authority.certificate())];
    let [certificate_file, key_file, authority_file] = files.map(|(name, text)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    });
    let mut program = Command::new(env!("CARGO_BIN_EXE_prism-admin"))
        .args(["serve", "--bind-address", "127.0.0.1", "--grpc-port", "0", "--fault", "absent=unavailable"])
        .args(["--tls-cert".as_ref(), certificate_file.as_os_str()])
        .args(["--tls-key".as_ref(), key_file.as_os_str()])
        .args(["--client-ca".as_ref(), authority_file.as_os_str()])
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stderr.take().unwrap()).lines();
    let mut log = String::new();
    let address = loop {
        let line = soon("a line of the log", lines.next_line()).await.unwrap().unwrap();
        log += &line;
        let line: Value = serde_json::from_str(&line).unwrap();
        if let Some(address) = line["address"].as_str() {
            break address.parse().unwrap();
        }
    };

    let tls = authority.trust().identity(authority.client());
    let channel = endpoint(address).tls_config(tls).unwrap().connect_lazy();
    let request = prism_proto::prism::metrics::v1::QueryRequest { queries: vec![lag_of("orders")] };
    let status = soon("an answer", MetricsClient::new(channel).query(request)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("on purpose"), "{status}");

    let pid = Pid::from_raw(i32::try_from(program.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(soon("the end", program.wait()).await.unwrap().success());
    while let Some(line) = lines.next_line().await.unwrap() {
        log += &line;
    }
    assert!(log.contains("Shutting down"), "{log}");
    assert!(!log.contains(key.lines().nth(1).unwrap()), "the key is in the log");
}

#[tokio::test]
async fn plaintext_has_to_be_asked_for() {
    let run = Command::new(env!("CARGO_BIN_EXE_prism-admin")).args(["serve", "--grpc-port", "0"]).output();
    let output = soon("the end", run).await.unwrap();
    assert!(!output.status.success());
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("--tls-cert"), "{complaint}");
}
