//! `cargo xtask performance`: measures, and writes the figures into docs/performance.md.
//!
//! The page is written by hand but for its regions, each between two comments that name it; what stands
//! between them is what a command printed.

use std::{
    ffi::OsString,
    fs,
    process::{Command, Stdio},
};

use crate::{
    peers,
    step::{root, target},
};

/// Measures every region; that of other frameworks only where words say where they are.
pub fn run(words: &[OsString]) -> Result<String, String> {
    let path = root().join("docs/performance.md");
    let page = || fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()));
    // A page that lacks a region is found before anything takes minutes.
    let bench = ["bench", "curves", "against-chip", "memory"];
    let named = bench.iter().chain((!words.is_empty()).then_some(&"peers"));
    let names: Vec<&str> = named.copied().collect();
    let mut empty = page()?;
    for name in &names {
        empty = replaced(&empty, name, "")?;
    }
    peers::build()?;
    for name in names {
        let mut command = match name {
            "peers" => peers::command(words),
            _ => {
                let mut command = Command::new(target().join("release/spikeloop"));
                command.args(["bench", "--markdown"]);
                match name {
                    "curves" => command.args(["--curves", "--svg"]).arg(root().join("docs/images")),
                    "against-chip" => command
                        .args(["--against-chip", "--svg"])
                        .arg(root().join("docs/images")),
                    "memory" => command.arg("--memory"),
                    _ => &mut command,
                };
                command
            }
        };
        eprintln!("\n> measuring: {name}");
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| format!("measuring {name}: {error}"))?;
        if !output.status.success() {
            return Err(format!("measuring {name} failed ({})", output.status));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let page = replaced(&page()?, name, text.trim())?;
        fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(format!("Written into {}.", path.display()))
}

/// The page with other contents in one region.
fn replaced(page: &str, name: &str, contents: &str) -> Result<String, String> {
    let [begin, end] = [format!("<!-- begin: {name} -->"), format!("<!-- end: {name} -->")];
    let parts = page
        .split_once(&begin)
        .and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("docs/performance.md lacks {begin} or {end}"))?;
    Ok(format!("{before}{begin}\n\n{contents}\n\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_replaced_and_the_rest_stays() {
        let page = "# A\n<!-- begin: x -->\nold\n<!-- end: x -->\nb\n";
        let new = replaced(page, "x", "new").unwrap();
        assert_eq!(new, "# A\n<!-- begin: x -->\n\nnew\n\n<!-- end: x -->\nb\n");
        assert_eq!(replaced(&new, "x", "new").unwrap(), new);
        assert!(replaced(page, "y", "").unwrap_err().contains("begin: y"));
    }

    #[test]
    fn the_page_has_its_regions() {
        let page = fs::read_to_string(root().join("docs/performance.md")).unwrap();
        for name in ["bench", "curves", "against-chip", "memory", "peers"] {
            replaced(&page, name, "").unwrap();
        }
    }
}
