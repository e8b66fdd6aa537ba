//! A neuron's parameters, and the file they are read from.

use serde::{Deserialize, Serialize};

/// Layout of model files.
pub const SCHEMA: u32 = 1;

/// Models that the program brings with it, by name.
pub const BUILT_IN: [(&str, &str); 7] = [
    ("passive", include_str!("models/passive.toml")),
    ("lif", include_str!("models/lif.toml")),
    ("cuba-lif", include_str!("models/cuba-lif.toml")),
    ("cuba-lif-refractory", include_str!("models/cuba-lif-refractory.toml")),
    ("srm0", include_str!("models/srm0.toml")),
    ("gif", include_str!("models/gif.toml")),
    ("gif-escape", include_str!("models/gif-escape.toml")),
];

/// What is wrong with a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Neither a name nor a file that can be read.
    #[error("there is no neuron model {name:?}; there are {}, and files ({source})", names())]
    Unknown {
        /// As given.
        name: String,
        /// Why it is no file either.
        source: std::io::Error,
    },
    /// Not TOML, or a key that does not exist.
    #[error("{path} is not a neuron model:\n{message}")]
    Syntax {
        /// File.
        path: String,
        /// With line and column.
        message: String,
    },
    /// A newer layout.
    #[error("{path} has schema {schema}; this version reads {SCHEMA}")]
    Schema {
        /// File.
        path: String,
        /// Its schema.
        schema: u32,
    },
    /// A value that no neuron can have.
    #[error("{key} = {value}: {wanted}")]
    Invalid {
        /// Key.
        key: String,
        /// Its value.
        value: f64,
        /// What would be right.
        wanted: &'static str,
    },
    /// Kernels for what has none.
    #[error("a spike response model is a membrane with synapses whose reset subtracts; {0}")]
    NoKernels(&'static str),
}

fn names() -> String {
    BUILT_IN.map(|(name, _)| name).join(", ")
}

/// A neuron.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Layout of this file.
    pub schema: u32,
    /// Short name.
    pub name: String,
    /// In a line.
    #[serde(default)]
    pub description: String,
    /// The membrane.
    pub membrane: Membrane,
    /// Synaptic currents; without, an input spike moves V at once, by its weight in mV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synapses: Option<Synapses>,
    /// Threshold and reset; without, it is passive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firing: Option<Firing>,
}

/// A leaky membrane.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membrane {
    /// C, pF.
    pub capacitance_pf: f64,
    /// g_L, nS.
    pub leak_ns: f64,
    /// E_L, mV.
    pub rest_mv: f64,
}

impl Membrane {
    /// τ = C / g_L, ms.
    pub fn tau_ms(&self) -> f64 {
        self.capacitance_pf / self.leak_ns
    }
}

/// Currents that decay exponentially.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Synapses {
    /// Of weights above 0, ms.
    pub tau_exc_ms: f64,
    /// Of weights below 0, ms.
    pub tau_inh_ms: f64,
}

/// When it fires, and what follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firing {
    /// V_T*, mV.
    pub threshold_mv: f64,
    /// What a spike does to V.
    pub reset: Reset,
    /// Time for which V is held after a spike, ms; rounded to whole steps.
    #[serde(default)]
    pub refractory_ms: f64,
    /// Fires by chance; without, wherever V reaches the threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escape: Option<Escape>,
    /// η: what each spike adds to a current that is subtracted, pA.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spike_current_pa: Vec<Exponential>,
    /// γ: what each spike adds to the threshold, mV.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moving_threshold_mv: Vec<Exponential>,
}

/// What a spike does to V.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reset {
    /// Sets it to a level, mV.
    ToMv(f64),
    /// Takes the distance from rest to V_T* away.
    Subtract,
}

/// Firing by chance: at the rate λ₀ exp((V − V_T) / ΔV).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Escape {
    /// λ₀, the rate at the threshold, 1/ms.
    pub rate_per_ms: f64,
    /// ΔV, mV.
    pub width_mv: f64,
}

/// What decays exponentially.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exponential {
    /// What each spike adds.
    pub jump: f64,
    /// ms.
    pub tau_ms: f64,
}

