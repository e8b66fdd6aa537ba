//! The network on the array against a plain loop in double precision.

use super::*;

/// Step of the loop, ms.
const H: f64 = 0.1;

/// A loop that a reader can check: exact steps, then spikes, then what arrives.
struct Plain<'a> {
    network: &'a Network,
    /// Membranes, mV above the origin.
    v: Vec<f64>,
    /// Conductances as drive, mV.
    exc: Vec<f64>,
    inh: Vec<f64>,
    /// Steps for which V is still held.
    held: Vec<u32>,
    /// Spikes of the step before.
    arriving: Vec<u16>,
}

impl<'a> Plain<'a> {
    fn new(network: &'a Network) -> Self {
        let count = network.circuits.len();
        Self {
            network,
            v: network.start_lsb.iter().map(|&v| v.into()).collect(),
            exc: vec![0.0; count],
            inh: vec![0.0; count],
            held: vec![0; count],
            arriving: Vec::new(),
        }
    }

    /// One step; `fires(neuron, distance of V from its threshold in mV)` decides about all that are free.
    fn step(&mut self, mut fires: impl FnMut(u16, f64) -> bool) {
        let mut fired = Vec::new();
        for (i, circuit) in self.network.circuits.iter().enumerate() {
            let [tau, tau_exc, tau_inh, t_ref] = [
                circuit.tau_mem_us,
                circuit.tau_syn_exc_us,
                circuit.tau_syn_inh_us,
                circuit.t_ref_us,
            ]
            .map(|us| us / BIOLOGY);
            let decay = |tau: f64| (-H / tau).exp();
            // What a drive of 1 mV that decays with τ_s does to V within the step, mV.
            let effect = |tau_syn: f64| tau_syn / (tau_syn - tau) * (decay(tau_syn) - decay(tau));
            let leak = circuit.leak_lsb;
            if self.held[i] > 0 {
                self.held[i] -= 1;
            } else {
                let driven = effect(tau_exc) * self.exc[i] + effect(tau_inh) * self.inh[i];
                self.v[i] = leak + (self.v[i] - leak) * decay(tau) + driven;
                if fires(i as u16, self.v[i] - circuit.threshold_lsb) {
                    self.v[i] = circuit.reset_lsb;
                    self.held[i] = (t_ref / H).round() as u32;
                    fired.push(i as u16);
                }
            }
            self.exc[i] *= decay(tau_exc);
            self.inh[i] *= decay(tau_inh);
        }
        for source in std::mem::replace(&mut self.arriving, fired) {
            let source = usize::from(source);
            for &target in &self.network.lists[source] {
                let excites = self.network.excites(source);
                let drive = if excites { &mut self.exc } else { &mut self.inh };
                drive[usize::from(target)] += self.network.step_mv(source);
            }
        }
    }
}

/// (step, neuron) on the array.
fn spikes(network: &Network, duration_ns: u32) -> Vec<(u32, u16)> {
    let mut cuba = Cuba::of(network, duration_ns).unwrap();
    cuba.run().unwrap();
    // Stamps are the ends of steps.
    let spikes = cuba.spikes.0.iter();
    spikes
        .map(|&(ns, neuron)| (ns / network::STEP_NS - 1, neuron))
        .collect()
}

const SMALL: Size = Size {
    neurons: 400,
    probability: 0.2,
};

/// The loop is led along the array's spikes: where one is, V is at its threshold, and nowhere else beyond
/// it, but for what single precision rounds. That holds to the end, however chaotic the network is.
#[test]
fn the_array_fires_when_a_plain_loop_says_so() {
    for seed in 0..3 {
        let network = Network::draw(SMALL, seed);
        let spikes = spikes(&network, SECOND_NS / 2);
        let (mut plain, mut off, mut found) = (Plain::new(&network), 0.0_f64, 0);
        for step in 0..5000 {
            let now = spikes.iter().skip(found).take_while(|spike| spike.0 == step);
            let now: Vec<u16> = now.map(|spike| spike.1).collect();
            let mut led = 0;
            plain.step(|neuron, distance| {
                let fires = now.contains(&neuron);
                led += usize::from(fires);
                off = off.max(if fires { -distance } else { distance });
                fires
            });
            // None fires while it is held.
            assert_eq!(led, now.len(), "seed {seed}, step {step}");
            found += led;
        }
        assert_eq!(found, spikes.len());
        assert!(found > 500, "seed {seed}: {found} spikes");
        // Some two hundred steps are remembered, each of which rounds V, at most 10 mV off the origin, by 1e-6 mV.
        assert!(off < 2e-5, "seed {seed}: {off} mV from a threshold");
    }
}

/// Left to itself, the loop fires the same spikes until a rounding shifts a crossing by a step (its chance
/// is some 1e-4 a spike); from there on the network goes another way, but is as active.
#[test]
fn the_array_fires_what_a_plain_loop_does_until_a_rounding_matters() {
    let (mut ours, mut theirs) = (0, 0);
    for seed in 0..3 {
        let network = Network::draw(SMALL, seed);
        let spikes = spikes(&network, SECOND_NS / 2);
        let (mut plain, mut expected) = (Plain::new(&network), Vec::new());
        for step in 0..5000 {
            plain.step(|neuron, distance| {
                if distance >= 0.0 {
                    expected.push((step, neuron));
                }
                distance >= 0.0
            });
        }
        let both = spikes.iter().zip(&expected);
        let same = both.take_while(|(ours, theirs)| ours == theirs).count();
        assert!(same >= 500, "seed {seed}: {same} of {}", expected.len());
        (ours, theirs) = (ours + spikes.len(), theirs + expected.len());
    }
    let ratio = f64::from(ours as u32) / f64::from(theirs as u32);
    assert!((ratio - 1.0).abs() < 0.02, "{ours} and {theirs}");
}

/// From one network to the next, counts have a standard deviation of 4 %: of Brian2 three are known (22 246,
/// 22 423 and 24 409), of NEST two (21 868 and 24 619), 23 113 on average.
#[test]
fn the_network_is_as_active_as_elsewhere() {
    let (seeds, mut spikes) = (5, 0);
    for seed in 0..seeds {
        let mut cuba = Cuba::of(&Network::draw(Size::FULL, seed), SECOND_NS).unwrap();
        cuba.run().unwrap();
        spikes += cuba.spikes.0.len();
        assert_eq!(cuba.counters.spikes, cuba.spikes.0.len() as u64);
        let saturated = [cuba.counters.saturated_current, cuba.counters.saturated_membrane];
        assert_eq!(saturated, [0; 2]);
    }
    let mean = spikes as f64 / seeds as f64;
    assert!((mean / 23_100.0 - 1.0).abs() < 0.05, "{mean} spikes a second");
}
