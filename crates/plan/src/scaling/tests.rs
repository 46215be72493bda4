//! Triggers of KEDA: what backends tell of them, where they get their credentials, and what is refused.

use prism_api::{connection::SecretRef, schema::FreeForm};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

/// A queue of that provider, for a workload that reads in the group `billing`.
fn queue(provider: &str, url: &str, settings: Value) -> Queue {
    let settings: FreeForm = serde_json::from_value(settings).unwrap();
    Queue {
        provider: provider.to_owned(),
        url: (!url.is_empty()).then(|| url.to_owned()),
        secret: None,
        settings: vec![settings],
        group: "billing".to_owned(),
    }
}

/// The workload `reader`, scaled by KEDA.
fn reader(mut autoscaling: Value, queues: Vec<Queue>) -> Scaling {
    autoscaling["scaler"] = json!("keda");
    autoscaling["maxReplicas"] = json!(9);
    let metadata = ObjectMeta { name: Some("reader".to_owned()), ..ObjectMeta::default() };
    let target = ScaleTarget {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        name: "reader".to_owned(),
    };
    Scaling {
        field: "spec.autoscaling".to_owned(),
        metadata,
        target,
        scaler: ActiveScaler::Keda,
        autoscaling: serde_json::from_value(autoscaling).unwrap(),
        queues,
        ..Scaling::default()
    }
}

/// A cluster with KEDA, and a Secret `login` that has these keys.
fn facts(keys: &[&str]) -> ScalingFacts {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    ScalingFacts {
        keda_is_served: true,
        secrets: [("login".to_owned(), SecretFacts::Keys(keys))].into(),
        ..ScalingFacts::default()
    }
}

fn triggers(plan: &ScalingPlan) -> Value {
    json!(plan.scalers.scaled_object.as_ref().unwrap().spec.triggers)
}

/// Parameters that come from Secrets, as `parameter=secret/key`.
fn parameters(plan: &ScalingPlan) -> Vec<String> {
    let targets = plan.scalers.authentications.iter().flat_map(|made| &made.spec.secret_target_ref);
    targets.map(|target| format!("{}={}/{}", target.parameter, target.name, target.key)).collect()
}

#[rstest]
#[case::kafka("kafka", "kafka://one:9092,two:9092", json!({"topics": ["orders", "late"], "autoOffsetReset": "earliest"}))]
#[case::nats("nats", "nats://bus:4222", json!({"stream": "ORDERS"}))]
#[case::redis_list("redis", "redis://:canary@cache:6379/2?password=canary", json!({"list": "jobs"}))]
#[case::redis_stream("redis", "rediss://cache:6380", json!({"stream": "jobs"}))]
#[case::postgres("postgres", "postgres://me:canary@db:5433/shop?a=b", json!({"query": "SELECT count(*) FROM jobs"}))]
#[case::sqs("sqs", "", json!({"queueURL": "https://sqs.example.com/1/jobs", "region": "eu-west-1"}))]
#[case::rabbitmq("rabbitmq", "", json!({"queue": "jobs", "vhost": "shop"}))]
fn a_backend_tells_what_to_scale_by(#[case] provider: &str, #[case] url: &str, #[case] settings: Value) {
    let plan = reader(json!({}), vec![queue(provider, url, settings)]).plan(&facts(&[])).unwrap();
    let triggers = triggers(&plan);
    assert!(!triggers.to_string().contains("canary"), "credentials of an address stay where they are");
    insta::with_settings!({snapshot_suffix => triggers[0]["type"].as_str().unwrap()}, {
        insta::assert_yaml_snapshot!(triggers);
    });
}

#[test]
fn the_first_backend_that_has_anything_waiting_counts() {
    let queues = vec![
        queue("memstore", "", json!({})),
        queue("redis", "redis://cache:6379", json!({"list": "jobs"})),
        queue("kafka", "kafka://one:9092", json!({"topics": ["orders"]})),
    ];
    let plan = reader(json!({}), queues).plan(&facts(&[])).unwrap();
    assert_eq!(triggers(&plan).as_array().unwrap().len(), 1);
    assert_eq!(triggers(&plan)[0]["type"], "redis");
}

