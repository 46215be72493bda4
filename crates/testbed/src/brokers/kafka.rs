//! Kafka: one node that is broker and controller, questioned with its own tools.

use std::fs;
use std::path::PathBuf;

use super::jars::jars;
use super::{Call, Server, address, installed, scope};
use crate::component::{Program, log_of};
use crate::error::{Error, Result, io};
use crate::progress::Progress;

/// Java, as light as it gets: these processes are many and short.
const JAVA: [&str; 6] = [
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
];
/// What the server logs when it serves.
const STARTED: &str = "Kafka Server started";
/// Any id does: the node is alone.
const CLUSTER_ID: &str = "AAAAAAAAAAAAAAAAAAAAAQ";
/// Messages that do not come within this time are not there.
const CONSUME_TIMEOUT_MS: &str = "20000";

/// A Kafka broker.
pub struct Kafka {
    server: Server,
    port: u16,
    tools: Tools,
}

impl Kafka {
    /// Starts Kafka, and returns when it serves, after some six seconds. Fetches it first if this
    /// machine does not have it, which [`fetch`](super::fetch) prevents. Topics are not made by using
    /// them.
    ///
    /// # Errors
    /// [`Error::ProgramMissing`], [`Error::KafkaOutOfReach`]; [`Error::Broker`],
    /// [`Error::ComponentDied`], [`Error::NotReady`].
    pub async fn start() -> Result<Self> {
        let java = installed("java", "default-jre-headless", &[])?;
        let fetched = tokio::task::spawn_blocking(|| jars(&Progress::silent())).await;
        let jars = fetched.unwrap_or_else(|ended| Err(io("run", "mvn")(ended.into())))?;
        let tools = Tools { java, class_path: format!("{}/*", jars.display()) };

        let scope = scope()?;
        let settings = scope.folder().join("server.properties");
        fs::write(&settings, self::settings(&scope.folder().join("data").to_string_lossy()))
            .map_err(io("write", &settings))?;
        let settings = settings.to_string_lossy().into_owned();
        let format = ["format", "--cluster-id", CLUSTER_ID, "--config", &settings];
        tools.run("kafka.tools.StorageTool", &format, "", "prepare its folder").await?;

        let log = log_of(scope.folder(), "kafka");
        let (server, [port, _]) = Server::launch(
            scope,
            |[port, controller]| Program {
                name: "kafka",
                executable: tools.java.clone(),
                arguments: tools.arguments(
                    "kafka.Kafka",
                    &[
                        &settings,
                        "--override",
                        &format!(
                            "listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"
                        ),
                        "--override",
                        &format!("controller.quorum.voters=1@127.0.0.1:{controller}"),
                    ],
                ),
                ..Program::default()
            },
            async |_| {
                let text = fs::read_to_string(&log).map_err(|error| error.to_string())?;
                if text.contains(STARTED) { Ok(()) } else { Err("it is starting".to_owned()) }
            },
        )
        .await?;
        Ok(Self { server, port, tools })
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> String {
        address(self.port)
    }

    /// Makes a topic.
    pub async fn create_topic(&self, topic: &str, partitions: u32) -> Result<()> {
        let partitions = partitions.to_string();
        let arguments = ["--create", "--topic", topic, "--partitions", &partitions];
        self.ask("org.apache.kafka.tools.TopicCommand", &arguments, "", "make a topic").await.map(drop)
    }

    /// Writes `count` records, one partition after the other, and returns when all of them are stored.
    pub async fn produce(&self, topic: &str, count: usize) -> Result<()> {
        let records = "record\n".repeat(count);
        let round_robin = "partitioner.class=org.apache.kafka.clients.producer.RoundRobinPartitioner";
        // A record that cannot be stored is an error only with --sync, which then waits for company for
        // as long as --timeout says.
        let arguments = ["--topic", topic, "--sync", "--timeout", "0", "--producer-property", round_robin];
        let tool = "org.apache.kafka.tools.ConsoleProducer";
        self.ask(tool, &arguments, &records, "write records").await.map(drop)
    }

    /// Reads the next `count` records as the only member of `group`, the first time from the first on,
    /// and commits them.
    ///
    /// # Errors
    /// [`Error::Broker`], also when fewer records are there.
    pub async fn consume(&self, group: &str, topic: &str, count: usize) -> Result<()> {
        let number = count.to_string();
        let arguments = [
            "--group",
            group,
            "--topic",
            topic,
            "--from-beginning",
            "--max-messages",
            &number,
            "--timeout-ms",
            CONSUME_TIMEOUT_MS,
        ];
        let tool = "org.apache.kafka.tools.consumer.ConsoleConsumer";
        let records = self.ask(tool, &arguments, "", "read records").await?.lines().count();
        if records == count {
            Ok(())
        } else {
            let reason = format!("{records} of {count} were there");
            Err(Error::Broker { program: "ConsoleConsumer", action: "read records".into(), reason })
        }
    }

    /// Ends the broker at once, as a crash would.
    pub fn stop(&mut self) -> Result<()> {
        self.server.stop()
    }

    async fn ask(&self, tool: &'static str, arguments: &[&str], input: &str, action: &str) -> Result<String> {
        let address = self.address();
        let mut all = vec!["--bootstrap-server", &address];
        all.extend(arguments);
        self.tools.run(tool, &all, input, action).await
    }
}

/// Kafka's own programs.
struct Tools {
    java: PathBuf,
    class_path: String,
}

impl Tools {
    fn arguments(&self, class: &str, arguments: &[&str]) -> Vec<String> {
        let mut all: Vec<_> = JAVA.map(str::to_owned).to_vec();
        all.extend(["-cp", &self.class_path, class].map(str::to_owned));
        all.extend(arguments.iter().map(ToString::to_string));
        all
    }

    async fn run(
        &self,
        class: &'static str,
        arguments: &[&str],
        input: &str,
        action: &str,
    ) -> Result<String> {
        let arguments = self.arguments(class, arguments);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let call = Call {
            program: class,
            executable: &self.java,
            arguments: &arguments,
            environment: &[],
            user: None,
            input,
            action,
        };
        call.run().await
    }
}

/// Settings of a node that is alone; which ports, its command line says.
fn settings(data: &str) -> String {
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.listener.names=CONTROLLER\n\
         controller.quorum.voters=1@127.0.0.1:9093\n\
         listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\n\
         log.dirs={data}\n\
         auto.create.topics.enable=false\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n"
    )
}
