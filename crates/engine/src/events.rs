//! Kubernetes Events: for what a user should notice, not for what went as planned.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use crate::{error::describe, object::Owner};

/// Publishes Events about owners; equal ones become a series.
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// Events of the controller `reporter`, in the instance `instance`.
    #[must_use]
    pub fn new(client: Client, reporter: &str, instance: &str) -> Self {
        let reporter = Reporter { controller: reporter.to_owned(), instance: Some(instance.to_owned()) };
        Self { recorder: Recorder::new(client, reporter) }
    }

    /// Something that a user has to know or mend.
    pub async fn warn(&self, owner: &Owner, reason: &str, note: &str) {
        self.publish(EventType::Warning, owner, reason, note).await;
    }

    /// Something out of the ordinary that went well.
    pub async fn tell(&self, owner: &Owner, reason: &str, note: &str) {
        self.publish(EventType::Normal, owner, reason, note).await;
    }

    /// An Event that cannot be published is logged and lost: the status says the same.
    async fn publish(&self, type_: EventType, owner: &Owner, reason: &str, note: &str) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note.chars().take(1024).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let about = ObjectReference {
            api_version: Some(owner.key.kind.api_version()),
            kind: Some(owner.key.kind.name.to_owned()),
            name: Some(owner.key.name.to_string()),
            namespace: Some(owner.key.namespace.to_string()),
            uid: Some(owner.uid.to_string()),
            ..ObjectReference::default()
        };
        if let Err(error) = self.recorder.publish(&event, &about).await {
            tracing::warn!(error = describe(&error), reason, "Event was not published");
        }
    }
}
