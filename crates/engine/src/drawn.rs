//! Data that was drawn at random: it is written once, and handed back as it is ever after.
//!
//! Its values are read for no other purpose than to be applied again, so that the operator owns every key:
//! then whoever takes one away takes it out of what the operator owns, and a metadata watch shows that.

use kube::{Api, api::DynamicObject};
use serde_json::{Map, Value};

use crate::{
    Engine,
    child::{Child, Content},
    error::Error,
};

impl Engine {
    /// The body that updates `child`, which is there as `uid`: with the data that it has, if that was drawn.
    ///
    /// # Errors
    /// [`Error::Lost`] when a key is missing.
    pub(crate) async fn body(&self, child: &Child, uid: &str) -> Result<Value, Error> {
        let mut body = child.updating_body(self.ledger.stamp(), uid);
        if child.content == Content::Planned {
            return Ok(body);
        }
        let (key, resource) = (&child.key, child.key.kind.api_resource());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &key.namespace, &resource);
        let live = api.get(&key.name).await.map_err(|error| Error::of_write(key, &error))?;
        let there = live.data.get("data").and_then(Value::as_object);
        let (data, missing) = kept(&child.data_keys(), there);
        if !missing.is_empty() {
            return Err(Error::Lost { key: key.clone(), missing });
        }
        body["data"] = Value::Object(data);
        // Whoever changes a value in between is not overruled: the next pass hands back the new one.
        body["metadata"]["resourceVersion"] = Value::from(live.metadata.resource_version);
        Ok(body)
    }
}

/// What of `keys` is there, and which of them are not.
fn kept(keys: &[&str], there: Option<&Map<String, Value>>) -> (Map<String, Value>, Vec<String>) {
    let (mut data, mut missing) = (Map::new(), Vec::new());
    for key in keys {
        match there.and_then(|there| there.get(*key)).filter(|value| *value != "") {
            Some(value) => drop(data.insert((*key).to_owned(), value.clone())),
            None => missing.push((*key).to_owned()),
        }
    }
    (data, missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_empty_value_is_as_good_as_none() {
        let there = json!({"password": "", "username": "cHJpc20=", "theirs": "eA=="});
        let (data, missing) = kept(&["password", "url", "username"], there.as_object());
        assert_eq!(json!(data), json!({"username": "cHJpc20="}));
        assert_eq!(missing, ["password", "url"]);
    }
}
