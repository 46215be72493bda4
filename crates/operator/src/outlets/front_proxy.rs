//! Who asks through the API server, which speaks for its users.
//!
//! The API server shows a client certificate of its own, and names the user in headers. Whoever else names one
//! is not believed. <https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/>

use http::HeaderMap;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use rustls::pki_types::CertificateDer;

use super::{identity::common_name_of, trouble::Trouble};

/// Where the cluster tells by what its API server is known.
const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";

/// By what the API server is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FrontProxy {
    /// Certificates of who signs for it, in PEM.
    pub(super) authorities: String,
    /// Common names that it may have; empty: any.
    allowed_names: Vec<String>,
    /// Headers with the user; the first that is there counts.
    user_headers: Vec<String>,
    /// Headers with the user's groups.
    group_headers: Vec<String>,
}

/// A user that the API server speaks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Requester {
    /// The name.
    pub(super) user: String,
    /// The groups.
    pub(super) groups: Vec<String>,
}

impl FrontProxy {
    /// Asks the cluster.
    pub(super) async fn read(client: Client) -> Result<Self, Trouble> {
        let what = format!("ConfigMap {NAMESPACE}/{NAME}");
        let found = Api::<ConfigMap>::namespaced(client, NAMESPACE).get(NAME).await;
        Self::of(&found.map_err(|error| Trouble::of(&what, &error))?).ok_or_else(|| {
            Trouble::Refused(format!(
                "{what} names no authority of the API server: start it with --requestheader-client-ca-file"
            ))
        })
    }

    /// `None`: the API server does not speak for anybody.
    fn of(told: &ConfigMap) -> Option<Self> {
        let text = |key: &str| told.data.as_ref().and_then(|data| data.get(key));
        let list = |key: &str| {
            let list = text(key).and_then(|list| serde_json::from_str::<Vec<String>>(list).ok());
            list.unwrap_or_default()
        };
        Some(Self {
            authorities: text("requestheader-client-ca-file").filter(|bundle| !bundle.is_empty())?.clone(),
            // A list that cannot be read must not let in everybody.
            allowed_names: match text("requestheader-allowed-names") {
                Some(names) => serde_json::from_str(names).ok()?,
                None => Vec::new(),
            },
            user_headers: list("requestheader-username-headers"),
            group_headers: list("requestheader-group-headers"),
        })
    }

    /// Whether a connection with this certificate, which an authority has signed, is the API server's.
    pub(super) fn is_proxy(&self, certificate: &CertificateDer<'_>) -> bool {
        self.allowed_names.is_empty()
            || common_name_of(certificate).is_some_and(|name| self.allowed_names.contains(&name))
    }

    /// Whom the API server speaks for; `None`: it does not say.
    pub(super) fn requester(&self, headers: &HeaderMap) -> Option<Requester> {
        let values = |names: &[String]| -> Vec<String> {
            let all = names.iter().flat_map(|name| headers.get_all(name.as_str()));
            let texts = all.filter_map(|value| value.to_str().ok()).filter(|text| !text.is_empty());
            texts.map(str::to_owned).collect()
        };
        let user = values(&self.user_headers).into_iter().next()?;
        Some(Requester { user, groups: values(&self.group_headers) })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn told(names: &str) -> ConfigMap {
        let told = json!({"data": {
            "requestheader-client-ca-file": "PEM",
            "requestheader-allowed-names": names,
            "requestheader-username-headers": r#"["X-Remote-User"]"#,
            "requestheader-group-headers": r#"["X-Remote-Group"]"#,
        }});
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn the_first_user_counts_and_every_group() {
        let proxy = FrontProxy::of(&told("[]")).unwrap();
        let mut headers = HeaderMap::new();
        headers.append("x-remote-user", "hpa".parse().unwrap());
        headers.append("x-remote-user", "other".parse().unwrap());
        headers.append("x-remote-group", "one".parse().unwrap());
        headers.append("x-remote-group", "two".parse().unwrap());
        let expected = Requester { user: "hpa".to_owned(), groups: vec!["one".to_owned(), "two".to_owned()] };
        assert_eq!(proxy.requester(&headers), Some(expected));
        assert_eq!(proxy.requester(&HeaderMap::new()), None);
    }

    #[rstest]
    #[case::a_list("[\"front-proxy-client\"]", true)]
    #[case::any("[]", true)]
    #[case::unreadable("front-proxy-client", false)]
    fn names_that_cannot_be_read_let_nobody_in(#[case] names: &str, #[case] is_usable: bool) {
        assert_eq!(FrontProxy::of(&told(names)).is_some(), is_usable);
    }
}
