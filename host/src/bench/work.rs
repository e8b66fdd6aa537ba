//! The work that a sample takes, counted: arithmetic operations and bytes, formula by formula.
//!
//! Counted is what the event-driven algorithm needs, not what a kernel happens to do: padding to whole
//! vectors, values computed for nothing and copies are its own fault, and lower the fraction of the
//! [roofline](super::machine) that it reaches. The exception is what samples share: rows of gradients of those that
//! go together, and recurrent weights in 16 bits of two. An operation is one on one number: addition, multiplication,
//! division, root, comparison or choice. Operations on 32-bit integers are counted beside those on f32,
//! because they take the same vector units. State of one time step is taken to stay in registers or in the
//! first cache and moves no bytes.
//!
//! | symbol | meaning, of a sample unless said otherwise |
//! |---|---|
//! | T, B | steps (bins of the host's grid, on a chip), samples of a batch |
//! | G | samples that go together |
//! | H, O | hidden neurons, readouts |
//! | E, S | input events, hidden spikes |
//! | R | H where the hidden layer is recurrent, else 0 |
//! | W | weights: inputs·H + R·H + H·O |

use serde::Serialize;

use super::machine::Roofline;
use crate::train::gradient::shards;

/// Bytes of an f32.
const F32: f64 = 4.0;

/// U ← βU + I − reset, I ← αI, U > ϑ.
const HIDDEN_STEP: f64 = 5.0;
/// U ← βU + I, I ← αI.
const READOUT_STEP: f64 = 3.0;
/// x = U − ϑ; d = s|x| + 1; 1 / d².
const SURROGATE: f64 = 5.0;
/// δU ← β δU + h ∂S; δI ← α δI + δU.
const HIDDEN_STEP_BACK: f64 = 5.0;
/// δU ← β δU + ∂U; δI ← α δI + δU.
const READOUT_STEP_BACK: f64 = 4.0;
/// Σ w δU and Σ w δI of a hidden neuron: b ← βb, a ← αa + b.
const CARRIED: f64 = 3.0;
/// A product and a sum.
const IMPULSE: f64 = 2.0;
/// m, v: 3 and 4; w −= rate m / (√v + ε): 5.
const ADAM: f64 = 12.0;

/// What one sample takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Work {
    /// Operations on f32.
    pub flops: f64,
    /// Operations on 32-bit integers.
    pub integer_ops: f64,
    /// Bytes that are moved between the kernel and what holds its data.
    pub bytes: f64,
    /// Bytes that a thread walks over again and again: they decide which memory holds them.
    pub working_set_bytes: f64,
}

/// How near to the roofline a workload comes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Reached {
    /// 10⁹ operations a second that were done.
    pub gops_per_s: f64,
    /// Those that the machine allows: min(peak, intensity × bandwidth).
    pub attainable_gops_per_s: f64,
    /// Their ratio.
    pub of_roofline: f64,
    /// Whether bandwidth limits, not arithmetic.
    pub memory_bound: bool,
}

impl Work {
    /// Operations of both kinds.
    pub fn ops(&self) -> f64 {
        self.flops + self.integer_ops
    }

    /// What `samples_per_s` is of a roofline.
    pub fn reached(&self, samples_per_s: f64, roofline: &Roofline) -> Reached {
        let gops_per_s = 1e-9 * self.ops() * samples_per_s;
        // Without bytes only arithmetic limits.
        let by_memory = if self.bytes > 0.0 {
            self.ops() / self.bytes * roofline.bandwidth_gb_per_s(self.working_set_bytes)
        } else {
            f64::INFINITY
        };
        let attainable_gops_per_s = roofline.peak_gops_per_s.min(by_memory);
        Reached {
            gops_per_s,
            attainable_gops_per_s,
            of_roofline: gops_per_s / attainable_gops_per_s,
            memory_bound: by_memory < roofline.peak_gops_per_s,
        }
    }
}