#[test]
fn what_a_trigger_says_itself_wins_and_the_rest_comes_from_the_backend() {
    let written = json!([{"type": "kafka", "metadata": {"topic": "mine", "lagThreshold": "7"}}]);
    let queues = vec![queue("kafka", "kafka://one:9092", json!({"topics": ["orders"]}))];
    let plan = reader(json!({"triggers": written}), queues).plan(&facts(&[])).unwrap();
    let expected = json!({
        "topic": "mine", "lagThreshold": "7", "bootstrapServers": "one:9092", "consumerGroup": "billing",
    });
    assert_eq!(triggers(&plan)[0]["metadata"], expected);
}

#[rstest]
#[case::nothing_that_waits(json!({}), vec![], "spec.autoscaling.triggers", "name a backend")]
#[case::no_topic(json!({}), vec![queue("kafka", "kafka://one:9092", json!({}))], "spec.autoscaling.triggers", "backendConfig.kafka.topics")]
#[case::no_address(json!({}), vec![queue("nats", "", json!({"stream": "A"}))], "spec.autoscaling.triggers", "address of the backend")]
#[case::no_query(
    json!({"triggers": [{"type": "cpu"}, {"type": "postgresql"}]}),
    vec![queue("postgres", "", json!({}))], "spec.autoscaling.triggers[1]", "backendConfig.postgres.query"
)]
#[case::cpu_from_zero(json!({"minReplicas": 0, "targetCPU": 70}), vec![], "spec.autoscaling.minReplicas", "set 1 or more")]
#[case::memory_from_zero_at_night(
    json!({"triggers": [{"type": "memory", "metadata": {"value": "70"}}], "windows": [
        {"name": "night", "start": "0 20 * * *", "end": "0 6 * * *", "minReplicas": 0},
    ]}),
    vec![], "spec.autoscaling.windows[0].minReplicas", "set 1 or more"
)]
#[case::cpu_with_a_fallback(
    json!({"targetCPU": 70, "fallback": {"failureThreshold": 3, "replicas": 2}}),
    vec![], "spec.autoscaling.fallback", "remove fallback"
)]
fn what_keda_could_not_follow_is_refused_with_the_field_and_the_way_out(
    #[case] autoscaling: Value,
    #[case] queues: Vec<Queue>,
    #[case] field: &str,
    #[case] way_out: &str,
) {
    let refused = reader(autoscaling, queues).plan(&facts(&[])).unwrap_err().to_string();
    assert!(refused.starts_with(&format!("{field}: ")) && refused.contains(way_out), "{refused}");
}

#[test]
fn cpu_beside_something_that_waits_may_go_to_zero() {
    let queues = vec![queue("redis", "redis://cache:6379", json!({"list": "jobs"}))];
    let block = json!({"minReplicas": 0, "triggers": [{"type": "redis"}, {"type": "cpu", "metadata": {"value": "70"}}]});
    let plan = reader(block, queues).plan(&facts(&[])).unwrap();
    assert_eq!(plan.scalers.scaled_object.unwrap().spec.min_replica_count, 0);
}

#[rstest]
#[case::fewer_partitions_than_replicas(json!({"partitions": 4}), json!({}), 4, 1)]
#[case::more(json!({"partitions": 40}), json!({}), 9, 0)]
#[case::nobody_knows(json!({}), json!({}), 9, 0)]
#[case::idle_consumers_are_wanted(json!({"partitions": 4}), json!({"allowIdleConsumers": "true"}), 9, 0)]
fn a_consumer_that_would_have_nothing_to_read_is_not_started(
    #[case] mut settings: Value,
    #[case] metadata: Value,
    #[case] most: i32,
    #[case] warnings: usize,
) {
    settings["topics"] = json!(["orders"]);
    let block = json!({"triggers": [{"type": "kafka", "metadata": metadata}]});
    let plan = reader(block, vec![queue("kafka", "kafka://one:9092", settings)]).plan(&facts(&[])).unwrap();
    assert_eq!(plan.scalers.scaled_object.unwrap().spec.max_replica_count, most);
    assert_eq!(plan.warnings.len(), warnings, "{:?}", plan.warnings);
}

