//! The plain way back through one layer of a run: from what its spikes are worth, and how they hang on its membranes, to its
//! weights and to what arrives.
//!
//! Backpropagation has kernels of its own, in which slopes are a surrogate of U. Here a rule says, bin by bin, what it takes for
//! them. How a reset depends on weights is left out.

use super::Shown;
use crate::{
    blocks::{Block, Blocks, LANES, blocks},
    isa::{Isa, Kernel, Unit},
    matrix::Matrix,
    network::Network,
    train::{
        exact::ExactLayer,
        gradient::Gradients,
        kernels::{add_products, add_row},
    },
};

/// How a network's membranes answer to spikes.
#[derive(Clone, Debug, PartialEq)]
pub struct Carry {
    /// `[layer]`
    pub layers: Vec<ExactLayer>,
    /// Whether spikes act in the bin after theirs (the ideal network's do), or in their own.
    pub in_next_bin: bool,
    /// Whether a spike sets U to a level, whatever it was.
    pub cuts: bool,
}

/// What acts on a layer's membranes, `[bin][block]`.
#[derive(Clone, Copy)]
pub enum Pushes<'a> {
    /// ∂L/∂U itself.
    Membranes(&'a [Block]),
    /// ∂L/∂S, and ∂S/∂U.
    Spikes {
        /// ∂L/∂S by whatever follows, recurrent connections aside.
        worth: &'a [Block],
        /// ∂S/∂U.
        slopes: &'a [Block],
        /// Recurrent weights, transposed, where spikes are to be worth what they do to their neighbours.
        recurrent: Option<&'a Matrix>,
    },
}

impl Carry {
    /// Adds a layer's gradient, and counts its spikes, each as `share`; gives ∂L by a unit charge on its way from a spike of
    /// each bin, `[bin][block]`.
    pub fn layer(
        &self,
        network: &Network,
        shown: &Shown,
        index: usize,
        pushes: Pushes,
        share: f32,
        sum: &mut Gradients,
    ) -> Blocks {
        Isa::current().run(Layer {
            carry: self,
            network,
            shown,
            index,
            pushes,
            share,
            sum,
        })
    }
}

/// A layer, on any vector unit.
struct Layer<'a> {
    carry: &'a Carry,
    network: &'a Network,
    shown: &'a Shown,
    index: usize,
    pushes: Pushes<'a>,
    share: f32,
    sum: &'a mut Gradients,
}

impl Kernel for Layer<'_> {
    type Output = Blocks;
    #[inline(always)]
    fn run<U: Unit>(self) -> Blocks {
        let Self {
            carry,
            network,
            shown,
            index,
            pushes,
            share,
            sum,
        } = self;
        let (feed_forward, recurrent) = network.connections_of(index);
        let (exact, own) = (&carry.layers[index], &shown.sample.layers[index]);
        let first = network.first_neuron(index);
        for &(unit, _) in &own.fired.spikes {
            sum.spikes[first + usize::from(unit)] += share;
        }
        let below = match index.checked_sub(1) {
            None => &shown.sample.inputs,
            Some(below) => &shown.sample.layers[below].spikes,
        };
        let (bins, wide) = (shown.bins, blocks(network.layers[index].size));
        let (gradient, rest) = sum.weights[feed_forward..].split_at_mut(1);
        let mut gradients = [Some(&mut gradient[0]), rest.first_mut().filter(|_| recurrent.is_some())];
        let mut arrival = Blocks::zeros(bins * wide);
        // Adjoints of U and I at the end of a bin.
        let (mut du, mut di) = (Blocks::zeros(wide), Blocks::zeros(wide));
        let mut add_events = |bin: usize, du: &[Block], di: &[Block]| {
            for (gradient, spikes) in gradients.iter_mut().zip([below, &own.spikes]) {
                let Some(gradient) = gradient else { continue };
                for &(unit, slot) in spikes.at(bin) {
                    let ages = usize::from(slot) * wide;
                    for (block, total) in gradient.row_mut(usize::from(unit)).iter_mut().enumerate() {
                        let (charge, potential) = (&exact.charge[ages + block], &exact.potential[ages + block]);
                        for lane in 0..LANES {
                            total[lane] += charge[lane] * di[block][lane] + potential[lane] * du[block][lane];
                        }
                    }
                }
            }
        };
        for bin in (0..bins).rev() {
            let here = bin * wide..(bin + 1) * wide;
            if carry.in_next_bin {
                arrive(exact, &du, &di, &mut arrival[here.clone()]);
                add_events(bin, &du, &di);
            }
            let mut cut = vec![[false; LANES]; wide];
            if carry.cuts && matches!(pushes, Pushes::Spikes { .. }) {
                for &(unit, _) in own.fired.at(bin) {
                    cut[usize::from(unit) / LANES][usize::from(unit) % LANES] = true;
                }
            }
            // What flows back from later bins.
            for block in 0..wide {
                for lane in 0..LANES {
                    let free = match own.free.get((bin + 1) * wide + block) {
                        Some(free) if bin + 1 < bins => free[lane],
                        _ => 1.0,
                    };
                    let next = du[block][lane];
                    // A membrane that was held comes from its reset, and from what flowed in afterwards.
                    let kept = if free < 1.0 || cut[block][lane] { 0.0 } else { next };
                    di[block][lane] =
                        exact.alpha[block][lane] * di[block][lane] + exact.kappa[block][lane] * free * next;
                    du[block][lane] = exact.beta[block][lane] * kept;
                }
            }
            match pushes {
                Pushes::Membranes(pushes) => add_row(&mut du, &pushes[here.clone()]),
                Pushes::Spikes {
                    worth,
                    slopes,
                    recurrent,
                } => {
                    let mut worth = Blocks::from_iter(worth[here.clone()].iter().copied());
                    if let Some(recurrent) = recurrent {
                        // A spike moves its neighbours later in the same bin at the earliest.
                        if !carry.in_next_bin {
                            arrive(exact, &du, &di, &mut arrival[here.clone()]);
                        }
                        add_products(&mut worth, recurrent, &arrival[here.clone()]);
                    }
                    for ((du, worth), slope) in du.iter_mut().zip(worth.iter()).zip(&slopes[here.clone()]) {
                        for lane in 0..LANES {
                            du[lane] += slope[lane] * worth[lane];
                        }
                    }
                }
            }
            if !carry.in_next_bin {
                arrive(exact, &du, &di, &mut arrival[here]);
                add_events(bin, &du, &di);
            }
        }
        arrival
    }
}

/// ∂L by a unit charge that arrives some time in a bin.
#[inline(always)]
fn arrive(exact: &ExactLayer, du: &[Block], di: &[Block], arrival: &mut [Block]) {
    for (block, arrival) in arrival.iter_mut().enumerate() {
        let (charge, potential) = (&exact.mean_charge[block], &exact.mean_potential[block]);
        for lane in 0..LANES {
            arrival[lane] = charge[lane] * di[block][lane] + potential[lane] * du[block][lane];
        }
    }
}

/// What spikes of a layer are worth to the one above, `[bin][block]`: by its weights, transposed, and what its arrivals are worth.
pub fn through(transposed: &Matrix, arrival: &[Block], bins: usize) -> Blocks {
    let [above, size] = transposed.shape();
    let (wide, above) = (blocks(size), blocks(above));
    let mut worth = Blocks::zeros(bins * wide);
    for (worth, arrival) in worth.chunks_exact_mut(wide).zip(arrival.chunks_exact(above)) {
        add_products(worth, transposed, arrival);
    }
    worth
}
