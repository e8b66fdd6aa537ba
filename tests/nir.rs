//! One LIF neuron against the exact trace that the NIR paper compares its simulators with.
//!
//! The folder is `SPIKELOOP_DATA`, else the copy shared beside a development checkout. Without the
//! file the test is reported as ignored and its name says what it lacks.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use spikeloop_chip::neuron::CircuitValues;
use spikeloop_chip::reference::{ReferenceCrossing, ReferenceNeuron};

/// Time step of the trace, µs.
const STEP_US: f64 = 100.0;
/// Time constant of its neuron, µs.
const TAU_US: f64 = 2500.0;
const THRESHOLD: f64 = 0.1;
/// The trace was integrated by a solver that finds a crossing to about 10⁻⁹: each spike leaves V
/// off by up to 3.4·10⁻⁹, which then decays; between spikes it agrees to 10⁻¹⁰ and better.
const TOLERANCE: f64 = 1e-8;

fn main() -> ExitCode {
    let path = data_folder().join("nir/lif-traces/lif_exact.csv");
    let lacks = !path.is_file();
    let name = if lacks {
        "golden_nir_lif_exact (lacks nir/lif-traces/lif_exact.csv)"
    } else {
        "golden_nir_lif_exact"
    };
    let test = Trial::test(name, move || lif_exact(&path).map_err(Failed::from)).with_ignored_flag(lacks);
    libtest_mimic::run(&Arguments::from_args(), vec![test]).exit_code()
}

/// Where the data may be.
fn data_folder() -> PathBuf {
    match std::env::var_os("SPIKELOOP_DATA") {
        Some(folder) if !folder.is_empty() => folder.into(),
        _ => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    }
}

/// Input, voltage and spike of each step.
fn read(path: &Path) -> Result<Vec<[f64; 3]>, Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let columns: Vec<f64> = line.split(',').map(|v| v.trim().parse()).collect::<Result<_, _>>()?;
        rows.push(
            columns
                .try_into()
                .map_err(|columns| format!("not three columns: {columns:?}"))?,
        );
    }
    Ok(rows)
}

fn lif_exact(path: &Path) -> Result<(), Box<dyn Error>> {
    let rows = read(path)?;
    let spikes = rows.iter().filter(|row| row[2] != 0.0).count();
    if spikes == 0 {
        return Err("the trace has no spikes".into());
    }
    // The trace resets by subtracting the threshold; at the exact crossing that is a reset to 0.
    let circuit = CircuitValues {
        leak_lsb: 0.0,
        reset_lsb: 0.0,
        threshold_lsb: THRESHOLD,
        tau_mem_us: TAU_US,
        // No synapses: the input is a constant current over each step.
        tau_syn_exc_us: TAU_US,
        tau_syn_inh_us: TAU_US,
        t_ref_us: 0.0,
        capacitance: 1.0,
        bias_lsb_per_us: 0.0,
        dead: false,
    };
    let mut neuron = ReferenceNeuron::new(&[circuit], STEP_US, ReferenceCrossing::Exact);
    let mut largest = 0.0_f64;
    for (step, &[input, voltage, spike]) in rows.iter().enumerate() {
        let fired = neuron.step(input / TAU_US, &[], None).is_some();
        if fired != (spike != 0.0) {
            return Err(format!("step {step}: spike {spike} in the trace, here {fired}").into());
        }
        let error = (neuron.v - voltage).abs();
        if error > TOLERANCE {
            return Err(format!("step {step}: V is {}, in the trace {voltage}", neuron.v).into());
        }
        largest = largest.max(error);
    }
    println!(
        "{} steps, {spikes} spikes, largest error of V {largest:.1e}",
        rows.len()
    );
    Ok(())
}
