//! Chip files that ship with the crate.

use alloc::{string::String, vec::Vec};

use crate::{
    energy::EnergyProfile,
    spec::{ChipSpec, SpecError},
};

/// Names and texts of the built-in chip files.
pub const BUILTIN: [(&str, &str); 3] = [
    ("hicann-x", include_str!("../chips/hicann-x.toml")),
    ("hicann-x-escape", include_str!("../chips/hicann-x-escape.toml")),
    ("ideal", include_str!("../chips/ideal.toml")),
];

/// Names and texts of the built-in files that hold a chip's energy and nothing else.
pub const BUILTIN_ENERGY: [(&str, &str); 3] = [
    ("dynap-se", include_str!("../chips/dynap-se.toml")),
    ("loihi", include_str!("../chips/loihi.toml")),
    ("generic-45nm", include_str!("../chips/generic-45nm.toml")),
];

/// The text of a built-in chip file, also of one that holds energy only.
pub fn builtin_text(name: &str) -> Option<&'static str> {
    let all = BUILTIN.iter().chain(&BUILTIN_ENERGY);
    all.into_iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// What is known of a built-in chip's energy.
///
/// # Errors
/// A name that is neither in [`BUILTIN`] nor in [`BUILTIN_ENERGY`] is a [`SpecError::Syntax`] that lists those there are.
pub fn builtin_energy(name: &str) -> Result<EnergyProfile, SpecError> {
    let text = builtin_text(name).ok_or_else(|| unknown(name, BUILTIN.iter().chain(&BUILTIN_ENERGY)))?;
    EnergyProfile::from_toml(text)
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a (&'a str, &'a str)>) -> SpecError {
    let known: Vec<_> = known.map(|(known, _)| *known).collect();
    let known: String = known.join(", ");
    SpecError::Syntax(alloc::format!("no chip is called {name:?}; built in are {known}"))
}

/// A built-in chip by name.
///
/// # Errors
/// A name that is not in [`BUILTIN`] is a [`SpecError::Syntax`] that lists those there are.
pub fn builtin(name: &str) -> Result<ChipSpec, SpecError> {
    let text = builtin_text(name).ok_or_else(|| unknown(name, BUILTIN.iter()))?;
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
    fn neurons_that_fire_by_chance_are_all_that_is_changed() {
        let mut noisy = builtin("hicann-x-escape").unwrap();
        assert!(noisy.adaptation.take().unwrap().escape_rate_per_us.value > 0.0);
        let plain = builtin("hicann-x").unwrap();
        (noisy.name, noisy.description) = (plain.name.clone(), plain.description.clone());
        assert_eq!(noisy, plain);
    }

    #[test]
    fn every_built_in_energy_is_valid() {
        for (name, text) in BUILTIN.iter().chain(&BUILTIN_ENERGY) {
            let profile = builtin_energy(name).unwrap();
            assert_eq!(profile.name, *name);
            assert_eq!(profile.pace.is_some(), text.contains("kind = \"energy\""));
        }
        let refused = builtin("loihi").unwrap_err().to_string();
        assert!(refused.contains("loihi is known by its energy only"), "{refused}");
        assert!(
            builtin_energy("spikey")
                .unwrap_err()
                .to_string()
                .contains("generic-45nm")
        );
    }

    #[test]
    fn coefficients_have_units() {
        for (name, text) in BUILTIN.iter().chain(&BUILTIN_ENERGY) {
            for (wrong, says) in [
                ("spike", "energy.spike: has no unit; write spike_pj = …, in pJ"),
                ("spike_nj", "energy.spike_nj: is in nJ; write spike_pj = …, in pJ"),
                ("spike_mw", "energy.spike_mw: is in mW; write spike_pj = …, in pJ"),
            ] {
                let text = text.replacen("\nspike_pj =", &std::format!("\n{wrong} ="), 1);
                let said = EnergyProfile::from_toml(&text).unwrap_err().to_string();
                assert_eq!(said, says, "{name}");
            }
            let text = text.replacen("value = 0.0, uncertainty = 0.0", "value = -1.0, uncertainty = 0.0", 1);
            let said = EnergyProfile::from_toml(&text).unwrap_err().to_string();
            assert!(said.contains(".value: is -1"), "{said}");
        }
    }

    #[test]
    fn physics_has_no_prices_and_is_a_chip() {
        let spec = builtin("hicann-x").unwrap();
        let physics = spec.physics().validated().unwrap();
        assert!(physics.energy.fit.is_none() && physics.energy.static_mw.value == 0.0);
        assert_eq!(physics.parameters, spec.parameters);
        let mut dearer = spec.clone();
        dearer.energy.static_mw.value *= 2.0;
        assert_eq!(dearer.physics(), physics);
    }

    #[test]
    fn nothing_is_priced_that_is_never_counted() {
        let refused = |text: &str| EnergyProfile::from_toml(text).unwrap_err().to_string();
        let loihi = builtin_text("loihi").unwrap();
        let without = loihi.replacen("[pace]\nstep_us = { value = 10.0, source = \"estimate\" }", "", 1);
        assert!(refused(&without).contains("pace: is missing"));
        let analog = loihi.replacen("step_us", "tau_mem_us", 1);
        assert!(refused(&analog).contains("neuron_update_pj: has a price, but no clock"));
        let text = builtin_text("hicann-x").unwrap();
        let clocked = text.replacen(
            "neuron_update_pj = { value = 0.0",
            "neuron_update_pj = { value = 5.0",
            1,
        );
        assert!(refused(&clocked).contains("no clock"));
        let nameless = loihi.replacen("name = \"loihi\"\n", "", 1);
        let said = ChipSpec::from_toml(&nameless).unwrap_err().to_string();
        assert!(said.contains("known by its energy only"), "{said}");
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
