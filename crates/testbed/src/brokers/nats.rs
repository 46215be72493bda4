//! NATS with `JetStream`, and the monitoring endpoint from which a scaler learns what is pending.

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::{self, Context, stream};
use futures::TryStreamExt;
use kube::Config;

use super::{Server, address, installed, scope};
use crate::component::Program;
use crate::error::{Error, Result};
use crate::start::answers;

/// A NATS server with `JetStream`, and a connection to it.
pub struct Nats {
    server: Server,
    ports: [u16; 2],
    context: Context,
}

impl Nats {
    /// Starts NATS, and returns when it answers. Streams belong to the account `$G`.
    ///
    /// # Errors
    /// [`Error::ProgramMissing`]; [`Error::ComponentDied`], [`Error::NotReady`].
    pub async fn start() -> Result<Self> {
        let executable = installed("nats-server", "nats-server", &[])?;
        let scope = scope()?;
        let store = scope.folder().join("store");
        let (server, ports) = Server::launch(
            scope,
            |[port, monitoring]| Program {
                name: "nats",
                executable: executable.clone(),
                arguments: vec![
                    "--addr=127.0.0.1".into(),
                    format!("--port={port}"),
                    format!("--http_port={monitoring}"),
                    "--jetstream".into(),
                    format!("--store_dir={}", store.display()),
                ],
                ..Program::default()
            },
            async |[_, monitoring]| {
                let url = format!("http://{}", address(monitoring));
                answers(Config::new(url.parse().map_err(|_| url)?), "/healthz").await
            },
        )
        .await?;
        let client =
            async_nats::connect(address(ports[0])).await.map_err(|error| refused("be reached", &error))?;
        Ok(Self { server, ports, context: jetstream::new(client) })
    }

    /// Host and port for clients.
    #[must_use]
    pub fn address(&self) -> String {
        address(self.ports[0])
    }

    /// Host and port of the monitoring endpoint, plain HTTP.
    #[must_use]
    pub fn monitoring_address(&self) -> String {
        address(self.ports[1])
    }

    /// Makes a stream in memory of everything that is published to `subject`.
    pub async fn create_stream(&self, stream: &str, subject: &str) -> Result<()> {
        let config = stream::Config {
            name: stream.to_owned(),
            subjects: vec![subject.to_owned()],
            storage: stream::StorageType::Memory,
            ..stream::Config::default()
        };
        let created = self.context.create_stream(config).await;
        created.map(drop).map_err(|error| refused("create a stream", &error))
    }

    /// Makes a durable consumer that is given messages on request, from the first on.
    pub async fn create_consumer(&self, stream: &str, consumer: &str) -> Result<()> {
        let config = pull::Config {
            durable_name: Some(consumer.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ..pull::Config::default()
        };
        let created = self.context.create_consumer_on_stream(config, stream).await;
        created.map(drop).map_err(|error| refused("create a consumer", &error))
    }

    /// Publishes `count` messages, and returns when all of them are stored.
    pub async fn publish(&self, subject: &str, count: u32) -> Result<()> {
        for number in 0..count {
            let sent = self.context.publish(subject.to_owned(), number.to_string().into()).await;
            let stored = sent.map_err(|error| refused("publish", &error))?.await;
            stored.map_err(|error| refused("store what was published", &error))?;
        }
        Ok(())
    }

    /// Takes `count` messages as `consumer`, and returns when their acknowledgements have arrived.
    ///
    /// # Errors
    /// [`Error::Broker`], also when fewer messages are there.
    pub async fn consume(&self, stream: &str, consumer: &str, count: usize) -> Result<()> {
        let consumer = self.consumer(stream, consumer).await?;
        let batch = consumer.fetch().max_messages(count).messages().await;
        let batch = batch.map_err(|error| refused("fetch messages", &error))?;
        let messages: Vec<_> =
            batch.try_collect().await.map_err(|error| refused("fetch messages", &*error))?;
        for message in &messages {
            message.double_ack().await.map_err(|error| refused("acknowledge", &*error))?;
        }
        if messages.len() == count {
            Ok(())
        } else {
            Err(refused("fetch messages", &format!("{} of {count} were there", messages.len())))
        }
    }

    /// Number of messages that `consumer` has not been given yet.
    pub async fn pending(&self, stream: &str, consumer: &str) -> Result<u64> {
        let mut consumer = self.consumer(stream, consumer).await?;
        let info = consumer.info().await.map_err(|error| refused("describe a consumer", &error))?;
        Ok(info.num_pending)
    }

    /// Ends the server at once, as a crash would.
    pub fn stop(&mut self) -> Result<()> {
        self.server.stop()
    }

    async fn consumer(&self, stream: &str, consumer: &str) -> Result<PullConsumer> {
        let found = self.context.get_consumer_from_stream(consumer, stream).await;
        found.map_err(|error| refused("find a consumer", &error))
    }
}

fn refused(action: &str, reason: &(impl std::fmt::Display + ?Sized)) -> Error {
    Error::Broker { program: "nats-server", action: action.to_owned(), reason: reason.to_string() }
}
