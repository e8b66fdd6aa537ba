//! From a recording to the host's time grid: what the gradient is taken at.

use spikeloop_chip::{event::InputEvent, spec::ChipSpec};

use crate::{
    blocks::{Block, Blocks, LANES, blocks},
    network::Network,
    substrate::{NeuronParameters, Recording},
    train::{
        exact::SLOTS,
        loss::{Fired, Output},
    },
};

/// The time grid: bins that end with the ADC's samples, or parts of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Length of a run, ns.
    pub duration_ns: u32,
    /// ADC samples of a run.
    pub points: usize,
    /// Bins for each ADC interval; membranes between samples are interpolated linearly.
    pub refine: usize,
    /// ADC interval, ns.
    pub interval_ns: u32,
    /// Expected time from a spike's stamp to its effect: events act at the end of the chip's step,
    /// spikes of the chip after its routing delay as well; `[inputs, chip]`, ns.
    pub delay_ns: [f64; 2],
    /// Nominal refractory time, ns: how long a reset holds a membrane.
    pub hold_ns: f64,
}

impl Grid {
    /// Number of bins.
    pub fn bins(&self) -> usize {
        self.points * self.refine
    }

    /// Length of a bin, µs.
    pub fn dt_us(&self) -> f64 {
        f64::from(self.interval_ns) / 1000.0 / self.refine as f64
    }

    /// When the first bin begins, µs: 0 or before.
    pub fn start_us(&self) -> f64 {
        f64::from(self.duration_ns) / 1000.0 - self.bins() as f64 * self.dt_us()
    }

    /// Refractory time in bins.
    fn hold_bins(&self) -> f64 {
        self.hold_ns * self.refine as f64 / f64::from(self.interval_ns)
    }

    /// Bin and slot of a time; `None` after the end.
    #[inline]
    fn place(&self, time_ns: f64) -> Option<(usize, u8)> {
        let before_end = (f64::from(self.duration_ns) - time_ns) / (f64::from(self.interval_ns) / self.refine as f64);
        if before_end < 0.0 {
            return None;
        }
        let whole = before_end as usize;
        let slot = ((before_end - whole as f64) * SLOTS as f64) as usize;
        // A time before the first bin's nominal beginning cannot be: runs begin within it.
        let bin = (self.bins() - 1).saturating_sub(whole);
        Some((bin, slot.min(SLOTS - 1) as u8))
    }
}

/// Spikes by bin, CSR.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BinnedSpikes {
    /// `[bins + 1]`
    pub offsets: Vec<u32>,
    /// (unit, age slot)
    pub spikes: Vec<(u16, u8)>,
}

impl BinnedSpikes {
    /// Spikes of a bin.
    #[inline(always)]
    pub fn at(&self, bin: usize) -> &[(u16, u8)] {
        &self.spikes[self.offsets[bin] as usize..self.offsets[bin + 1] as usize]
    }

    /// The first bin that holds a spike.
    pub fn first_bin(&self) -> Option<usize> {
        self.offsets.iter().position(|&before| before > 0)?.checked_sub(1)
    }

    /// All spikes.
    pub fn fired(&self) -> impl Iterator<Item = Fired> + '_ {
        let spike = |bin: usize, &(unit, slot): &(u16, u8)| Fired {
            step: bin as u32,
            unit,
            late: 1.0 - (f32::from(slot) + 0.5) / SLOTS as f32,
        };
        (0..self.offsets.len().saturating_sub(1))
            .flat_map(move |bin| self.at(bin).iter().map(move |own| spike(bin, own)))
    }

    /// From (µs, unit) sorted by time, in so many bins from 0 on.
    pub fn by_time(&mut self, bins: usize, dt_us: f64, spikes: &[(f64, u16)]) {
        self.offsets.clear();
        self.spikes.clear();
        for &(time_us, unit) in spikes {
            let position = time_us / dt_us;
            let bin = position as usize;
            if bin >= bins {
                break;
            }
            while self.offsets.len() <= bin {
                self.offsets.push(self.spikes.len() as u32);
            }
            // How old it is when the bin ends.
            let slot = ((1.0 - position.fract()) * SLOTS as f64) as usize;
            self.spikes.push((unit, slot.min(SLOTS - 1) as u8));
        }
        self.offsets.resize(bins + 1, self.spikes.len() as u32);
    }

    /// From `(time in ns, unit)` sorted by time.
    fn fill(&mut self, grid: &Grid, delay_ns: f64, spikes: impl Iterator<Item = (u32, u16)>) {
        self.offsets.clear();
        self.spikes.clear();
        for (time_ns, unit) in spikes {
            let Some((bin, slot)) = grid.place(f64::from(time_ns) + delay_ns) else {
                break;
            };
            while self.offsets.len() <= bin {
                self.offsets.push(self.spikes.len() as u32);
            }
            self.spikes.push((unit, slot));
        }
        self.offsets.resize(grid.bins() + 1, self.spikes.len() as u32);
    }
}