/// The numbers of the discrete recursion with one hidden layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecursionNumbers {
    /// T
    pub steps: f64,
    /// Units of the input.
    pub inputs: f64,
    /// H
    pub hidden: f64,
    /// O
    pub outputs: f64,
    /// Whether the hidden layer is recurrent.
    pub recurrent: bool,
    /// B
    pub batch: f64,
    /// G
    pub together: f64,
    /// E
    pub input_events: f64,
    /// S
    pub hidden_spikes: f64,
}

impl RecursionNumbers {
    /// R
    fn recurrent_rows(&self) -> f64 {
        if self.recurrent { self.hidden } else { 0.0 }
    }

    /// W
    fn weights(&self) -> f64 {
        self.inputs * self.hidden + self.recurrent_rows() * self.hidden + self.hidden * self.outputs
    }

    /// Numbers of the weight rows that events add: E·H + S·O, and S·H where recurrent.
    fn rows(&self) -> f64 {
        let to_itself = if self.recurrent { self.hidden } else { 0.0 };
        self.input_events * self.hidden + self.hidden_spikes * (self.outputs + to_itself)
    }

    /// Numbers of the gradient's rows that the events of samples that go together touch, each row once; of one
    /// sample. Events are taken to be spread evenly over the units, which is the most that they can touch.
    fn touched(&self) -> f64 {
        let share = |units: f64, events: f64| units * (1.0 - libm::pow(1.0 - 1.0 / units, self.together * events));
        let to_itself = if self.recurrent { self.hidden } else { 0.0 };
        let hidden = share(self.hidden, self.hidden_spikes);
        (share(self.inputs, self.input_events) * self.hidden + hidden * (self.outputs + to_itself)) / self.together
    }

    /// 3 T H + 2 H O
    fn by_readouts(&self) -> f64 {
        self.hidden * (CARRIED * self.steps + IMPULSE * self.outputs)
    }

    /// Forward, and the maximum of each readout.
    ///
    /// * operations: T (5 H + 3 O) for the states, one for each number of an event's row, T O comparisons
    /// * bytes: 4 for each number of an event's row
    /// * working set: 4 W
    pub fn infer(&self) -> Work {
        let states = self.steps * (HIDDEN_STEP * self.hidden + READOUT_STEP * self.outputs);
        Work {
            flops: states + self.rows() + self.steps * self.outputs,
            integer_ops: 0.0,
            bytes: F32 * self.rows(),
            working_set_bytes: F32 * self.weights(),
        }
    }

    /// Forward, backward, and its share of the batch's sum of gradients and of Adam's update.
    ///
    /// On top of [`Self::infer`]:
    ///
    /// * T (10 H + 4 O): surrogate and adjoints
    /// * 3 T H + 2 H O: adjoint of hidden spikes by the readouts. Between the maxima, where the loss acts, the
    ///   adjoints of all readouts decay alike: what each hidden neuron gets from them is carried through time
    ///   like one readout's (3), and a maximum adds the readout's weights (2)
    /// * 2 H R T: the same by the recurrent weights, dense, because the adjoint of every neuron acts. A kernel
    ///   that does some of them in 16-bit integers gets more of them into a vector than the peak counts
    /// * one for each number of an event's row: the gradient's rows take adjoint currents
    /// * (shards − 1) W / B: the parts of a batch summed; 12 W / B: Adam
    ///
    /// Bytes on top: membranes written and read, 8 T (H + O); 4 for each number of an event's row, an adjoint;
    /// rows of the gradient read and written, 8 each, once for all samples that go together; recurrent weights
    /// in 16 bits once in two steps of two samples, T R H / 2; the shards' sums 12 each, and Adam reads 16 and
    /// writes 12 a weight. Working set: weights, gradient, transposed weights and the membranes of a sample.
    pub fn train(&self) -> Work {
        let (forward, weights) = (self.infer(), self.weights());
        let states = self.hidden * (HIDDEN_STEP_BACK + SURROGATE) + self.outputs * READOUT_STEP_BACK;
        let transposed = self.recurrent_rows() * self.hidden;
        let products = self.by_readouts() + 2.0 * transposed * self.steps;
        let sums = (shards(self.batch as usize) as f64 - 1.0) * weights / self.batch;
        let membranes = self.steps * (self.hidden + self.outputs);
        Work {
            flops: forward.flops + self.steps * states + products + self.rows() + sums + ADAM * weights / self.batch,
            integer_ops: 0.0,
            bytes: forward.bytes
                + F32
                    * (2.0 * membranes
                        + self.rows()
                        + 2.0 * self.touched()
                        + 0.25 / self.together.min(2.0) * self.steps * transposed
                        + 3.0 * sums
                        + 7.0 * weights / self.batch),
            working_set_bytes: F32 * (2.0 * weights + transposed + self.hidden * self.outputs + membranes),
        }
    }
}

