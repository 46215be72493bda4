//! The pinned Kafka, fetched once for each machine from Maven Central.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hyper::body::Bytes;
use sha2::{Digest, Sha256};

use super::installed;
use crate::cache;
use crate::error::{Error, Result, io};
use crate::modules::{file_name, fingerprint};
use crate::progress::Progress;

/// Plugin of Maven that fetches what a file pins, and its task.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// Fetches Kafka, so that [`Kafka::start`](super::Kafka::start) needs no network; part of
/// `testbed build`. Blocks, for half a minute the first time.
///
/// Maven is asked, so its settings (`~/.m2/settings.xml`) say through which mirror or proxy.
///
/// # Errors
/// [`Error::ProgramMissing`], [`Error::KafkaOutOfReach`], [`Error::NoCacheFolder`].
pub fn fetch(progress: &Progress) -> Result<()> {
    jars(progress).map(drop)
}

/// Folder of the jars of Kafka and of all that it needs, fetched now if they are missing.
pub(super) fn jars(progress: &Progress) -> Result<PathBuf> {
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cluster/kafka");
    let name = format!("kafka-{}", fingerprint(&[&pinned])?);
    cache::kept(&name, progress, |partial| {
        progress.step("fetching Kafka: once for this version");
        download(&pinned.join("pom.xml"), partial)?;
        verify(&pinned.join("jars.sha256"), partial)?;
        progress.step("Kafka fetched");
        Ok(())
    })
}

fn download(pom: &Path, into: &Path) -> Result<()> {
    let mvn = installed("mvn", "maven", &[])?;
    let output = Command::new(mvn)
        .args(["--batch-mode", "--quiet", COPY, "-DincludeScope=runtime"])
        .arg("--file")
        .arg(pom)
        .arg(format!("-DoutputDirectory={}", into.display()))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::KafkaOutOfReach { reason: error.to_string() })?;
    if output.status.success() {
        Ok(())
    } else {
        Err(Error::KafkaOutOfReach { reason: String::from_utf8_lossy(&output.stdout).into_owned() })
    }
}

/// Compares all jars in `folder` with the pinned list: lines of a SHA-256 and a name, as `sha256sum`
/// prints them.
fn verify(list: &Path, folder: &Path) -> Result<()> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(io("list", folder))? {
        let path = entry.map_err(io("list", folder))?.path();
        let content = fs::read(&path).map_err(io("read", &path))?;
        let hash = Bytes::copy_from_slice(&Sha256::digest(content));
        found.push(format!("{hash:x}  {}", file_name(&path.to_string_lossy())));
    }
    let text = fs::read_to_string(list).map_err(io("read", list))?;
    let pinned: Vec<_> = text.lines().collect();
    let strange = found.iter().find(|one| !pinned.contains(&one.as_str()));
    let missing = pinned.iter().find(|one| !found.iter().any(|other| other == *one));
    match (strange, missing) {
        (None, None) => Ok(()),
        (Some(one), _) => Err(Error::KafkaOutOfReach { reason: format!("not in jars.sha256: {one}") }),
        (None, Some(one)) => Err(Error::KafkaOutOfReach { reason: format!("was not fetched: {one}") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jar_that_is_not_what_it_was_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (jars, list) = (folder.path().join("jars"), folder.path().join("jars.sha256"));
        fs::create_dir(&jars).unwrap();
        // The SHA-256 of no bytes at all.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        fs::write(&list, format!("{empty}  kafka.jar\n")).unwrap();

        let missing = verify(&list, &jars).unwrap_err().to_string();
        assert!(missing.contains("was not fetched"), "{missing}");
        fs::write(jars.join("kafka.jar"), "").unwrap();
        verify(&list, &jars).unwrap();
        fs::write(jars.join("kafka.jar"), "something else").unwrap();
        let other = verify(&list, &jars).unwrap_err().to_string();
        assert!(other.contains("not in jars.sha256"), "{other}");
    }
}