#[rstest]
#[case::redis("redis", &["REDIS_USERNAME", "redis-password", "notes"], &["username=login/REDIS_USERNAME", "password=login/redis-password"])]
#[case::kafka("kafka", &["sasl", "username", "password", "ca.crt"], &["sasl=login/sasl", "username=login/username", "password=login/password", "ca=login/ca.crt"])]
#[case::kafka_by_its_other_name("apache-kafka", &["password"], &["password=login/password"])]
#[case::postgres("postgresql", &["DATABASE_URL"], &["connection=login/DATABASE_URL"])]
#[case::sqs("aws-sqs-queue", &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], &["awsAccessKeyID=login/AWS_ACCESS_KEY_ID", "awsSecretAccessKey=login/AWS_SECRET_ACCESS_KEY"])]
#[case::rabbitmq("rabbitmq", &["AMQP_URL"], &["host=login/AMQP_URL"])]
#[case::any_other("prometheus", &["bearerToken", "ca"], &["bearerToken=login/bearerToken", "ca=login/ca"])]
fn keys_of_a_secret_become_the_parameters_of_the_trigger(
    #[case] type_: &str,
    #[case] keys: &[&str],
    #[case] expected: &[&str],
) {
    let block = json!({"triggers": [{"type": type_, "metadata": {"a": "b"}, "authenticationRef": {"name": "login"}}]});
    let plan = reader(block, vec![]).plan(&facts(keys)).unwrap();
    assert_eq!(parameters(&plan), expected);
    assert_eq!(triggers(&plan)[0]["authenticationRef"], json!({"name": format!("reader-login-{type_}")}));
}

#[rstest]
#[case::redis("redis", &[("password", "pass")], json!({"list": "jobs"}), &["username=login/username", "password=login/pass"])]
#[case::postgres_by_parts("postgres", &[], json!({"query": "SELECT 1"}), &["userName=login/username", "password=login/password"])]
#[case::postgres_by_its_address("postgres", &[("url", "dsn")], json!({"query": "SELECT 1"}), &["connection=login/dsn"])]
#[case::nats_needs_none("nats", &[("password", "pass")], json!({"stream": "A", "monitoringEndpoint": "bus:8222"}), &[])]
fn the_secret_of_a_backend_lets_its_trigger_in(
    #[case] provider: &str,
    #[case] keys: &[(&str, &str)],
    #[case] settings: Value,
    #[case] expected: &[&str],
) {
    let keys = keys.iter().map(|(what, key)| ((*what).to_owned(), (*key).to_owned())).collect();
    let secret = SecretRef { name: "login".to_owned(), namespace: None, keys };
    let url = if provider == "redis" { "redis://cache:6379" } else { "" };
    let queue = Queue { secret: Some(secret), ..queue(provider, url, settings) };
    let plan = reader(json!({}), vec![queue]).plan(&facts(&[])).unwrap();
    assert_eq!(parameters(&plan), expected);
    assert_eq!(triggers(&plan)[0]["authenticationRef"].is_null(), expected.is_empty());
}