/// V ← βV + drive + κₑIₑ − κᵢIᵢ; Iₑ, Iᵢ decay; two limits; V ≥ V_th.
const CIRCUIT_STEP: f64 = 11.0;
/// V takes its noise: a product and a sum.
const CIRCUIT_NOISE: f64 = 2.0;
/// ξ ← keep ξ + kick g.
const NOISE_VALUE: f64 = 3.0;
/// Current and its limit.
const SYNAPTIC_EVENT: f64 = 2.0;
/// Two limits, slope outside them (3), gain and offset, scale and half, two limits, conversion.
const ADC_SAMPLE: f64 = 12.0;
/// Noise of a sample: a product and a sum.
const ADC_NOISE: f64 = 2.0;
/// A Gaussian from a word: p and 4p(1−p), 6; logarithm, 19; the longer polynomial, 18; result, 4.
const GAUSSIAN: f64 = 47.0;
/// Philox: ten rounds of two wide products and four exclusive ors for four words, and 5 to turn a word into
/// a float's bits.
const WORD: f64 = 20.0;
/// Words of constants and state of a circuit: 8 constants, V and two currents.
const CIRCUIT_WORDS: f64 = 11.0;

/// U ← βU, I ← αI + κU and its cut, both by the bin's charge and potential, surrogate: 1 + 3 + 2 + 5 + 3.
const BIN_BACK: f64 = 14.0;
/// The same of a readout, without spikes: 1 + 3 + 1 + 3.
const READOUT_BIN_BACK: f64 = 8.0;
/// A number of a gradient's row takes charge·δI + potential·δU.
const EVENT_BACK: f64 = 4.0;
/// A shadow weight is scaled, rounded, limited twice, scaled back, and multiplied by its synapse's strength.
const QUANTISE: f64 = 6.0;

/// The numbers of an emulated chip: what its counters say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChipNumbers {
    /// Integration steps.
    pub steps: f64,
    /// Circuits in use.
    pub circuits: f64,
    /// Synapses that got an event.
    pub synaptic_events: f64,
    /// Membrane samples.
    pub adc_samples: f64,
    /// Values of the membrane noise: circuits times points of its grid; 0 without noise.
    pub noise_values: f64,
    /// Whether the ADC is noisy.
    pub adc_noise: bool,
}

impl ChipNumbers {
    /// The emulation.
    ///
    /// * operations: 11 a circuit and step, 2 a synaptic event, 12 a membrane sample; with noise 2 more a
    ///   circuit and step and 50 a value of it, with noise of the ADC 49 more a sample
    /// * operations on integers: 20 a random number
    /// * bytes: 4 a synaptic event, 2 a membrane sample, constants and state of the circuits once (44)
    pub fn infer(&self) -> Work {
        let noisy = if self.noise_values > 0.0 { CIRCUIT_NOISE } else { 0.0 };
        let (ripple, ripples) = if self.adc_noise {
            (ADC_NOISE + GAUSSIAN, self.adc_samples)
        } else {
            (0.0, 0.0)
        };
        let bytes = F32 * (self.synaptic_events + CIRCUIT_WORDS * self.circuits) + 2.0 * self.adc_samples;
        Work {
            flops: self.steps * self.circuits * (CIRCUIT_STEP + noisy)
                + self.noise_values * (NOISE_VALUE + GAUSSIAN)
                + self.synaptic_events * SYNAPTIC_EVENT
                + self.adc_samples * (ADC_SAMPLE + ripple),
            integer_ops: WORD * (self.noise_values + ripples),
            bytes,
            working_set_bytes: bytes,
        }
    }

