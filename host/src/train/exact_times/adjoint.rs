//! The adjoint equations of one layer, from the end of a run to its beginning.

use spikeloop_chip::neuron::psp;

use super::{
    LayerModel, Model,
    forward::{Spike, row},
};
use crate::matrix::Matrix;

/// ∂L/∂U of a neuron at some moment, apart from what its spikes do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Push {
    /// When, µs.
    pub time: f64,
    /// Whose membrane.
    pub unit: u16,
    /// ∂L/∂U
    pub slope: f64,
}

/// A layer in a sample.
pub(super) struct LayerPass<'a> {
    pub model: &'a Model,
    pub layer: &'a LayerModel,
    /// ω from below.
    pub weights: &'a Matrix,
    /// ω from the layer itself.
    pub recurrent: Option<&'a Matrix>,
    /// Spikes from below, as they take effect.
    pub arrivals: &'a [Spike],
    /// Its own, when they fired.
    pub fired: &'a [Spike],
    /// ∂L/∂T of its own spikes, as far as others have to say.
    pub by_time: &'a [f64],
    /// Pushes at its membranes.
    pub pushes: &'a [Push],
    /// dU/dt of a neuron that fires is taken for no less than this, in thresholds per τ_mem.
    pub least_slope: f64,
}

/// What comes out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LayerGradient {
    /// ∂L/∂ω from below, `[pre][post]`, row by row.
    pub weights: Vec<f64>,
    /// ∂L/∂ω from the layer itself; empty where there is none.
    pub recurrent: Vec<f64>,
    /// ∂L/∂t of the arrivals.
    pub arrivals: Vec<f64>,
}

/// What happens to a layer. In this order where times are the same: what arrives cannot have made a neuron fire at that
/// moment, and what it sends to itself follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Arrives(usize),
    Fires(usize),
    Released(usize),
    ArrivesFromItself(usize),
    Pushed(usize),
}

/// How much of a current and of a membrane is left after a time, and how much of a current the membrane has by then.
struct Decay<'a> {
    layer: &'a LayerModel,
    homogeneous: bool,
    /// `[neuron]`: of I, of U, and from I to U.
    of: Vec<[f64; 3]>,
}

impl<'a> Decay<'a> {
    fn new(layer: &'a LayerModel) -> Self {
        Self {
            layer,
            homogeneous: layer.is_homogeneous(),
            of: vec![[1.0, 1.0, 0.0]; layer.size()],
        }
    }

    fn over(&mut self, us: f64) -> &[[f64; 3]] {
        let LayerModel {
            tau_mem_us, tau_syn_us, ..
        } = self.layer;
        let one = |mem: f64, syn: f64| [libm::exp(-us / syn), libm::exp(-us / mem), psp(us, mem, syn)];
        if self.homogeneous {
            if let (Some(&mem), Some(&syn)) = (tau_mem_us.first(), tau_syn_us.first()) {
                self.of.fill(one(mem, syn));
            }
        } else {
            for (of, (&mem, &syn)) in self.of.iter_mut().zip(tau_mem_us.iter().zip(tau_syn_us)) {
                *of = one(mem, syn);
            }
        }
        &self.of
    }
}