impl Model {
    /// A built-in one by its name, or one from a file.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn load(name: &str) -> Result<Self, ModelError> {
        let text = match BUILT_IN.iter().find(|known| known.0 == name) {
            Some((_, text)) => (*text).to_owned(),
            None => std::fs::read_to_string(name).map_err(|source| ModelError::Unknown {
                name: name.into(),
                source,
            })?,
        };
        Self::from_toml(name, &text)
    }

    /// From text; `path` is for messages.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn from_toml(path: &str, text: &str) -> Result<Self, ModelError> {
        #[derive(Deserialize)]
        struct Header {
            schema: u32,
        }
        let syntax = |error: toml::de::Error| ModelError::Syntax {
            path: path.into(),
            message: error.to_string(),
        };
        let header: Header = toml::from_str(text).map_err(syntax)?;
        if header.schema != SCHEMA {
            return Err(ModelError::Schema {
                path: path.into(),
                schema: header.schema,
            });
        }
        let model: Self = toml::from_str(text).map_err(syntax)?;
        model.check()?;
        Ok(model)
    }

    /// Whether it can be.
    ///
    /// # Errors
    /// [`ModelError::Invalid`] names the key.
    pub fn check(&self) -> Result<(), ModelError> {
        let positive = |key: &str, value: f64| match value > 0.0 && value.is_finite() {
            true => Ok(()),
            false => Err(invalid(key, value, "has to be a number above 0")),
        };
        let finite = |key: &str, value: f64| match value.is_finite() {
            true => Ok(()),
            false => Err(invalid(key, value, "has to be a number")),
        };
        positive("membrane.capacitance_pf", self.membrane.capacitance_pf)?;
        positive("membrane.leak_ns", self.membrane.leak_ns)?;
        finite("membrane.rest_mv", self.membrane.rest_mv)?;
        if let Some(synapses) = &self.synapses {
            positive("synapses.tau_exc_ms", synapses.tau_exc_ms)?;
            positive("synapses.tau_inh_ms", synapses.tau_inh_ms)?;
        }
        let Some(firing) = &self.firing else { return Ok(()) };
        finite("firing.threshold_mv", firing.threshold_mv)?;
        if !(firing.refractory_ms >= 0.0 && firing.refractory_ms.is_finite()) {
            return Err(invalid(
                "firing.refractory_ms",
                firing.refractory_ms,
                "has to be 0 or more",
            ));
        }
        if let Reset::ToMv(level) = firing.reset {
            finite("firing.reset.to-mv", level)?;
        }
        match firing.reset {
            Reset::ToMv(level) if level >= firing.threshold_mv => {
                return Err(invalid("firing.reset.to-mv", level, "has to be below the threshold"));
            }
            Reset::Subtract if self.membrane.rest_mv >= firing.threshold_mv => {
                let wanted = "has to be below the threshold, for a reset that subtracts their distance";
                return Err(invalid("membrane.rest_mv", self.membrane.rest_mv, wanted));
            }
            _ => {}
        }
        if let Some(escape) = &firing.escape {
            positive("firing.escape.rate_per_ms", escape.rate_per_ms)?;
            positive("firing.escape.width_mv", escape.width_mv)?;
        }
        for (key, terms) in [
            ("firing.spike_current_pa", &firing.spike_current_pa),
            ("firing.moving_threshold_mv", &firing.moving_threshold_mv),
        ] {
            for (place, term) in terms.iter().enumerate() {
                finite(&format!("{key}[{place}].jump"), term.jump)?;
                positive(&format!("{key}[{place}].tau_ms"), term.tau_ms)?;
            }
        }
        Ok(())
    }
}

fn invalid(key: &str, value: f64, wanted: &'static str) -> ModelError {
    ModelError::Invalid {
        key: key.into(),
        value,
        wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_built_in_can_be_read() {
        for (name, _) in BUILT_IN {
            let model = Model::load(name).unwrap();
            assert_eq!(model.name, name);
            let text = toml::to_string(&model).unwrap();
            assert_eq!(Model::from_toml(name, &text).unwrap(), model);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let (_, gif) = BUILT_IN[5];
        for (from, to, says) in [
            ("leak_ns", "leak_nS", "unknown field"),
            ("schema = 1", "schema = 2", "schema 2"),
            ("tau_exc_ms = ", "tau_exc_ms = -", "synapses.tau_exc_ms"),
            ("to-mv = -60.0", "to-mv = -10.0", "below the threshold"),
            ("refractory_ms = 3.0", "refractory_ms = nan", "firing.refractory_ms"),
            ("tau_ms = 90.0", "tau_ms = 0.0", "firing.spike_current_pa[1].tau_ms"),
        ] {
            assert!(gif.contains(from), "{from}");
            let message = Model::from_toml("m.toml", &gif.replace(from, to))
                .unwrap_err()
                .to_string();
            assert!(message.contains(says), "{says}: {message}");
        }
        let message = Model::load("nothing").unwrap_err().to_string();
        assert!(
            message.contains("\"nothing\"") && message.contains("gif-escape"),
            "{message}"
        );
    }
}
