//! The test bench: every circuit is a neuron of its own, and all are driven alike.

use serde::{Deserialize, Serialize};
use spikeloop_chip::{
    dac::Codes,
    drift::Environment,
    event::InputEvent,
    random::{Purpose, Stream},
    recorder::RecordRequest,
    spec::ChipSpec,
    weights::Weights,
    wiring::{Population, Projection, Source, Wiring},
};

use super::{CalibrationError, estimate::Estimate};
use crate::{
    network::{Layer, Network, Nominal},
    placement::Placement,
    substrate::{ConfigurationSeed, EventBatch, Recording, Substrate, TrialSeed},
};

/// What the circuits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// They integrate and never spike.
    Integrators,
    /// They spike.
    Neurons,
}

/// What measuring has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effort {
    /// Analog configurations written.
    pub configurations: u32,
    /// Runs.
    pub runs: u32,
    /// Time that the chip has run, ns.
    pub chip_time_ns: u64,
}

impl std::ops::AddAssign for Effort {
    fn add_assign(&mut self, more: Self) {
        self.configurations += more.configurations;
        self.runs += more.runs;
        self.chip_time_ns += more.chip_time_ns;
    }
}

/// A chip on the test bench.
pub struct Rig<'a> {
    substrate: &'a mut dyn Substrate,
    spec: &'a ChipSpec,
    seeds: Stream,
    environment: Environment,
    recording: Recording,
    effort: Effort,
}

impl<'a> Rig<'a> {
    /// Puts a chip of this kind on the bench; the same seed measures with the same noise.
    pub fn new(substrate: &'a mut dyn Substrate, spec: &'a ChipSpec, seed: u64) -> Self {
        Self {
            substrate,
            spec,
            seeds: Stream::new(Purpose::Calibration, &[seed]),
            environment: Environment::fresh(spec),
            recording: Recording::default(),
            effort: Effort::default(),
        }
    }

    /// The same in other surroundings.
    #[must_use]
    pub fn within(mut self, environment: &Environment) -> Self {
        self.environment = environment.clone();
        self
    }

    /// The same after so much effort, which all noise that follows depends on.
    #[must_use]
    pub fn after(mut self, effort: Effort) -> Self {
        self.effort = effort;
        self
    }