#[rstest]
#[case::found_in_the_namespace(json!({"name": "theirs"}), json!({"name": "theirs"}))]
#[case::named_by_kind(json!({"name": "other", "kind": "TriggerAuthentication"}), json!({"name": "other"}))]
#[case::of_the_cluster(
    json!({"name": "other", "kind": "ClusterTriggerAuthentication"}),
    json!({"name": "other", "kind": "ClusterTriggerAuthentication"})
)]
fn an_authentication_of_somebody_else_is_used_as_it_is(#[case] reference: Value, #[case] expected: Value) {
    let facts = ScalingFacts { authentications: ["theirs".to_owned()].into(), ..facts(&[]) };
    let block =
        json!({"triggers": [{"type": "redis", "metadata": {"a": "b"}, "authenticationRef": reference}]});
    let plan = reader(block, vec![]).plan(&facts).unwrap();
    assert_eq!(triggers(&plan)[0]["authenticationRef"], expected);
    assert!(plan.scalers.authentications.is_empty());
}

#[test]
fn triggers_of_one_type_share_what_one_secret_gives() {
    let trigger = |list: &str| json!({"type": "redis", "metadata": {"listName": list}, "authenticationRef": {"name": "login"}});
    let block = json!({"triggers": [trigger("jobs"), trigger("urgent")]});
    let plan = reader(block, vec![]).plan(&facts(&["password"])).unwrap();
    assert_eq!(parameters(&plan), ["password=login/password"]);
}

#[test]
fn without_its_secret_a_trigger_waits_and_says_for_which() {
    let block = json!({"triggers": [{"type": "redis", "metadata": {"a": "b"}, "authenticationRef": {"name": "absent"}}]});
    let plan = reader(block, vec![]).plan(&facts(&["password"])).unwrap();
    assert_eq!(plan.obstacle, Some(Obstacle::SecretNotFound("absent".to_owned())));
    assert_eq!(plan.scalers, Scalers::default());
}

#[test]
fn a_secret_that_cannot_be_read_keeps_the_scaler_and_is_asked_for_again() {
    let unreadable = SecretFacts::Unreadable("forbidden".to_owned());
    let facts = ScalingFacts { secrets: [("login".to_owned(), unreadable)].into(), ..facts(&[]) };
    let block = json!({"triggers": [{"type": "redis", "metadata": {"a": "b"}, "authenticationRef": {"name": "login"}}]});
    let plan = reader(block, vec![]).plan(&facts).unwrap();
    assert_eq!(plan.obstacle, Some(Obstacle::SecretUnreadable("login".to_owned(), "forbidden".to_owned())));
    assert!(plan.keeps_scaler() && plan.needs_polling());
}

#[rstest]
#[case::by_hpa("hpa", json!({"targetCPU": 70, "targetMemory": 80}), &["cpu", "memory"])]
#[case::by_hpa_without_a_word("hpa", json!({}), &["cpu"])]
#[case::by_hpa_and_something_else("hpa", json!({"metrics": [{"type": "Pods", "pods": {
    "metric": {"name": "requests"}, "target": {"type": "AverageValue", "averageValue": "5"},
}}]}), &[])]
#[case::by_hpa_and_a_share_of_memory("hpa", json!({"metrics": [{"type": "Resource", "resource": {
    "name": "memory", "target": {"type": "Utilization", "averageUtilization": 80},
}}]}), &["memory"])]
#[case::by_keda("keda", json!({"triggers": [{"type": "cpu"}, {"type": "redis"}]}), &["cpu"])]
#[case::by_keda_in_another_container("keda", json!({"triggers": [{"type": "cpu", "metadata": {"containerName": "sidecar"}}]}), &[])]
#[case::by_keda_and_a_list("keda", json!({"triggers": [{"type": "redis"}]}), &[])]
#[case::by_metrics_of_the_admin("admin", json!({}), &[])]
fn what_scalers_measure_pods_by(#[case] scaler: &str, #[case] mut block: Value, #[case] expected: &[&str]) {
    block["scaler"] = json!(scaler);
    let autoscaling: Autoscaling = serde_json::from_value(block).unwrap();
    let scaling = Scaling { scaler: active_scaler(Some(&autoscaling)), autoscaling, ..Scaling::default() };
    assert_eq!(measured(&scaling, "runner"), expected);
}
