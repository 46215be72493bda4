//! Lists of a pod whose entries have keys: two of one key are one too many.
//!
//! Server-side apply answers no more than "duplicate entries for key", with the status of a server that is broken,
//! so what is double is told here, in the words of the spec.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ContainerPort, Volume, VolumeMount};
use serde_json::Value;

use super::{Program, storage};
use crate::invalid::Invalid;

/// Protocol of a port that names none.
const TCP: &str = "TCP";

/// Lists that Kubernetes merges by keys, wherever they stand in a pod. The first key is that of strategic merge
/// patches; ports are told apart by their protocol as well.
const KEYED: [(&str, &[&str]); 14] = [
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("volumes", &["name"]),
    ("imagePullSecrets", &["name"]),
    ("resourceClaims", &["name"]),
    ("schedulingGates", &["name"]),
    ("claims", &["name"]),
    ("env", &["name"]),
    ("ports", &["containerPort", "protocol"]),
    ("volumeMounts", &["mountPath"]),
    ("volumeDevices", &["devicePath"]),
    ("hostAliases", &["ip"]),
    ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
];

/// Keys of the entries of the list `name`, if it is one that has any.
pub(super) fn keys_of(name: &str) -> Option<&'static [&'static str]> {
    KEYED.iter().find(|(list, _)| *list == name).map(|(_, keys)| *keys)
}

/// What tells an entry apart from the others of its list: the values of its keys.
pub(super) fn key(entry: &Value, keys: &[&str]) -> Option<Vec<String>> {
    let value = |key: &&str| match entry.get(*key) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        None if *key == "protocol" => Some(TCP.to_owned()),
        _ => None,
    };
    keys.iter().map(value).collect()
}

/// Path of an entry of `value`, at any depth, of whose key there was one before, and the key.
pub(super) fn double(path: &str, value: &Value) -> Option<(String, String)> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(name, below)| {
            let path = format!("{path}.{name}");
            let list = keys_of(name).zip(below.as_array());
            list.and_then(|(keys, entries)| double_in(&path, keys, entries)).or_else(|| double(&path, below))
        }),
        Value::Array(entries) => {
            entries.iter().enumerate().find_map(|(index, entry)| double(&format!("{path}[{index}]"), entry))
        }
        _ => None,
    }
}

fn double_in(path: &str, keys: &[&str], entries: &[Value]) -> Option<(String, String)> {
    let mut seen = BTreeSet::new();
    let found = entries.iter().enumerate().find_map(|(index, entry)| {
        let key = key(entry, keys)?;
        (!seen.insert(key.clone())).then(|| (format!("{path}[{index}]"), key.join("/")))
    });
    if !keys.contains(&"containerPort") {
        return found;
    }
    let mut names = BTreeSet::new();
    let name_of = |(index, entry): (usize, &Value)| {
        let name = entry.get("name")?.as_str()?.to_owned();
        (!names.insert(name.clone())).then(|| (format!("{path}[{index}].name"), name))
    };
    // Ports have names, of which there is one of each as well.
    found.or_else(|| entries.iter().enumerate().find_map(name_of))
}

/// The ports of the main container: the program's own, with what the spec adds to one of them, and the spec's.
///
/// # Errors
/// When the spec gives one of its own ports, or a name of them, to something else.
pub(super) fn ports(program: &Program) -> Result<Vec<ContainerPort>, Invalid> {
    let own = program.ports.iter().map(|port| ContainerPort {
        name: Some(port.name.to_owned()),
        container_port: port.number,
        protocol: Some(TCP.to_owned()),
        ..ContainerPort::default()
    });
    let mut ports: Vec<ContainerPort> = Vec::new();
    for port in own {
        if let Some(other) = ports.iter().find(|other| other.container_port == port.container_port) {
            return Err(Invalid::new(
                format!("{}.service.port", program.field),
                format!(
                    "{} would be the port {} and the port {} of the program: choose another number for one of them",
                    port.container_port,
                    other.name.as_deref().unwrap_or_default(),
                    port.name.as_deref().unwrap_or_default()
                ),
            ));
        }
        ports.push(port);
    }
    for (index, wanted) in program.container_ports.iter().enumerate() {
        let field = format!("{}.ports[{index}]", program.field);
        let protocol = |port: &ContainerPort| port.protocol.clone().unwrap_or_else(|| TCP.to_owned());
        let is_same = |known: &&mut ContainerPort| {
            known.container_port == wanted.container_port && protocol(known) == protocol(wanted)
        };
        if let Some(known) = ports.iter_mut().find(is_same) {
            let name = known.name.clone().unwrap_or_default();
            if wanted.name.as_ref().is_some_and(|wanted| *wanted != name) {
                return Err(Invalid::new(
                    field,
                    format!(
                        "{}/{} is the port {name} of the program itself: remove the entry, or move that port with {}.service.port",
                        wanted.container_port,
                        protocol(wanted),
                        program.field
                    ),
                ));
            }
            known.host_port = wanted.host_port;
            known.host_ip.clone_from(&wanted.host_ip);
            continue;
        }
        let has_name = |known: &&ContainerPort| known.name.is_some() && known.name == wanted.name;
        if let Some(known) = ports.iter().find(has_name) {
            return Err(Invalid::new(
                format!("{field}.name"),
                format!(
                    "{} is the name of the port {}: choose another name",
                    wanted.name.as_deref().unwrap_or_default(),
                    known.container_port
                ),
            ));
        }
        ports.push(wanted.clone());
    }
    Ok(ports)
}

