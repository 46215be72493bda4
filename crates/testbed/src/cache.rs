//! What was built or fetched once for this machine, outside of the checkout.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, io};
use crate::progress::Progress;

/// The folder `name` of the cache, filled now if this machine has not done so before.
///
/// A name says what is inside, version and all, so checkouts share a folder and an upgrade never breaks
/// an older checkout. `fill` is given an empty folder, which gets its name only when it is complete.
/// Blocks; a second caller waits for the first one to end.
pub(crate) fn kept(
    name: &str,
    progress: &Progress,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let cache = cache_folder()?;
    let home = cache.join(name);
    if home.is_dir() {
        return Ok(home);
    }
    fs::create_dir_all(&cache).map_err(io("create", &cache))?;
    let lock_path = cache.join("build.lock");
    let lock = File::create(&lock_path).map_err(io("create", &lock_path))?;
    if lock.try_lock().is_err() {
        progress.step("another build is under way: waiting for it");
        lock.lock().map_err(io("lock", &lock_path))?;
    }
    if home.is_dir() {
        return Ok(home);
    }
    let partial = cache.join(format!("{name}.partial"));
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(io("remove", &partial))?;
    }
    fs::create_dir(&partial).map_err(io("create", &partial))?;
    fill(&partial)?;
    fs::rename(&partial, &home).map_err(io("create", &home))?;
    Ok(home)
}

fn cache_folder() -> Result<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("PRISM_CACHE")
        .or_else(|| Some(from("XDG_CACHE_HOME")?.join("prism-operator")))
        .or_else(|| Some(from("HOME")?.join(".cache/prism-operator")))
        .ok_or(Error::NoCacheFolder)
}