    /// What kind of chip it is.
    pub fn spec(&self) -> &'a ChipSpec {
        self.spec
    }

    /// What measuring has cost so far.
    pub fn effort(&self) -> Effort {
        self.effort
    }

    /// Inputs, each of which has a synapse with every circuit.
    pub fn inputs(&self) -> usize {
        self.spec.signed_inputs()
    }

    /// Writes an analog configuration; all weights are 0.
    ///
    /// # Errors
    /// The substrate's.
    pub fn configure(&mut self, role: Role, codes: &Codes) -> Result<(), CalibrationError> {
        if self.spec.adaptation.is_some() {
            let chip = self.spec.name.clone();
            return Err(CalibrationError::Adapts { chip });
        }
        let circuits = self.spec.circuits();
        let all = (0..circuits).map(|circuit| circuit as u16).collect();
        let population = match role {
            Role::Integrators => Population::readout(circuits, 1, all),
            Role::Neurons => Population::spiking(circuits, 1, all),
        };
        let layer = Layer {
            size: circuits,
            recurrent: false,
            spiking: role == Role::Neurons,
        };
        let placement = Placement {
            network: Network {
                inputs: self.inputs(),
                layers: vec![layer],
                nominal: Nominal::default(),
            },
            wiring: Wiring {
                inputs: self.inputs(),
                populations: vec![population],
                projections: vec![Projection::all_to_all(Source::Inputs, 0, 0)],
            },
            weight_range: vec![1.0],
            weight_max: self.spec.weight_max(),
            dead_in_use: Vec::new(),
        };
        let seed = ConfigurationSeed(self.seeds.seed(self.effort.configurations, 0, 0));
        self.effort.configurations += 1;
        self.substrate.configure(&placement, codes, seed)?;
        self.substrate.set_environment(&self.environment)?;
        self.set_weights(0)
    }

    /// Gives all synapses the same weight.
    ///
    /// # Errors
    /// The substrate's.
    pub fn set_weights(&mut self, code: i8) -> Result<(), CalibrationError> {
        self.set_weights_of(|_| code)
    }

    /// Gives all synapses of a circuit the same weight.
    ///
    /// # Errors
    /// The substrate's.
    pub fn set_weights_of(&mut self, code: impl Fn(usize) -> i8) -> Result<(), CalibrationError> {
        let row: Vec<i8> = (0..self.spec.circuits()).map(code).collect();
        self.substrate
            .program(&Weights::Codes(vec![row.repeat(self.inputs())]))?;
        Ok(())
    }

    /// How many inputs have to fire in a volley for membranes to rise by so much, with synapses so strong that their
    /// currents are limited, and as fast as `tau_syn_us`: a limited current is the same for all circuits.
    pub fn inputs_for(&self, rise_lsb: f64, tau_syn_us: f64) -> usize {
        let event_us = 1e-3 * self.spec.timing.input_link.event_interval_ns.value;
        let volley_us = rise_lsb / self.spec.synapse.current_max_lsb_per_us.value - tau_syn_us;
        ((volley_us / event_us) as usize).clamp(8.min(self.inputs()), self.inputs())
    }

    /// A volley of so many inputs at a time, as fast as the link takes them.
    pub fn volley(&self, time_ns: u32, inputs: usize) -> Vec<InputEvent> {
        let interval_ns = self.spec.timing.input_link.event_interval_ns.value as u32;
        let event = |unit: usize| InputEvent {
            time_ns: time_ns + unit as u32 * interval_ns,
            unit: unit as u16,
        };
        (0..inputs.min(self.inputs())).map(event).collect()
    }

    /// What [`Self::record`] asks the substrate for.
    pub(super) fn request(&self, duration_ns: u32) -> RecordRequest {
        RecordRequest {
            duration_ns,
            adc_interval_ns: self.spec.adc_interval_ns(),
            spikes: true,
        }
    }

    /// Writes these codes so many times, measures something of each circuit each time, and takes means over them:
    /// none, where one of them gave none.
    ///
    /// # Panics
    /// With less than two configurations.
    pub(super) fn over_configurations(
        &mut self,
        (role, codes): (Role, &Codes),
        configurations: usize,
        mut measure: impl FnMut(&mut Self) -> Result<Vec<Option<f64>>, CalibrationError>,
    ) -> Result<Vec<Option<Estimate>>, CalibrationError> {
        let mut all = vec![Some(Vec::with_capacity(configurations)); self.spec.circuits()];
        for _ in 0..configurations {
            self.configure(role, codes)?;
            for (all, found) in all.iter_mut().zip(measure(self)?) {
                match (all.as_mut(), found) {
                    (Some(all), Some(found)) => all.push(found),
                    _ => *all = None,
                }
            }
        }
        Ok(all.into_iter().map(|all| all.map(|all| Estimate::of(&all))).collect())
    }

    /// Runs the same events so many times, and samples all membranes.
    ///
    /// # Errors
    /// The substrate's, or that it has no ADC.
    pub fn record(
        &mut self,
        events: &[InputEvent],
        duration_ns: u32,
        samples: usize,
    ) -> Result<&Recording, CalibrationError> {
        let batch = EventBatch {
            offsets: (0..=samples).map(|sample| sample * events.len()).collect(),
            events: events.repeat(samples),
        };
        self.record_batch(&batch, duration_ns)
    }

    /// Runs these samples, and samples all membranes.
    ///
    /// # Errors
    /// The substrate's, or that it has no ADC.
    pub fn record_batch(&mut self, batch: &EventBatch, duration_ns: u32) -> Result<&Recording, CalibrationError> {
        let samples = batch.len();
        let request = self.request(duration_ns);
        let trial = |sample: usize| TrialSeed(self.seeds.seed(self.effort.runs, sample as u32, 1));
        let trials: Vec<_> = (0..samples).map(trial).collect();
        self.effort.runs += 1;
        self.effort.chip_time_ns += u64::from(duration_ns) * samples as u64;
        self.substrate.run(batch, &request, &trials, &mut self.recording)?;
        if self.recording.adc.is_empty() {
            return Err(CalibrationError::NoSamples);
        }
        Ok(&self.recording)
    }
}

/// Mean code of each column over these points of each sample, `[sample][column]`.
pub(super) fn means(recording: &Recording, points: std::ops::Range<usize>) -> Vec<Vec<f64>> {
    let samples = recording.spike_offsets.len() - 1;
    let mean = |sample: usize| {
        let mut sums = vec![0.0; recording.columns];
        for row in recording
            .adc(sample)
            .chunks_exact(recording.columns)
            .skip(points.start)
            .take(points.len())
        {
            sums.iter_mut()
                .zip(row)
                .for_each(|(sum, &code)| *sum += f64::from(code));
        }
        sums.iter().map(|sum| sum / points.len() as f64).collect()
    };
    (0..samples).map(mean).collect()
}

/// The same over all samples too, `[column]`.
pub(super) fn mean_codes(recording: &Recording, points: std::ops::Range<usize>) -> Vec<f64> {
    let means = means(recording, points);
    let mean = |column: usize| means.iter().map(|row| row[column]).sum::<f64>() / means.len() as f64;
    (0..recording.columns).map(mean).collect()
}
