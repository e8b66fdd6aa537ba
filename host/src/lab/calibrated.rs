//! A lab's chip, calibrated for its network or characterised as it is.

use std::{path::Path, sync::OnceLock};

use serde::{Deserialize, Serialize};
use spikeloop_chip::{
    dac::{Codes, Parameter},
    instance::{Instance, Targets},
    spec::ChipSpec,
};

use super::{Lab, LabError};
use crate::{
    calibrate::{
        CalibrationError, Fault, PerCircuit,
        channels::{self, Channel},
        characterise::{Characteristics, characterise},
        record::{Record, RecordError},
        rig::{Effort, Rig},
        search::{Failed, Found, Search, VERIFY, Watch},
    },
    experiment::Method,
    placement::Placement,
    substrate::{NeuronParameters, Substrate, chip_at},
    train::grid::MeasuredChannel,
};

/// Searches that are made where circuits turn out to be of no use and others have to do other things.
const SEARCHES: usize = 5;

/// A chip calibrated for a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibrated {
    /// Where the network lies: circuits that could not be calibrated are avoided.
    pub placement: Placement,
    /// What was found.
    pub found: Found,
    /// Circuits that are of no use, in ascending order: dead ones, and all that could not be calibrated.
    pub useless: Vec<u16>,
    /// Those that could not be, and why.
    pub given_up: Vec<Failed>,
}

/// A calibration for a network under way: where circuits turn out to be of no use, the network is placed anew, and
/// calibrated again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibrating {
    /// The present placement's.
    pub search: Search,
    /// Searches, with the present one.
    searches: usize,
    /// What failed in the placements so far.
    given_up: Vec<Failed>,
    /// What the placements before have cost.
    spent: Effort,
}

impl Calibrating {
    /// Before anything was measured.
    pub fn new(spec: &ChipSpec, targets: &Targets) -> Self {
        Self {
            search: Search::new(spec, targets),
            searches: 1,
            given_up: Vec::new(),
            spent: Effort::default(),
        }
    }

    /// Remembers what has failed, of each circuit's parameter what was found last.
    fn give_up(&mut self, failed: Vec<Failed>) {
        let what = |failed: &Failed| (failed.circuit, failed.parameter);
        let now: Vec<_> = failed.iter().map(what).collect();
        self.given_up.retain(|before| !now.contains(&what(before)));
        self.given_up.extend(failed);
    }
}

impl Calibrated {
    /// Channels of the ADC, `[circuit]`.
    pub fn channels(&self) -> Vec<MeasuredChannel> {
        read_through(&self.found.channels)
    }
}

/// Channels as samples are read through them; one that could not be measured is taken for ideal.
fn read_through(channels: &[Result<Channel, Fault>]) -> Vec<MeasuredChannel> {
    let measured = |channel: &Result<Channel, Fault>| match channel {
        Ok(channel) => MeasuredChannel {
            gain: channel.gain().value,
            offset_lsb: channel.offset_lsb().value,
        },
        Err(_) => MeasuredChannel::IDEAL,
    };
    channels.iter().map(measured).collect()
}

/// A chip as it is, measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The ADC's channels.
    pub channels: PerCircuit<Channel>,
    /// All parameters of all circuits.
    pub characteristics: Characteristics,
}

/// What was found out about a chip, each once.
#[derive(Default)]
pub(super) struct FoundOut {
    calibrated: OnceLock<Calibrated>,
    measured: OnceLock<Measured>,
}

/// Remembers what is made the first time.
fn once<T>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T, LabError>) -> Result<&T, LabError> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}

/// Whether a network's circuit needs a parameter: one that no neuron has needs none, and a readout never fires.
pub fn needs(placement: &Placement, circuit: usize, parameter: Parameter) -> bool {
    let circuit = circuit as u16;
    let of_firing = [Parameter::Threshold, Parameter::Reset, Parameter::Refractory].contains(&parameter);
    placement.wiring.populations.iter().any(|population| {
        let leads = || (0..population.neurons).any(|neuron| population.members(neuron)[0] == circuit);
        // Of joined circuits the first one fires.
        population.circuits.contains(&circuit) && !(of_firing && (population.readout || !leads()))
    })
}

