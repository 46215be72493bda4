//! Brings up a cluster in an empty folder, each step as soon as what it needs is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, Config};

use crate::certs::Pki;
use crate::cluster::Options;
use crate::component::{self, Component, Program};
use crate::error::{Error, Result, io};
use crate::flags::{self, Files};
use crate::programs::Programs;
use crate::progress::Progress;
use crate::{definitions, kubeconfig, nodes, volumes};

/// Nodes and the default service account are there within this time after the API server.
const SETTLE_TIMEOUT: Duration = Duration::from_mins(1);

/// Everything a component can be started with.
pub(crate) struct Starter<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) programs: &'a Programs,
    pub(crate) options: &'a Options,
    pub(crate) progress: &'a Progress,
    /// The `testbed` executable.
    pub(crate) testbed: PathBuf,
    /// What runs so far.
    pub(crate) running: Mutex<Vec<Component>>,
}

impl Starter<'_> {
    /// Starts everything and returns when the cluster is ready for use.
    pub(crate) async fn start(&self) -> Result<()> {
        let pki = Pki::of(self.folder);
        let files = Files { folder: self.folder, pki: &pki };
        for folder in ["logs", "components", "identities"] {
            let folder = self.folder.join(folder);
            fs::create_dir_all(&folder).map_err(io("create", folder))?;
        }
        let policy = files.audit_policy();
        fs::write(&policy, flags::AUDIT_POLICY).map_err(io("write", policy))?;
        pki.create()?;

        let [etcd, _] = self.etcd(&files).await?;
        let server = self.apiserver(&files, etcd).await?;
        let admin = self.write_kubeconfigs(&files, &server)?;
        self.progress.step("API server ready");

        let config = kubeconfig::load(&admin).await?;
        let client = Client::try_from(config.clone())?;
        if !self.options.definitions.is_empty() {
            definitions::install(&client, "prism-testbed", &self.options.definitions).await?;
            self.progress.step("definitions are served");
        }
        self.spawn(&Program {
            name: "kwok",
            executable: self.programs.kwok(),
            arguments: flags::kwok(&files, &self.programs.stages()),
            ..Program::default()
        })?;
        self.spawn(&Program {
            name: "volumes",
            executable: self.testbed.clone(),
            arguments: flags::volumes(&files),
            ..Program::default()
        })?;
        tokio::try_join!(
            self.controller_manager(&files, &config),
            self.scheduler(&files, &config),
            self.settle(&client),
        )?;
        Ok(())
    }

    async fn etcd(&self, files: &Files<'_>) -> Result<[u16; 2]> {
        let ports = self
            .launch(
                "etcd",
                |ports| flags::etcd(files, ports),
                async |[client, _]| {
                    let url = format!("http://127.0.0.1:{client}").parse().map_err(text)?;
                    answers(Config::new(url), "/readyz").await
                },
            )
            .await?;
        self.progress.step("etcd ready");
        Ok(ports)
    }

    /// Starts the API server and returns its URL.
    async fn apiserver(&self, files: &Files<'_>, etcd: u16) -> Result<String> {
        let administrator = files.pki.client("kubernetes-admin", &["system:masters"])?;
        let probe = files.kubeconfig("probe");
        let [port] = self
            .launch(
                "kube-apiserver",
                |[port]| flags::apiserver(files, etcd, port),
                async |[port]| {
                    let server = format!("https://127.0.0.1:{port}");
                    kubeconfig::write(&probe, &server, files.pki, "probe", &administrator).map_err(text)?;
                    answers(kubeconfig::load(&probe).await.map_err(text)?, "/readyz").await
                },
            )
            .await?;
        fs::remove_file(&probe).map_err(io("remove", &probe))?;
        Ok(format!("https://127.0.0.1:{port}"))
    }

    /// Writes the kubeconfigs of the user and of the components; returns the path of the user's.
    fn write_kubeconfigs(&self, files: &Files, server: &str) -> Result<PathBuf> {
        for (component, user, groups) in [
            ("kube-controller-manager", "system:kube-controller-manager", &[][..]),
            ("kube-scheduler", "system:kube-scheduler", &[]),
            ("kwok", "testbed:kwok", &["system:masters"]),
            ("volumes", "testbed:volumes", &["system:masters"]),
        ] {
            let identity = files.pki.client(user, groups)?;
            kubeconfig::write(&files.kubeconfig(component), server, files.pki, user, &identity)?;
        }
        let admin = self.folder.join("kubeconfig");
        let identity = files.pki.client("kubernetes-admin", &["system:masters"])?;
        kubeconfig::write(&admin, server, files.pki, "kubernetes-admin", &identity)?;
        Ok(admin)
    }

    async fn controller_manager(&self, files: &Files<'_>, config: &Config) -> Result<()> {
        self.controller("kube-controller-manager", config, |port| {
            flags::controller_manager(files, port, self.options)
        })
        .await
    }

    async fn scheduler(&self, files: &Files<'_>, config: &Config) -> Result<()> {
        self.controller("kube-scheduler", config, |port| flags::scheduler(files, port)).await
    }

    async fn controller(
        &self,
        name: &'static str,
        config: &Config,
        flags: impl Fn(u16) -> Vec<String>,
    ) -> Result<()> {
        self.launch(
            name,
            |[port]| flags(port),
            async |[port]| {
                let mut config = config.clone();
                config.cluster_url = format!("https://127.0.0.1:{port}").parse().map_err(text)?;
                answers(config, "/healthz").await
            },
        )
        .await?;
        self.progress.step(&format!("{name} ready"));
        Ok(())
    }

    /// Creates nodes and storage class and waits for everything that pods need.
    async fn settle(&self, client: &Client) -> Result<()> {
        let settled = async {
            volumes::create_storage_class(client).await?;
            nodes::add(client, &nodes::default_nodes()).await?;
            self.progress.step("nodes ready");
            let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
            let exists = |account: Option<&ServiceAccount>| account.is_some();
            await_condition(accounts, "default", exists)
                .await
                .map_err(|error| not_settled(&error.to_string()))?;
            self.progress.step("default service account exists");
            Ok(())
        };
        tokio::select! {
            settled = settled => settled,
            dead = self.until_one_dies() => Err(dead),
            () = tokio::time::sleep(SETTLE_TIMEOUT) => Err(not_settled("see the logs of kwok and of the controller manager")),
        }
    }

    async fn until_one_dies(&self) -> Error {
        loop {
            for component in self.running.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
                if let Err(error) = component.check() {
                    return error;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Starts a program of the control plane on free ports and waits for it.
    async fn launch<const N: usize>(
        &self,
        name: &'static str,
        flags: impl Fn([u16; N]) -> Vec<String>,
        is_ready: impl AsyncFn([u16; N]) -> Result<(), String>,
    ) -> Result<[u16; N]> {
        let executable = self.programs.controlplane();
        let program = |ports| Program {
            name,
            executable: executable.clone(),
            arguments: flags(ports),
            ..Program::default()
        };
        let (component, ports) = component::launch(self.folder, program, is_ready).await?;
        self.keep(component);
        Ok(ports)
    }

    fn spawn(&self, program: &Program) -> Result<()> {
        self.keep(Component::spawn(self.folder, program)?);
        Ok(())
    }

    fn keep(&self, component: Component) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).push(component);
    }
}

/// Whether a GET of `path` is answered with success.
pub(crate) async fn answers(config: Config, path: &str) -> Result<(), String> {
    let client = kubeconfig::impatient(config).map_err(text)?;
    let request = Request::get(path).body(Vec::new()).map_err(text)?;
    client.request_text(request).await.map(drop).map_err(text)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn not_settled(last: &str) -> Error {
    Error::NotReady { what: "the cluster".into(), seconds: SETTLE_TIMEOUT.as_secs(), last: last.to_owned() }
}