impl LayerPass<'_> {
    /// All that happens, in order.
    fn events(&self) -> Vec<(f64, What)> {
        let Model {
            t_ref_us,
            delays_us,
            end_us,
            ..
        } = *self.model;
        let mut events: Vec<(f64, What)> = Vec::new();
        let arrivals = self.arrivals.iter().enumerate();
        events.extend(arrivals.map(|(k, &(time, _))| (time, What::Arrives(k))));
        // A reset that the neuron's own next spike cuts short has no end of its own.
        let mut next = vec![f64::INFINITY; self.layer.size()];
        for (k, &(time, unit)) in self.fired.iter().enumerate().rev() {
            events.push((time, What::Fires(k)));
            let next = &mut next[usize::from(unit)];
            if time + t_ref_us < *next {
                events.push((time + t_ref_us, What::Released(k)));
            }
            *next = time;
            if self.recurrent.is_some() {
                events.push((time + delays_us[1], What::ArrivesFromItself(k)));
            }
        }
        let pushes = self.pushes.iter().enumerate();
        events.extend(pushes.map(|(k, push)| (push.time, What::Pushed(k))));
        events.retain(|&(time, _)| time <= end_us);
        events.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        events
    }

    /// I of each neuron that fires, when it fires and when its reset ends.
    fn currents(&self, events: &[(f64, What)], decay: &mut Decay) -> Vec<[f64; 2]> {
        let mut currents = vec![[0.0; 2]; self.fired.len()];
        let mut i = vec![0.0; self.layer.size()];
        let mut now = 0.0;
        let of = |k: usize| usize::from(self.fired[k].1);
        for &(time, what) in events {
            if time > now {
                let left = decay.over(time - now);
                i.iter_mut().zip(left).for_each(|(i, left)| *i *= left[0]);
                now = time;
            }
            match what {
                What::Fires(k) => currents[k][0] = i[of(k)],
                What::Released(k) => currents[k][1] = i[of(k)],
                What::Pushed(_) => {}
                What::Arrives(_) | What::ArrivesFromItself(_) => {
                    if let Some(row) = self.row(what) {
                        let taus = &self.layer.tau_syn_us;
                        for ((i, &weight), tau) in i.iter_mut().zip(row).zip(taus) {
                            *i += f64::from(weight) / tau;
                        }
                    }
                }
            }
        }
        currents
    }

    /// Weights that an arrival goes by.
    fn row(&self, what: What) -> Option<&[f32]> {
        match what {
            What::Arrives(k) => Some(row(self.weights, self.arrivals[k].1)),
            What::ArrivesFromItself(k) => Some(row(self.recurrent?, self.fired[k].1)),
            _ => None,
        }
    }

    /// All of it.
    pub fn run(&self) -> LayerGradient {
        let size = self.layer.size();
        let mut decay = Decay::new(self.layer);
        let events = self.events();
        let currents = self.currents(&events, &mut decay);
        let mut gradient = LayerGradient {
            weights: vec![0.0; self.weights.shape()[0] * size],
            recurrent: vec![0.0; self.recurrent.map_or(0, |_| size * size)],
            arrivals: vec![0.0; self.arrivals.len()],
        };
        let mut by_time = self.by_time.to_vec();
        let (mut by_u, mut by_i) = (vec![0.0; size], vec![0.0; size]);
        // Nothing before the last moment that anything depends on.
        let mut now = self.model.end_us;
        for &(time, what) in events.iter().rev() {
            if time < now {
                let left = decay.over(now - time);
                for ((u, i), [alpha, beta, both]) in by_u.iter_mut().zip(&mut by_i).zip(left) {
                    *i = alpha * *i + both * *u;
                    *u *= beta;
                }
                now = time;
            }
            match what {
                What::Pushed(k) => {
                    let Push { unit, slope, .. } = self.pushes[k];
                    by_u[usize::from(unit)] += slope;
                }
                What::Released(k) => {
                    let n = usize::from(self.fired[k].1);
                    let rises = currents[k][1] - self.model.reset / self.layer.tau_mem_us[n];
                    by_time[k] -= by_u[n] * rises;
                    by_u[n] = 0.0;
                }
                What::Fires(k) => {
                    let n = usize::from(self.fired[k].1);
                    let tau = self.layer.tau_mem_us[n];
                    let rises = (currents[k][0] - 1.0 / tau).max(self.least_slope / tau);
                    by_u[n] = -by_time[k] / rises;
                }
                What::Arrives(k) => {
                    let pre = usize::from(self.arrivals[k].1);
                    let own = &mut gradient.weights[pre * size..(pre + 1) * size];
                    gradient.arrivals[k] = self.arrives(row(self.weights, self.arrivals[k].1), own, &by_u, &by_i);
                }
                What::ArrivesFromItself(k) => {
                    let Some(recurrent) = self.recurrent else { continue };
                    let pre = usize::from(self.fired[k].1);
                    let own = &mut gradient.recurrent[pre * size..(pre + 1) * size];
                    by_time[k] += self.arrives(row(recurrent, self.fired[k].1), own, &by_u, &by_i);
                }
            }
        }
        gradient
    }

    /// Adds ∂L/∂ω of an arrival; returns ∂L/∂t of it.
    fn arrives(&self, row: &[f32], gradient: &mut [f64], by_u: &[f64], by_i: &[f64]) -> f64 {
        let mut by_time = 0.0;
        for (n, gradient) in gradient.iter_mut().enumerate() {
            let charge = by_i[n] / self.layer.tau_syn_us[n];
            *gradient += charge;
            by_time += f64::from(row[n]) * (charge - by_u[n]) / self.layer.tau_syn_us[n];
        }
        by_time
    }
}
