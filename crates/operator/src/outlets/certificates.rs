//! The Secret with the operator's certificates, which all replicas share.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta, jiff::Timestamp,
};
use kube::{Api, Client, ResourceExt, api::PostParams};
use prism_api::{labels, names};

use super::{
    identity::Identity,
    trouble::{Trouble, is_conflict},
};

/// Name of the Secret.
const NAME: &str = "prism-operator-serving";
/// Type of the Secret, whose keys `tls.crt` and `tls.key` Kubernetes prescribes.
const TYPE: &str = "kubernetes.io/tls";
/// Keys of the Secret, in the order of the fields of [`Identity`].
const KEYS: [&str; 4] = ["ca.crt", "ca.key", "tls.crt", "tls.key"];

/// Where the certificates are kept.
pub(super) struct Certificates {
    api: Api<Secret>,
    names: Vec<String>,
}

impl Certificates {
    /// Certificates for `names`, kept in `namespace`.
    pub(super) fn new(client: Client, namespace: &str, names: Vec<String>) -> Self {
        Self { api: Api::namespaced(client, namespace), names }
    }

    /// What is kept, made or renewed if that is due. Of several replicas that do so at the same time one
    /// wins, and the others read what it has made.
    pub(super) async fn load(&self) -> Result<Identity, Trouble> {
        loop {
            let found = self.api.get_opt(NAME).await.map_err(|error| trouble(&error))?;
            let (secret, written) = match found {
                None => {
                    let drawn =
                        Identity::draw(&self.names, Timestamp::now()).map_err(|_| unusable_names())?;
                    let secret = with(Secret::default(), &drawn);
                    (drawn, self.api.create(&PostParams::default(), &secret).await)
                }
                Some(secret)
                    if secret.labels().get(labels::APP_MANAGED_BY).map(String::as_str)
                        != Some(names::MANAGED_BY) =>
                {
                    return Err(Trouble::Taken(format!(
                        "Secret {NAME} was made by somebody else: delete it, or give it the label {}={}",
                        labels::APP_MANAGED_BY,
                        names::MANAGED_BY
                    )));
                }
                Some(secret) => {
                    let kept = kept(&secret);
                    let now = Timestamp::now();
                    let Some(due) = kept.due(&self.names, now) else { return Ok(kept) };
                    let renewed = kept.renew(due, &self.names, now).map_err(|_| unusable_names())?;
                    let secret = with(secret, &renewed);
                    (renewed, self.api.replace(NAME, &PostParams::default(), &secret).await)
                }
            };
            match written {
                Ok(_) => {
                    tracing::info!(secret = NAME, "Certificates were made");
                    return Ok(secret);
                }
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(trouble(&error)),
            }
        }
    }
}

/// What the Secret holds; what is missing or no text is empty, and due at once.
fn kept(secret: &Secret) -> Identity {
    let text = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key));
        bytes.and_then(|bytes| String::from_utf8(bytes.0.clone()).ok()).unwrap_or_default()
    };
    let [authorities, authority_key, certificate, key] = KEYS.map(text);
    Identity { authorities, authority_key, certificate, key }
}

/// `secret` with other contents. Its resource version, if it has one, makes the write one of us wins.
fn with(secret: Secret, identity: &Identity) -> Secret {
    let Identity { authorities, authority_key, certificate, key } = identity;
    let values = [authorities, authority_key, certificate, key].map(|text| text.clone().into_bytes());
    let data = KEYS.map(str::to_owned).into_iter().zip(values.map(ByteString));
    let mut labels: BTreeMap<_, _> = secret.metadata.labels.unwrap_or_default();
    labels.insert(labels::APP_MANAGED_BY.to_owned(), names::MANAGED_BY.to_owned());
    Secret {
        metadata: ObjectMeta { name: Some(NAME.to_owned()), labels: Some(labels), ..secret.metadata },
        type_: Some(TYPE.to_owned()),
        data: Some(data.collect()),
        ..secret
    }
}

fn trouble(error: &kube::Error) -> Trouble {
    Trouble::of(&format!("Secret {NAME}"), error)
}

fn unusable_names() -> Trouble {
    Trouble::Refused("no certificate can be made for these names: correct --serving-name".to_owned())
}