/// One layer of one sample on the grid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GridLayer {
    /// U, `[bin][block]`, in units of the threshold; exactly 1 in bins that hold a spike.
    pub membranes: Blocks,
    /// Spikes at the time at which they act on others.
    pub spikes: BinnedSpikes,
    /// Spikes at the time at which the neuron fired.
    pub fired: BinnedSpikes,
    /// Part of each bin for which no earlier spike's reset holds the membrane, `[bin][block]`; empty
    /// where nothing is ever held.
    pub free: Blocks,
}

impl GridLayer {
    /// Finds `free` from `fired`: after a spike the membrane is held for so many bins.
    pub fn hold(&mut self, bins: usize, wide: usize, hold_bins: f64) {
        self.free.clear();
        if self.fired.spikes.is_empty() {
            return;
        }
        self.free.resize(bins * wide);
        self.free.as_flattened_mut().fill(1.0);
        for bin in 0..bins {
            for &(unit, slot) in self.fired.at(bin) {
                let age = (f64::from(slot) + 0.5) / SLOTS as f64;
                for later in 1..bins - bin {
                    let part = later as f64 + age - hold_bins;
                    if part >= 1.0 {
                        break;
                    }
                    let row = &mut self.free[(bin + later) * wide + usize::from(unit) / LANES];
                    let free = &mut row[usize::from(unit) % LANES];
                    *free = free.min(part.max(0.0) as f32);
                }
            }
        }
    }
}

/// One sample on the grid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GridSample {
    /// Input spikes.
    pub inputs: BinnedSpikes,
    /// `[layer]`
    pub layers: Vec<GridLayer>,
}

/// Turns ADC codes into U, one scale and shift a neuron: U = scale · code + shift.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoder {
    /// `[layer][block]`
    scale: Vec<Blocks>,
    /// `[layer][block]`
    shift: Vec<Blocks>,
}

/// What a calibration has found of a channel of the ADC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeasuredChannel {
    /// Codes of an LSB relative to the ideal.
    pub gain: f64,
    /// What it adds, LSB.
    pub offset_lsb: f64,
}

impl MeasuredChannel {
    /// One that could not be measured is taken for ideal.
    pub const IDEAL: Self = Self {
        gain: 1.0,
        offset_lsb: 0.0,
    };
}

impl Decoder {
    /// What the host may know: nominal leak and threshold, an ADC without errors.
    pub fn nominal(network: &Network, spec: &ChipSpec) -> Self {
        let swing = network.nominal.swing_lsb();
        let codes_per_lsb = spec.adc_codes_per_lsb();
        Self::build(network, |layer, _| {
            let leak = network.nominal.leak_of(&network.layers[layer]);
            (1.0 / (codes_per_lsb * swing), -leak / swing)
        })
    }

    /// Nominal leak and threshold, behind channels of the ADC that were measured, `[neuron]`.
    pub fn through_channels(network: &Network, spec: &ChipSpec, channels: &[MeasuredChannel]) -> Self {
        let swing = network.nominal.swing_lsb();
        let codes_per_lsb = spec.adc_codes_per_lsb();
        Self::build(network, |layer, n| {
            let leak = network.nominal.leak_of(&network.layers[layer]);
            let MeasuredChannel { gain, offset_lsb } = channels[n];
            (
                1.0 / (gain * codes_per_lsb * swing),
                -(offset_lsb / gain + leak) / swing,
            )
        })
    }

