//! The folder of a cluster: emptied only if it is ours, used by one process at a time.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Error, Result, io};
use crate::process::{kill_all, register};

/// Makes sure that `folder` holds nothing but the lock, ending what still runs from it. Returns
/// whether there was anything.
pub(crate) fn clear(folder: &Path) -> Result<bool> {
    let entries: Vec<_> = fs::read_dir(folder)
        .map_err(io("list", folder))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| !path.ends_with(Lock::FILE))
        .collect();
    if entries.is_empty() {
        return Ok(false);
    }
    if !register(folder).exists() {
        return Err(Error::ForeignFolder(folder.to_owned()));
    }
    kill_all(folder)?;
    // The register goes last: as long as it is there, the folder is known to be ours.
    let (register, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|path| path.ends_with("pids"));
    for path in others.into_iter().chain(register) {
        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
            .map_err(io("remove", &path))?;
    }
    Ok(true)
}

/// One process at a time starts or ends the cluster of a folder; the system lets go of the lock when
/// its holder dies.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    const FILE: &str = "lock";

    pub(crate) fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(Self::FILE);
        loop {
            let file = File::create(&path).map_err(io("create", &path))?;
            file.lock().map_err(io("lock", &path))?;
            // Somebody may have removed the folder while we waited, and another may have made it anew.
            if fs::metadata(&path).ok().map(|now| now.ino()) == file.metadata().ok().map(|ours| ours.ino()) {
                return Ok(Self { _file: file });
            }
            fs::create_dir_all(folder).map_err(io("create", folder))?;
        }
    }

    /// The lock, unless somebody holds it.
    pub(crate) fn try_take(folder: &Path) -> Option<Self> {
        let file = File::options().write(true).open(folder.join(Self::FILE)).ok()?;
        file.try_lock().ok()?;
        Some(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cluster;

    #[test]
    fn a_folder_with_other_things_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
        let error = Cluster::down(folder.path()).unwrap_err();
        assert!(matches!(error, Error::ForeignFolder(_)), "{error}");
        assert!(folder.path().join("thesis.txt").exists());
    }
}
