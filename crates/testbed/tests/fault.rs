//! The proxy lets everything through, except what it is told to stop.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod support;

use std::pin::pin;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use http::StatusCode;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use prism_testbed::fault::{After, Before};
use prism_testbed::{AUDITED_GROUP, FaultProxy, TestNamespace};
use support::testbed;

/// A proxy, a client that goes through it without retries, and a namespace.
async fn proxied(prefix: &str) -> (FaultProxy, Api<ConfigMap>, TestNamespace, String) {
    let testbed = testbed().await;
    let namespace = testbed.namespace(prefix).await.unwrap();
    let user = format!("proxied:{}", namespace.name());
    let groups = ["system:masters", AUDITED_GROUP];
    let proxy = FaultProxy::for_user(testbed.cluster(), &user, &groups).await.unwrap();
    let kubeconfig = Kubeconfig::read_from(proxy.kubeconfig()).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    let maps = Api::namespaced(Client::try_from(config).unwrap(), namespace.name());
    (proxy, maps, namespace, user)
}

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(serde_json::json!({ "metadata": { "name": name } })).unwrap()
}

async fn create(maps: &Api<ConfigMap>, name: &str) -> Result<ConfigMap, kube::Error> {
    maps.create(&PostParams::default(), &config_map(name)).await
}

#[tokio::test]
async fn a_watch_streams_and_writes_are_counted_under_the_programs_own_name() {
    let (proxy, maps, namespace, user) = proxied("watch").await;
    let mark = testbed().await.audit().unwrap().mark().unwrap();
    let version =
        maps.list(&kube::api::ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let events = maps.watch(&WatchParams::default(), &version).await.unwrap();
    let mut added = pin!(events.try_filter_map(async |event| Ok(match event {
        WatchEvent::Added(map) => Some(map.name_any()),
        _ => None,
    })));
    for (nth, name) in [(1, "one"), (2, "two")] {
        create(&maps, name).await.unwrap();
        // Each event arrives while the watch is open: the proxy holds nothing back.
        let event = tokio::time::timeout(Duration::from_secs(5), added.next()).await.unwrap();
        assert_eq!(event.unwrap().unwrap(), name);
        proxy.write(nth).await;
        assert_eq!(proxy.write_count(), nth);
    }
    let statuses: Vec<_> = proxy.writes().iter().map(|write| write.status).collect();
    assert_eq!(statuses, [Some(StatusCode::CREATED); 2]);
    let writes = testbed().await.audit().unwrap().writes_of(&user, mark).unwrap();
    assert_eq!(writes.objects.len(), 2, "in the audit log they stand under the name given to the program");
    drop(namespace);
}

#[tokio::test]
async fn a_chosen_write_fails_before_or_after_it_was_carried_out() {
    let (proxy, maps, _namespace, _) = proxied("faults").await;
    proxy.before(|request| match request.write {
        Some(1) => Before::Answer(StatusCode::CONFLICT),
        Some(2) => Before::Drop,
        Some(3) => Before::Delay(Duration::from_millis(50)),
        _ => Before::Pass,
    });
    proxy.after(|request, status| match request.write {
        Some(4) if status.is_success() => After::Drop,
        Some(5) => After::Answer(StatusCode::INTERNAL_SERVER_ERROR),
        _ => After::Pass,
    });

    let conflict = create(&maps, "one").await.unwrap_err();
    assert!(matches!(&conflict, kube::Error::Api(status) if status.is_conflict()), "{conflict}");
    create(&maps, "two").await.unwrap_err();
    create(&maps, "three").await.unwrap();
    create(&maps, "four").await.unwrap_err();
    create(&maps, "five").await.unwrap_err();

    let exists: Vec<_> = proxy.writes().iter().map(|write| write.status.is_some()).collect();
    assert_eq!(exists, [false, false, true, true, true]);
    for (name, should_exist) in
        [("one", false), ("two", false), ("three", true), ("four", true), ("five", true)]
    {
        assert_eq!(maps.get_opt(name).await.unwrap().is_some(), should_exist, "{name}");
    }

    proxy.reset();
    create(&maps, "six").await.unwrap();
    assert_eq!(proxy.write_count(), 1);
}

#[tokio::test]
async fn a_write_is_carried_out_although_the_program_dies_meanwhile() {
    let (proxy, maps, _namespace, _) = proxied("dies").await;
    proxy.before(|_| Before::Delay(Duration::from_millis(100)));
    // Giving up on the request closes its connection, as the death of the program would.
    tokio::time::timeout(Duration::from_millis(30), create(&maps, "one")).await.unwrap_err();
    proxy.before(|_| Before::Pass);
    prism_testbed::until(&maps, "one", "the write is carried out", Duration::from_secs(5), |map| {
        map.map(drop).ok_or_else(|| "the object does not exist".to_owned())
    })
    .await
    .unwrap();
}