impl Lab {
    /// The chip, wherever it is.
    fn on_chip<T>(&self, work: impl FnOnce(&mut dyn Substrate) -> Result<T, CalibrationError>) -> Result<T, LabError> {
        Ok(work(&mut *chip_at(self.board.as_ref(), &self.instance)?)?)
    }

    /// The chip calibrated for the network: its codes are searched for once.
    ///
    /// # Errors
    /// The substrate's.
    pub fn calibrated(&self) -> Result<&Calibrated, LabError> {
        once(&self.found_out.calibrated, || {
            self.calibrate(None, &mut |_| Ok(()), &mut |_| {})
        })
    }

    /// Searches for codes, from where it was interrupted if the targets are the same; `keep` is given it after each round.
    ///
    /// # Errors
    /// The substrate's, or what `watch` says.
    pub fn calibrate(
        &self,
        earlier: Option<Calibrating>,
        watch: &mut Watch,
        keep: &mut dyn FnMut(&Calibrating),
    ) -> Result<Calibrated, LabError> {
        let (spec, environment, seed) = (&self.spec, self.environment(), self.seeds.calibration());
        let new = || Calibrating::new(spec, &self.placement.targets(spec));
        let mut begun = earlier.unwrap_or_else(new);
        let mut placement = self.placed_without(&begun.given_up)?;
        if *begun.search.targets() != placement.targets(spec) {
            begun = new();
            placement = self.placement.clone();
        }
        loop {
            while !begun.search.is_done() {
                let search = &mut begun.search;
                self.on_chip(|chip| search.advance(Rig::new(chip, spec, seed).within(&environment), watch))?;
                keep(&begun);
            }
            // It is done.
            let mut found = begun.search.clone().found().ok_or(CalibrationError::NoSamples)?;
            let before = begun.given_up.len();
            begun.give_up(found.failures(spec, |circuit, parameter| needs(&placement, circuit, parameter)));
            let moved = self.placed_without(&begun.given_up)?;
            // Where all circuits are needed, there are no others.
            let settled = begun.given_up.len() == before || moved.wiring == placement.wiring;
            let targets = moved.targets(spec);
            // Else its circuits have what they need already.
            let anew = targets != *begun.search.targets();
            if settled || (anew && begun.searches >= SEARCHES) {
                found.effort += begun.spent;
                return Ok(Calibrated {
                    placement: moved_if_same(moved, placement),
                    useless: self.useless(&begun.given_up),
                    given_up: begun.given_up,
                    found,
                });
            }
            placement = moved;
            if anew {
                begun.spent += found.effort;
                begun.searches += 1;
                begun.search = Search::new(spec, &targets);
            }
        }
    }

    /// Circuits that are of no use, in ascending order: dead ones, and all that could not be calibrated.
    fn useless(&self, given_up: &[Failed]) -> Vec<u16> {
        let failed = given_up.iter().map(|failed| failed.circuit);
        let mut useless: Vec<u16> = self.dead.iter().copied().chain(failed).collect();
        useless.sort_unstable();
        useless.dedup();
        useless
    }

    /// Where the network lies without circuits that were given up.
    fn placed_without(&self, given_up: &[Failed]) -> Result<Placement, LabError> {
        if given_up.is_empty() {
            return Ok(self.placement.clone());
        }
        let range = &self.placement.weight_range;
        Ok(Placement::new(
            &self.network,
            &self.spec,
            range,
            &self.useless(given_up),
        )?)
    }