    /// One update in the loop: the emulation, the backward pass over T bins of the host's grid, and a share
    /// of quantising, programming and Adam. `host` has the numbers of the network on that grid.
    ///
    /// * T (14 H + 8 O), 3 T H + 2 H O, 4 for each number of an event's row, (shards − 1) W / B, 18 W / B
    pub fn train(&self, host: &RecursionNumbers) -> Work {
        let (chip, weights) = (self.infer(), host.weights());
        let states = host.steps * (BIN_BACK * host.hidden + READOUT_BIN_BACK * host.outputs);
        let sums = (shards(host.batch as usize) as f64 - 1.0) * weights / host.batch;
        let back =
            states + host.by_readouts() + EVENT_BACK * host.rows() + sums + (QUANTISE + ADAM) * weights / host.batch;
        Work {
            flops: chip.flops + back,
            bytes: chip.bytes
                + F32
                    * (2.0 * host.steps * (host.hidden + host.outputs)
                        + 2.0 * host.rows()
                        + 3.0 * sums
                        + 10.0 * weights / host.batch),
            working_set_bytes: chip.working_set_bytes + F32 * 2.0 * weights,
            ..chip
        }
    }
}

/// Words of a circuit's state that a step writes: V and two currents.
const STATE_WORDS: f64 = 3.0;
/// A synapse in a list: its target in two bytes, its step in four.
const LISTED_SYNAPSE: f64 = 6.0;

/// The numbers of a simulated network whose spikes are back after a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NetworkNumbers {
    /// Integration steps.
    pub steps: f64,
    /// Neurons, of a circuit each.
    pub neurons: f64,
    /// Synapses that got an event.
    pub synaptic_events: f64,
}

