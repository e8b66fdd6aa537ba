//! Where real data may be.

use std::path::{Path, PathBuf};

/// `SPIKELOOP_DATA`, else the copy shared beside a development checkout.
pub fn folder() -> PathBuf {
    match std::env::var_os("SPIKELOOP_DATA") {
        Some(folder) if !folder.is_empty() => folder.into(),
        _ => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    }
}
