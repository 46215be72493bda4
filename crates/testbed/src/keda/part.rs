//! One program of KEDA, which can die and come back alone.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use kube::Config;
use tokio::net::TcpStream;

use crate::component::{Component, Program, launch};
use crate::error::Result;
use crate::start::answers;

/// One program of KEDA.
pub struct Part {
    folder: PathBuf,
    program: Program,
    health: Health,
    component: Component,
}

/// How a program tells that it serves.
#[derive(Clone)]
pub(super) struct Health {
    /// Whom to ask for `/readyz`.
    pub(super) config: Config,
    /// Port that is open only when it serves, where `/readyz` does not tell.
    pub(super) port: Option<u16>,
}

impl Health {
    async fn check(&self) -> Result<(), String> {
        answers(self.config.clone(), "/readyz").await?;
        if let Some(port) = self.port {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

impl Part {
    /// Starts the program on free ports, and returns when it serves.
    pub(super) async fn launch<const N: usize>(
        folder: &Path,
        program: impl Fn([u16; N]) -> Program,
        health: impl Fn([u16; N]) -> Result<Health>,
    ) -> Result<(Self, [u16; N])> {
        let is_ready = async |ports| health(ports).map_err(|error| error.to_string())?.check().await;
        let (component, ports) = launch(folder, &program, is_ready).await?;
        let part =
            Self { folder: folder.to_owned(), program: program(ports), health: health(ports)?, component };
        Ok((part, ports))
    }

    /// Ends the program at once, as a crash would: nothing is said to the cluster.
    ///
    /// While the adapter is away, `external.metrics.k8s.io` is not served, and Kubernetes deletes no
    /// namespace.
    pub fn stop(&mut self) -> Result<()> {
        self.component.kill()
    }

    /// Starts the program again, on the ports that it had, and returns when it serves.
    /// [`Keda::until_ready`](super::Keda::until_ready) tells when the cluster has noticed.
    ///
    /// # Errors
    /// [`Error::ComponentDied`](crate::Error::ComponentDied), also when somebody else has taken a port.
    pub async fn restart(&mut self) -> Result<()> {
        self.component.kill()?;
        self.component = Component::spawn(&self.folder, &self.program)?;
        self.component.until_ready(async || self.health.check().await).await
    }

    /// Id of its latest process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.component.pid()
    }

    /// Log of its latest process; gone with this KEDA.
    #[must_use]
    pub fn log(&self) -> &Path {
        self.component.log()
    }
}