impl NetworkNumbers {
    /// The simulation.
    ///
    /// * operations: 11 a neuron and step, 2 a synaptic event
    /// * bytes: since every neuron must be at the end of a step before any takes the next, constants and
    ///   state of all of them once a step (44, and 12 written); 6 a synaptic event for target and strength,
    ///   4 read and 4 written for the current
    /// * working set: the neurons'. Synapses may lie further away: a step touches few of them, and they are
    ///   a hundredth of the bytes.
    pub fn run(&self) -> Work {
        let neuron_steps = self.steps * self.neurons;
        Work {
            flops: CIRCUIT_STEP * neuron_steps + SYNAPTIC_EVENT * self.synaptic_events,
            integer_ops: 0.0,
            bytes: F32 * (CIRCUIT_WORDS + STATE_WORDS) * neuron_steps
                + (LISTED_SYNAPSE + 2.0 * F32) * self.synaptic_events,
            working_set_bytes: F32 * CIRCUIT_WORDS * self.neurons,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::Level;
    use super::*;

    const SMALL: RecursionNumbers = RecursionNumbers {
        steps: 10.0,
        inputs: 4.0,
        hidden: 3.0,
        outputs: 2.0,
        recurrent: false,
        batch: 16.0,
        together: 1.0,
        input_events: 5.0,
        hidden_spikes: 7.0,
    };

    #[test]
    fn inference_is_states_rows_and_maxima() {
        let work = SMALL.infer();
        assert_eq!(work.flops, 10.0 * (15.0 + 6.0) + (15.0 + 14.0) + 20.0);
        assert_eq!(work.bytes, 4.0 * 29.0);
        assert_eq!(work.working_set_bytes, 4.0 * 18.0);
        let recurrent = RecursionNumbers {
            recurrent: true,
            ..SMALL
        };
        assert_eq!(recurrent.infer().flops - work.flops, 21.0);
    }

    #[test]
    fn training_adds_adjoints_products_and_the_update() {
        let (work, forward) = (SMALL.train(), SMALL.infer());
        let back = 10.0 * (30.0 + 8.0) + 3.0 * (3.0 * 10.0 + 2.0 * 2.0) + 29.0 + 18.0 / 16.0 + 12.0 * 18.0 / 16.0;
        assert!((work.flops - forward.flops - back).abs() < 1e-9);
        // The dense product by recurrent weights, and their rows on both ways.
        let recurrent = RecursionNumbers {
            recurrent: true,
            ..SMALL
        };
        let more = recurrent.train().flops - work.flops;
        assert!(
            (more - (2.0 * 9.0 * 10.0 + 2.0 * 21.0 + 13.0 * 9.0 / 16.0)).abs() < 1e-9,
            "{more}"
        );
    }

    #[test]
    fn samples_that_go_together_share_rows_of_the_gradient() {
        let together = |together: f64| RecursionNumbers { together, ..SMALL };
        // Few events: every one has a row for itself. Many: all rows are touched once.
        let sparse = RecursionNumbers {
            inputs: 1e6,
            hidden_spikes: 0.0,
            ..SMALL
        };
        assert!((sparse.touched() - 15.0).abs() < 1e-3);
        assert!((together(1e3).touched() - (4.0 * 3.0 + 3.0 * 2.0) / 1e3).abs() < 1e-9);
        assert!(together(4.0).train().bytes < SMALL.train().bytes);
    }

    #[test]
    fn a_quiet_chip_draws_nothing() {
        let quiet = ChipNumbers {
            steps: 100.0,
            circuits: 256.0,
            synaptic_events: 1000.0,
            adc_samples: 256.0 * 5.0,
            noise_values: 0.0,
            adc_noise: false,
        };
        let work = quiet.infer();
        assert_eq!(work.integer_ops, 0.0);
        assert_eq!(work.flops, 25_600.0 * 11.0 + 2000.0 + 12.0 * 1280.0);
        let noisy = ChipNumbers {
            noise_values: 6400.0,
            adc_noise: true,
            ..quiet
        };
        let more = noisy.infer();
        assert_eq!(more.integer_ops, 20.0 * (6400.0 + 1280.0));
        assert_eq!(more.flops - work.flops, 25_600.0 * 2.0 + 6400.0 * 50.0 + 1280.0 * 49.0);
        assert!(noisy.train(&SMALL).flops > more.flops);
    }

    #[test]
    fn a_network_goes_through_memory_in_every_step() {
        let network = NetworkNumbers {
            steps: 10.0,
            neurons: 100.0,
            synaptic_events: 50.0,
        };
        let work = network.run();
        assert_eq!(work.flops, 11.0 * 1000.0 + 100.0);
        assert_eq!(work.bytes, 56.0 * 1000.0 + 14.0 * 50.0);
        assert_eq!(work.working_set_bytes, 4400.0);
    }

    #[test]
    fn the_lower_of_two_limits_counts() {
        let roofline = Roofline {
            nt: 1,
            peak_gops_per_s: 100.0,
            levels: vec![Level {
                bytes_per_thread: 1 << 20,
                gb_per_s: 50.0,
            }],
        };
        let work = Work {
            flops: 3e6,
            integer_ops: 1e6,
            bytes: 1e6,
            working_set_bytes: 1e5,
        };
        // Four operations a byte, 200 G a second by memory: arithmetic limits.
        let reached = work.reached(10_000.0, &roofline);
        assert_eq!(reached.attainable_gops_per_s, 100.0);
        assert!(!reached.memory_bound && (reached.of_roofline - 0.4).abs() < 1e-12);
        let starved = Work { bytes: 16e6, ..work }.reached(1000.0, &roofline);
        assert_eq!(starved.attainable_gops_per_s, 12.5);
        assert!(starved.memory_bound && (starved.of_roofline - 0.32).abs() < 1e-12);
        let free = Work { bytes: 0.0, ..work }.reached(1.0, &roofline);
        assert_eq!(free.attainable_gops_per_s, 100.0);
    }
}
