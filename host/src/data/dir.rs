//! Where data files are kept.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The folder that holds the data sets; it need not exist.
///
/// In this order: `flag` (the user's `--data`), the environment variable `SPIKELOOP_DATA`, the
/// folder `spikeloop` in the user's cache. That cache is `%LOCALAPPDATA%` on Windows, elsewhere
/// `$XDG_CACHE_HOME` or `$HOME/.cache`. Without any of them it is `.cache/spikeloop` in the
/// current folder. Empty variables count as unset.
#[must_use]
pub fn data_dir(flag: Option<&Path>) -> PathBuf {
    resolve(flag, cfg!(windows), |name| env::var_os(name))
}

/// The folder `spikeloop` in the user's cache, for what can be computed again; it need not exist. None where the user has no
/// cache: the current folder is no place for what nobody asked for.
#[must_use]
pub fn cache_dir() -> Option<PathBuf> {
    cache(cfg!(windows), |name| env::var_os(name))
}

/// [`data_dir`] with the environment as an argument, since tests cannot change the real one
/// safely while others run.
fn resolve(flag: Option<&Path>, windows: bool, variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    if let Some(folder) = flag {
        return folder.to_path_buf();
    }
    match variable("SPIKELOOP_DATA").filter(|value| !value.is_empty()) {
        Some(folder) => folder.into(),
        None => cache(windows, variable).unwrap_or_else(|| Path::new(".cache").join("spikeloop")),
    }
}

fn cache(windows: bool, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = if windows {
        variable("LOCALAPPDATA")
    } else {
        // The XDG base directory specification: relative paths are invalid and ignored.
        variable("XDG_CACHE_HOME")
            .filter(|folder| folder.is_absolute())
            .or_else(|| variable("HOME").map(|home| home.join(".cache")))
    };
    Some(cache?.join("spikeloop"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(flag: Option<&str>, windows: bool, variables: &[(&str, &str)]) -> PathBuf {
        resolve(flag.map(Path::new), windows, |name| {
            variables
                .iter()
                .find(|variable| variable.0 == name)
                .map(|variable| OsString::from(variable.1))
        })
    }

    #[test]
    fn flag_then_variable_then_cache() {
        let all = [("SPIKELOOP_DATA", "sets"), ("HOME", "home")];
        assert_eq!(with(Some("flag"), false, &all), Path::new("flag"));
        assert_eq!(with(None, false, &all), Path::new("sets"));
        assert_eq!(
            with(None, false, &all[1..]),
            Path::new("home").join(".cache").join("spikeloop")
        );
    }

    #[test]
    fn cache_of_each_system() {
        // An absolute path on every system.
        let absolute = env::temp_dir();
        let absolute = absolute.to_string_lossy();
        let xdg = [("XDG_CACHE_HOME", &*absolute), ("HOME", "home")];
        assert_eq!(with(None, false, &xdg), Path::new(&*absolute).join("spikeloop"));
        let relative = [("XDG_CACHE_HOME", "relative"), ("HOME", "home")];
        assert_eq!(
            with(None, false, &relative),
            Path::new("home").join(".cache").join("spikeloop")
        );
        let local = [("LOCALAPPDATA", "local"), ("HOME", "home")];
        assert_eq!(with(None, true, &local), Path::new("local").join("spikeloop"));
    }

    #[test]
    fn empty_or_absent_variables() {
        let empty = [("SPIKELOOP_DATA", ""), ("HOME", "")];
        for windows in [false, true] {
            let folder = with(None, windows, &empty);
            assert_eq!(folder, Path::new(".cache").join("spikeloop"));
        }
    }
}