    /// Every circuit's own leak, threshold and ADC channel: the oracle's true ones, or measured ones.
    pub fn of_neurons(network: &Network, spec: &ChipSpec, truth: &NeuronParameters) -> Self {
        let nominal_swing = network.nominal.swing_lsb();
        let codes_per_lsb = spec.adc_codes_per_lsb();
        Self::build(network, |layer, n| {
            let swing = truth.threshold_lsb[n] - truth.leak_lsb[n];
            // A neuron that fires at rest has no scale of its own.
            let scaled = network.layers[layer].spiking && swing > 0.1 * nominal_swing;
            let swing = if scaled { swing } else { nominal_swing };
            let gain = truth.adc_gain[n];
            (
                1.0 / (gain * codes_per_lsb * swing),
                -(truth.adc_offset_lsb[n] / gain + truth.leak_lsb[n]) / swing,
            )
        })
    }

    /// Takes these membranes of a layer, `[block]`, for 0 from now on.
    pub fn rest_at(&mut self, layer: usize, rest: &[Block]) {
        for (shift, rest) in self.shift[layer].iter_mut().zip(rest) {
            for lane in 0..LANES {
                shift[lane] -= rest[lane];
            }
        }
    }

    /// U = scale · code + shift of a neuron of a layer.
    pub fn of_neuron(&self, layer: usize, neuron: usize) -> [f32; 2] {
        let of = |values: &Blocks| values[neuron / LANES][neuron % LANES];
        [of(&self.scale[layer]), of(&self.shift[layer])]
    }

    fn build(network: &Network, of: impl Fn(usize, usize) -> (f64, f64)) -> Self {
        let (mut scales, mut shifts) = (Vec::new(), Vec::new());
        for (layer, shape) in network.layers.iter().enumerate() {
            let mut scale = Blocks::zeros(blocks(shape.size));
            let mut shift = scale.clone();
            for n in 0..shape.size {
                let (by, to) = of(layer, network.first_neuron(layer) + n);
                scale[n / LANES][n % LANES] = by as f32;
                shift[n / LANES][n % LANES] = to as f32;
            }
            scales.push(scale);
            shifts.push(shift);
        }
        Self {
            scale: scales,
            shift: shifts,
        }
    }

    /// U of a layer at the ADC's samples, `[point][block]`.
    pub fn decode(&self, network: &Network, layer: usize, recording: &Recording, sample: usize, out: &mut Blocks) {
        let (first, size) = (network.first_neuron(layer), network.layers[layer].size);
        let wide = blocks(size);
        out.reset(recording.points * wide);
        for point in 0..recording.points {
            let start = point * recording.columns + first;
            let row = &mut out[point * wide..(point + 1) * wide];
            if recording.membranes.is_empty() {
                let codes = &recording.adc(sample)[start..start + size];
                for (n, &code) in codes.iter().enumerate() {
                    let (block, lane) = (n / LANES, n % LANES);
                    row[block][lane] =
                        self.scale[layer][block][lane] * f32::from(code) + self.shift[layer][block][lane];
                }
            } else {
                row.as_flattened_mut()[..size].copy_from_slice(&recording.membranes(sample)[start..start + size]);
            }
        }
    }
}

impl GridSample {
    /// Places one sample's recording on the grid.
    pub fn place(
        &mut self,
        grid: &Grid,
        network: &Network,
        decoder: &Decoder,
        events: &[InputEvent],
        recording: &Recording,
        sample: usize,
    ) {
        let inputs = events.iter().map(|event| (event.time_ns, event.unit));
        self.inputs.fill(grid, grid.delay_ns[0], inputs);
        self.place_layers(grid, network, decoder, recording, sample, 0);
    }

    /// Shows the output layer to a loss. Where it alone was placed, what reached it first is not known.
    pub fn output<R>(&self, network: &Network, bins: usize, look: impl FnOnce(Output) -> R) -> R {
        let last = network.layers.len() - 1;
        let output = &self.layers[last];
        let spikes: Vec<Fired> = match network.layers[last].spiking {
            true => output.fired.fired().collect(),
            false => Vec::new(),
        };
        let reached = match last {
            0 => self.inputs.first_bin(),
            _ => self.layers[last - 1].spikes.first_bin(),
        };
        debug_assert_eq!(output.membranes.len(), bins * blocks(network.outputs()));
        look(Output {
            membranes: &output.membranes,
            spikes: &spikes,
            steps: bins,
            reached: reached.unwrap_or(bins),
        })
    }