    /// Brings neurons back to what they did when the chip was [measured](Self::measured), from the codes that circuits have
    /// under a method, so that weights that have learned on them go on to fit. The place of circuits that have died since
    /// is taken by others, as far as there are. With the channels through which samples are to be read then, `[circuit]`.
    ///
    /// # Errors
    /// The substrate's.
    pub fn restore(&self, method: Method, measured: &Measured) -> Result<(Calibrated, Vec<MeasuredChannel>), LabError> {
        let set_up = self.set_up(method)?;
        let useless: Vec<u16> = self.dead.iter().chain(&self.worn).copied().collect();
        let (placement, moves) = set_up.placement.around(&useless, self.spec.circuits());
        let mut targets = set_up.placement.targets(&self.spec);
        for (targets, found) in targets.circuits.iter_mut().zip(&measured.characteristics.circuits) {
            for parameter in Parameter::ALL {
                if let Ok(found) = found[parameter] {
                    targets[parameter] = found.value;
                }
            }
        }
        for &(from, to) in &moves {
            targets.circuits[usize::from(to)] = targets.circuits[usize::from(from)];
        }
        let search = Search::new(&self.spec, &targets).beginning_with(set_up.codes);
        let environment = self.environment();
        // Other noise than when the chip was fresh.
        let seed = self.seeds.calibration() ^ 1;
        let found = self.on_chip(|chip| search.finish(chip, &self.spec, &environment, seed, &mut |_| Ok(())))?;
        let again = Calibrated {
            placement,
            found,
            useless,
            given_up: Vec::new(),
        };
        // What is read through another channel looks as it did through the one that it took the place of.
        let usual = |circuit: u16| match &set_up.channels {
            Some(channels) => channels[usize::from(circuit)],
            None => MeasuredChannel::IDEAL,
        };
        let (old, new) = (read_through(&measured.channels), again.channels());
        let mut channels: Vec<MeasuredChannel> = (0..self.spec.circuits() as u16).map(usual).collect();
        for (from, to) in moves {
            let [was, is] = [old[usize::from(from)], new[usize::from(to)]];
            let read = usual(from);
            // What the old channel would have said of the same potential, read as it was.
            let gain = is.gain / was.gain;
            channels[usize::from(to)] = MeasuredChannel {
                gain: read.gain * gain,
                offset_lsb: is.offset_lsb - was.offset_lsb * gain + read.offset_lsb * gain,
            };
        }
        Ok((again, channels))
    }

    /// The chip as a method has it, measured now.
    ///
    /// # Errors
    /// The substrate's.
    pub fn measure(&self, method: Method) -> Result<Measured, LabError> {
        let set_up = self.set_up(method)?;
        let targets = set_up.placement.targets(&self.spec);
        self.on_chip(|chip| {
            let mut rig = Rig::new(chip, &self.spec, self.seeds.calibration()).within(&self.environment());
            let channels = channels::measure(&mut rig, set_up.codes)?;
            let characteristics = characterise(&mut rig, set_up.codes, &targets, &channels, VERIFY, &mut |_| Ok(()))?;
            Ok(Measured {
                channels,
                characteristics,
            })
        })
    }

    /// The chip as it is, measured once.
    ///
    /// # Errors
    /// The substrate's.
    pub fn measured(&self) -> Result<&Measured, LabError> {
        once(&self.found_out.measured, || self.measure(Method::InTheLoop))
    }
}

/// Both lie the same, one knows which useless circuits it has to use; else the one that was calibrated.
fn moved_if_same(moved: Placement, placement: Placement) -> Placement {
    if moved.wiring == placement.wiring {
        moved
    } else {
        placement
    }
}