/// The volumes of the pod.
///
/// # Errors
/// When the spec gives the name of one that the operator makes to another: Kubernetes would mount the claim in its
/// place, and say nothing.
pub(super) fn volumes(program: &Program) -> Result<Vec<Volume>, Invalid> {
    let claimed = program.storage.iter().map(|_| storage::VOLUME);
    let names = program.volumes.iter().map(|volume| volume.name.as_str()).chain(claimed);
    let names: Vec<&str> = names.collect();
    let is_double = |(index, name): &(usize, &&str)| names.iter().skip(index + 1).any(|other| other == *name);
    match names.iter().enumerate().find(is_double) {
        None => Ok(program.volumes.clone()),
        Some((index, name)) => Err(Invalid::new(
            format!("{}.volumes[{index}].name", program.field),
            format!("{name} is the name of a volume that the operator makes: choose another name"),
        )),
    }
}

/// Where the main container finds the volumes, the claimed one last.
///
/// # Errors
/// When two of them would be at one path.
pub(super) fn mounts(program: &Program) -> Result<Vec<VolumeMount>, Invalid> {
    let claimed = program.storage.as_ref().map(|storage| VolumeMount {
        name: storage::VOLUME.to_owned(),
        mount_path: storage.mount_path.clone().unwrap_or_else(|| storage::DEFAULT_MOUNT_PATH.to_owned()),
        ..VolumeMount::default()
    });
    let mounts: Vec<VolumeMount> = program.volume_mounts.iter().cloned().chain(claimed.clone()).collect();
    for (index, mount) in mounts.iter().enumerate() {
        let Some(other) = mounts.iter().skip(index + 1).find(|other| other.mount_path == mount.mount_path)
        else {
            continue;
        };
        let is_spec_s = program.spec_mounts > index;
        let field = if is_spec_s {
            format!("volumeMounts[{index}].mountPath")
        } else {
            "storage.mountPath".to_owned()
        };
        let holder = if is_spec_s { other } else { mount };
        return Err(Invalid::new(
            format!("{}.{field}", program.field),
            format!(
                "{} is where the program finds its volume {}: choose another path",
                mount.mount_path, holder.name
            ),
        ));
    }
    Ok(mounts)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::ports(json!({"ports": [{"containerPort": 1}, {"containerPort": 1, "protocol": "TCP"}]}), Some("x.ports[1]"))]
    #[case::another_protocol(json!({"ports": [{"containerPort": 1}, {"containerPort": 1, "protocol": "UDP"}]}), None)]
    #[case::names_of_ports(json!({"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]}), Some("x.ports[1].name"))]
    #[case::deep(json!({"containers": [{"name": "a", "env": [{"name": "A"}, {"name": "A"}]}]}), Some("x.containers[0].env[1]"))]
    #[case::mounts(json!({"volumeMounts": [{"name": "a", "mountPath": "/a"}, {"name": "a", "mountPath": "/b"}]}), None)]
    fn what_is_double_is_found(#[case] value: Value, #[case] expected: Option<&str>) {
        // One volume may be mounted at two paths: the name is no key there.
        assert_eq!(double("x", &value).map(|(path, _)| path).as_deref(), expected);
    }
}