    /// Places the output layer alone: all that a decision needs.
    pub fn place_output(
        &mut self,
        grid: &Grid,
        network: &Network,
        decoder: &Decoder,
        recording: &Recording,
        sample: usize,
    ) {
        self.place_layers(grid, network, decoder, recording, sample, network.layers.len() - 1);
    }

    /// Layers from `from` on.
    fn place_layers(
        &mut self,
        grid: &Grid,
        network: &Network,
        decoder: &Decoder,
        recording: &Recording,
        sample: usize,
        from: usize,
    ) {
        self.layers.resize_with(network.layers.len(), GridLayer::default);
        let (times, neurons) = recording.spikes(sample);
        let mut decoded = Blocks::default();
        for (layer, out) in self.layers.iter_mut().enumerate().skip(from) {
            let (first, size) = (network.first_neuron(layer), network.layers[layer].size);
            let wide = blocks(size);
            decoder.decode(network, layer, recording, sample, &mut decoded);
            interpolate(&decoded, wide, grid.refine, &mut out.membranes);
            let own = times.iter().zip(neurons).filter_map(|(&time_ns, &neuron)| {
                let unit = usize::from(neuron).checked_sub(first).filter(|&unit| unit < size)?;
                Some((time_ns, unit as u16))
            });
            out.fired.fill(grid, 0.0, own.clone());
            for bin in 0..grid.bins() {
                // The sample of this bin was usually taken after the reset: a surrogate of it would
                // vanish exactly where the spike was.
                for &(unit, _) in out.fired.at(bin) {
                    out.membranes[bin * wide + usize::from(unit) / LANES][usize::from(unit) % LANES] = 1.0;
                }
            }
            out.spikes.fill(grid, grid.delay_ns[1], own);
            out.hold(grid.bins(), wide, grid.hold_bins());
        }
    }
}

/// Linear interpolation to `refine` bins a sample; U is 0 before the run.
fn interpolate(samples: &[Block], wide: usize, refine: usize, out: &mut Blocks) {
    out.clear();
    let still = Blocks::zeros(wide);
    let mut before = &still[..];
    for sample in samples.chunks_exact(wide) {
        for part in 1..=refine {
            let weight = part as f32 / refine as f32;
            for block in 0..wide {
                let mut row = sample[block];
                if part < refine {
                    for lane in 0..LANES {
                        row[lane] = before[block][lane] + weight * (sample[block][lane] - before[block][lane]);
                    }
                }
                out.push(row);
            }
        }
        before = sample;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_end_with_the_samples() {
        let grid = Grid {
            duration_ns: 10_000,
            points: 6,
            refine: 1,
            interval_ns: 1700,
            delay_ns: [0.0; 2],
            hold_ns: 0.0,
        };
        assert_eq!(grid.place(0.0).unwrap().0, 0);
        assert_eq!(grid.place(1500.0).unwrap(), (0, 0));
        assert_eq!(grid.place(1501.0).unwrap(), (1, 15));
        assert_eq!(grid.place(10_000.0).unwrap(), (5, 0));
        assert!(grid.place(10_001.0).is_none());
        let mut binned = BinnedSpikes::default();
        binned.fill(&grid, 0.0, [(100, 1), (1600, 2), (1700, 3), (9999, 4)].into_iter());
        assert_eq!(binned.offsets, [0, 1, 3, 3, 3, 3, 4]);
        assert_eq!(binned.first_bin(), Some(0));
        binned.fill(&grid, 0.0, [(6700, 1)].into_iter());
        assert_eq!(
            binned.first_bin(),
            (0..grid.bins()).find(|&bin| !binned.at(bin).is_empty())
        );
        assert_eq!(binned.first_bin(), Some(4));
        binned.fill(&grid, 0.0, std::iter::empty());
        assert_eq!(binned.first_bin(), None);
    }

    #[test]
    fn interpolation_keeps_the_samples() {
        let samples = [[1.0; LANES], [3.0; LANES]];
        let mut out = Blocks::default();
        interpolate(&samples, 1, 2, &mut out);
        assert_eq!(out.iter().map(|row| row[0]).collect::<Vec<_>>(), [0.5, 1.0, 2.0, 3.0]);
    }
}
