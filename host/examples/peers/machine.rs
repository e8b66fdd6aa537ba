//! Which machine this is.

/// Processor and cores, as a sentence.
pub fn sentence() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = model(&cpuinfo).unwrap_or("an unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    format!("{name}, {cores} cores at hand")
}

fn model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC 9R14\nstepping\t: 1\n";
        assert_eq!(model(text), Some("AMD EPYC 9R14"));
        assert_eq!(model("processor: 0"), None);
        assert!(sentence().contains("cores"));
    }
}