impl Measured {
    /// Parameters of a network's neurons, and what weights of each are worth relative to nominal ones: `[exc, inh]`.
    /// What could not be measured is taken for nominal.
    pub fn of_neurons(&self, placement: &Placement) -> (NeuronParameters, Vec<[f32; 2]>) {
        let network = &placement.network;
        let nominal = &network.nominal;
        let mut all = NeuronParameters::default();
        let mut worth = Vec::new();
        for (index, (layer, population)) in network.layers.iter().zip(&placement.wiring.populations).enumerate() {
            let leak = nominal.leak_of(layer);
            for neuron in 0..population.neurons {
                let members = population.members(neuron);
                let value = |circuit: u16, parameter: Parameter, otherwise: f64| {
                    let found = self.characteristics.circuits[usize::from(circuit)][parameter];
                    found.map_or(otherwise, |found| found.value)
                };
                let mean = |of: &dyn Fn(u16) -> f64| {
                    members.iter().map(|&circuit| of(circuit)).sum::<f64>() / members.len() as f64
                };
                // Conductances add, at like capacitances.
                let rate = |circuit: u16| 1.0 / value(circuit, Parameter::TauMem, nominal.tau_mem_us);
                let own_leak = |circuit: u16| value(circuit, Parameter::Leak, leak);
                let joined_leak = mean(&|circuit| rate(circuit) * own_leak(circuit)) / mean(&rate);
                let threshold = value(members[0], Parameter::Threshold, leak + nominal.swing_lsb());
                let charge = |tau: Parameter, gain: Parameter| {
                    mean(&|circuit| {
                        value(circuit, tau, nominal.tau_syn_us) * value(circuit, gain, placement.gain(index))
                    })
                };
                let nominal_charge = nominal.tau_syn_us * placement.gain(index);
                let swing = threshold - joined_leak;
                // A readout has no threshold, and a neuron that fires at rest no scale.
                let swing = if layer.spiking && swing > 0.1 * nominal.swing_lsb() {
                    swing
                } else {
                    nominal.swing_lsb()
                };
                let by_swing = nominal.swing_lsb() / swing;
                worth.push(
                    [
                        charge(Parameter::TauSynExc, Parameter::GainExc),
                        charge(Parameter::TauSynInh, Parameter::GainInh),
                    ]
                    .map(|charge| (charge / nominal_charge * by_swing) as f32),
                );
                let tau_syn = |circuit: u16| {
                    let of = |tau: Parameter| value(circuit, tau, nominal.tau_syn_us);
                    0.5 * (of(Parameter::TauSynExc) + of(Parameter::TauSynInh))
                };
                let channel = self.channels[usize::from(members[0])];
                all.leak_lsb.push(joined_leak);
                all.threshold_lsb.push(threshold);
                all.tau_mem_us.push(1.0 / mean(&rate));
                all.tau_syn_us.push(mean(&tau_syn));
                all.adc_gain.push(channel.map_or(1.0, |channel| channel.gain().value));
                all.adc_offset_lsb
                    .push(channel.map_or(0.0, |channel| channel.offset_lsb().value));
            }
        }
        (all, worth)
    }
}

/// A calibration file that an experiment names.
pub(super) struct FromFile {
    path: String,
    record: Record,
}

impl FromFile {
    /// Reads it, if the experiment names one.
    pub(super) fn read(path: Option<&str>) -> Result<Option<Self>, RecordError> {
        let read = |path: &str| {
            Ok(Self {
                path: path.into(),
                record: Record::load(Path::new(path))?,
            })
        };
        path.map(read).transpose()
    }

    /// Channels of the ADC, `[circuit]`.
    pub(super) fn channels(&self) -> Vec<MeasuredChannel> {
        let adc = &self.record.adc;
        let measured = |(&gain, &offset_lsb): (&f64, &f64)| {
            let channel = MeasuredChannel { gain, offset_lsb };
            let known = gain.is_finite() && offset_lsb.is_finite();
            if known { channel } else { MeasuredChannel::IDEAL }
        };
        adc.gain.iter().zip(&adc.offset_lsb).map(measured).collect()
    }

    /// Circuits that it found to be of no use.
    pub(super) fn masked(&self) -> &[u16] {
        &self.record.masked
    }

    /// The range of weights that its synaptic gains give each layer. Circuits of a layer were given the same gain, and
    /// lie where they did when the chip was calibrated.
    pub(super) fn weight_range(&self, placement: &Placement, instance: &Instance) -> Result<Vec<f64>, LabError> {
        let (_, targets) = self.record.codes(&self.path, instance)?;
        let layers = 0..placement.network.layers.len();
        let range = layers.map(|layer| {
            let population = &placement.wiring.populations[layer];
            let gain = targets.circuits[usize::from(population.circuits[0])][Parameter::GainExc];
            placement.range_of_gain(layer, gain)
        });
        Ok(range.collect())
    }

    /// Its codes, if they are this instance's and were found for what the network wants.
    pub(super) fn codes(&self, placement: &Placement, instance: &Instance) -> Result<Codes, LabError> {
        /// Of a target: the file has six digits.
        const NEAR: f64 = 1e-3;
        let (codes, theirs) = self.record.codes(&self.path, instance)?;
        let ours = placement.targets(instance.spec());
        for circuit in 0..instance.spec().circuits() {
            for parameter in Parameter::ALL {
                let [theirs, ours] = [&theirs, &ours].map(|targets| targets.circuits[circuit][parameter]);
                if (theirs - ours).abs() > NEAR * ours.abs() && needs(placement, circuit, parameter) {
                    return Err(LabError::OtherTargets {
                        path: self.path.clone(),
                        circuit,
                        key: parameter.key(),
                        theirs,
                        ours,
                    });
                }
            }
        }
        Ok(codes)
    }
}
