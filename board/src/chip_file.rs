//! Reads a chip file piece by piece: decoding it whole takes 30 KiB of stack, more than a small
//! processor has.
//!
//! Postcard writes a structure as its fields one after another, so that each can be read by itself.

use alloc::{boxed::Box, string::String, vec::Vec};

use serde::de::DeserializeOwned;
use spikeloop_chip::spec::{
    AdaptationSpec, AdcSpec, ArraySpec, ChipSpec, Distribution, DriftSpec, EnergySpec, MembraneSpec, ParameterSpec,
    ParameterSpecs, SpecError, SynapseSpec, TimingSpec,
};

/// The parts of a chip file, each on the heap.
struct Parts {
    schema: u32,
    name: String,
    description: String,
    distribution: Distribution,
    array: Box<ArraySpec>,
    timing: Box<TimingSpec>,
    membrane: Box<MembraneSpec>,
    synapse: Box<SynapseSpec>,
    parameters: Box<[ParameterSpec; 9]>,
    adc: Box<AdcSpec>,
    drift: Box<DriftSpec>,
    energy: Box<EnergySpec>,
    /// Written where there is one only.
    adaptation: Option<Box<AdaptationSpec>>,
}

/// Reads a chip file; none where it is no such thing.
pub fn read(file: &[u8]) -> Option<Box<ChipSpec>> {
    let mut rest = file;
    let parts = parts(&mut rest)?;
    rest.is_empty().then(|| whole(parts))
}

#[inline(never)]
fn parts(file: &mut &[u8]) -> Option<Parts> {
    Some(Parts {
        schema: take(file)?,
        name: take(file)?,
        description: take(file)?,
        distribution: take(file)?,
        array: boxed(file)?,
        timing: boxed(file)?,
        membrane: boxed(file)?,
        synapse: boxed(file)?,
        parameters: parameters(file)?,
        adc: boxed(file)?,
        drift: boxed(file)?,
        energy: boxed(file)?,
        adaptation: match file.is_empty() {
            true => None,
            false => Some(take::<Option<_>>(file)??),
        },
    })
}

fn parameters(file: &mut &[u8]) -> Option<Box<[ParameterSpec; 9]>> {
    let mut all = Vec::with_capacity(9);
    for _ in 0..9 {
        all.push(*boxed(file)?);
    }
    all.into_boxed_slice().try_into().ok()
}

#[inline(never)]
fn whole(parts: Parts) -> Box<ChipSpec> {
    let [
        leak,
        reset,
        threshold,
        tau_mem,
        tau_exc,
        tau_inh,
        t_ref,
        gain_exc,
        gain_inh,
    ] = *parts.parameters;
    Box::new(ChipSpec {
        schema: parts.schema,
        name: parts.name,
        description: parts.description,
        distribution: parts.distribution,
        array: *parts.array,
        timing: *parts.timing,
        membrane: *parts.membrane,
        synapse: *parts.synapse,
        parameters: ParameterSpecs {
            leak_lsb: leak,
            reset_lsb: reset,
            threshold_lsb: threshold,
            tau_mem_us: tau_mem,
            tau_syn_exc_us: tau_exc,
            tau_syn_inh_us: tau_inh,
            t_ref_us: t_ref,
            gain_exc_lsb_per_us: gain_exc,
            gain_inh_lsb_per_us: gain_inh,
        },
        adc: *parts.adc,
        drift: *parts.drift,
        energy: *parts.energy,
        adaptation: parts.adaptation,
    })
}

/// Checks it. Apart from reading, so that both do not need their memory at once.
#[inline(never)]
pub fn check(spec: Box<ChipSpec>) -> Result<Box<ChipSpec>, SpecError> {
    spec.validated().map(Box::new)
}

#[inline(never)]
fn boxed<T: DeserializeOwned>(rest: &mut &[u8]) -> Option<Box<T>> {
    take(rest).map(Box::new)
}

fn take<T: DeserializeOwned>(rest: &mut &[u8]) -> Option<T> {
    let (value, others) = postcard::take_from_bytes(rest).ok()?;
    *rest = others;
    Some(value)
}

#[cfg(test)]
mod tests {
    use spikeloop_chip::spec::{Quantity, Spread};

    use super::*;

    #[test]
    fn it_is_read_as_postcard_reads_it() {
        let quantity = |value| Quantity {
            value,
            source: "estimate".into(),
        };
        let adaptation = AdaptationSpec {
            current_lsb_per_us: quantity(1.0),
            current_tau_us: quantity(20.0),
            threshold_lsb: quantity(2.0),
            threshold_tau_us: quantity(30.0),
            escape_rate_per_us: quantity(0.0),
            escape_width_lsb: quantity(1.0),
            spread: Spread {
                sigma: 0.1,
                bias: 0.0,
                source: "estimate".into(),
            },
        };
        for (name, adaptation) in [("hicann-x", None), ("ideal", Some(Box::new(adaptation)))] {
            let mut spec = spikeloop_chip::builtin(name).unwrap();
            spec.adaptation = adaptation;
            let mut file = postcard::to_allocvec(&spec).unwrap();
            assert_eq!(read(&file).as_deref(), Some(&spec));
            assert_eq!(read(&file[..file.len() - 1]), None);
            file.push(0);
            assert_eq!(read(&file), None);
        }
    }
}
