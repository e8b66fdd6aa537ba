//! Chip files that ship with the crate.

use crate::spec::{ChipSpec, SpecError};

/// Names and texts of the built-in chip files.
pub const BUILTIN: [(&str, &str); 2] = [
    ("hicann-x", include_str!("../chips/hicann-x.toml")),
    ("ideal", include_str!("../chips/ideal.toml")),
];

/// The text of a built-in chip file.
pub fn builtin_text(name: &str) -> Option<&'static str> {
    BUILTIN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// A built-in chip by name.
///
/// # Errors
/// A name that is not in [`BUILTIN`] is a [`SpecError::Syntax`] that lists those there are.
pub fn builtin(name: &str) -> Result<ChipSpec, SpecError> {
    let text = builtin_text(name).ok_or_else(|| {
        let known = BUILTIN.map(|(known, _)| known).join(", ");
        SpecError::Syntax(alloc::format!("no chip is called {name:?}; built in are {known}"))
    })?;
    ChipSpec::from_toml(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};

    #[test]
    fn every_built_in_chip_is_valid() {
        for (name, _) in BUILTIN {
            let spec = builtin(name).unwrap();
            assert_eq!(spec.name, name);
        }
    }

    #[test]
    fn mistakes_are_explained() {
        let text = builtin_text("hicann-x").unwrap();
        let error = |from: &str, to: &str| -> String {
            assert!(text.contains(from), "the fixture has no {from}");
            ChipSpec::from_toml(&text.replacen(from, to, 1))
                .unwrap_err()
                .to_string()
        };
        assert!(error("schema = 1", "schema = 99").contains("schema = 99"));
        assert!(error("bits = { value = 8", "bits = { value = 8.5").contains("whole number"));
        assert!(error("{ sigma = 0.05,", "{ sigma = 5,").contains("write 0.2 for 20 %"));
        assert!(error("min = 50.0", "min = 500.0").contains("not below max"));
        let unknown = error("[membrane]", "[membrane]\nwibble = 1");
        assert!(unknown.contains("wibble") && unknown.contains("line"), "{unknown}");
        assert!(error("source = \"hxtorch\"", "source = \"\"").contains("say where"));
        // Only where it would mean something may there be a bias.
        let row = "row = { sigma = 0.02,";
        assert!(error(row, "row = { sigma = 0.02, bias = 0.1,").contains("bias"));
        assert!(
            error(
                "stationary = { sigma = 0.02,",
                "stationary = { sigma = 0.02, bias = 0.1,"
            )
            .contains("bias")
        );
        assert!(error("column = { sigma = 0.02,", "column = { sigma = 0.02, bias = -1.0,").contains("positive"));
        let linear = "map = \"logarithmic\"\ncode_zero = 200.0";
        let from_zero = error(
            &std::format!("min = 0.5\nmax = 60.0\ndefault = 10.0\nsource = \"calix\"\n{linear}"),
            "min = 0.0\nmax = 60.0\ndefault = 10.0\nsource = \"calix\"\nmap = \"linear\"\ncode_zero = 200.0",
        );
        assert!(from_zero.contains("time constant"), "{from_zero}");
        assert!(error("code_zero = 200.0", "code_zero = -200.0").contains("must be above 0"));
        assert!(error("code_zero = 200.0", "code_zero = 20.0").contains("must contain min…max"));
        let coarse = error("step_ns = { value = 100,", "step_ns = { value = 400000,");
        assert!(coarse.contains("more than ten times"), "{coarse}");
        let mut spec = builtin("hicann-x").unwrap();
        spec.distribution = crate::spec::Distribution::TruncatedNormal;
        assert!(spec.clone().validated().is_ok());
        spec.synapse.column.sigma = 0.4;
        assert!(spec.validated().unwrap_err().to_string().contains("log-normal"));
        assert!(error("noise_interval_ns = { value = 400", "noise_interval_ns = { value = 150").contains("multiple"));
    }
}
