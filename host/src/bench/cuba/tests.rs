//! The network on the array against a plain loop in double precision.

use super::*;

/// (step, neuron) of a loop that a reader can check: exact steps, then spikes, then what arrives.
fn plain(network: &Network, steps: u32) -> Vec<(u32, u16)> {
    let count = network.circuits.len();
    let h = 0.1;
    let mut v: Vec<f64> = network.start_mv.iter().map(|&v| v.into()).collect();
    let (mut exc, mut inh) = (vec![0.0; count], vec![0.0; count]);
    let mut held = vec![0_u32; count];
    let (mut spikes, mut arriving): (Vec<(u32, u16)>, Vec<u16>) = (Vec::new(), Vec::new());
    for step in 0..steps {
        let mut fired = Vec::new();
        for (i, circuit) in network.circuits.iter().enumerate() {
            let [tau, tau_exc, tau_inh, t_ref] = [
                circuit.tau_mem_us,
                circuit.tau_syn_exc_us,
                circuit.tau_syn_inh_us,
                circuit.t_ref_us,
            ]
            .map(|us| us / BIOLOGY);
            let decay = |tau: f64| (-h / tau).exp();
            // What a conductance of 1 mV that decays with τ_s does to V within the step, mV.
            let effect = |tau_syn: f64| tau_syn / (tau_syn - tau) * (decay(tau_syn) - decay(tau));
            let leak = circuit.leak_lsb;
            if held[i] > 0 {
                held[i] -= 1;
            } else {
                v[i] = leak + (v[i] - leak) * decay(tau) + effect(tau_exc) * exc[i] + effect(tau_inh) * inh[i];
                if v[i] >= circuit.threshold_lsb {
                    v[i] = circuit.reset_lsb;
                    held[i] = (t_ref / h).round() as u32;
                    fired.push(i as u16);
                }
            }
            exc[i] *= decay(tau_exc);
            inh[i] *= decay(tau_inh);
        }
        for source in std::mem::replace(&mut arriving, fired.clone()) {
            let source = usize::from(source);
            for &target in &network.lists[source] {
                let g = if network.excites(source) { &mut exc } else { &mut inh };
                g[usize::from(target)] += network.step_mv(source);
            }
        }
        spikes.extend(fired.iter().map(|&neuron| (step, neuron)));
    }
    spikes
}

/// Single precision shifts a crossing by a step now and then, and from there on the network goes another
/// way; until then the spikes are the same, and afterwards as many.
#[test]
fn the_array_fires_as_a_plain_loop_does() {
    let size = Size {
        neurons: 400,
        probability: 0.2,
    };
    for seed in 0..3 {
        let network = Network::draw(size, seed);
        let expected = plain(&network, 5000);
        let mut cuba = Cuba::of(&network, SECOND_NS / 2).unwrap();
        cuba.run().unwrap();
        // Stamps are the ends of steps.
        let spikes = cuba
            .spikes
            .0
            .iter()
            .map(|&(time_ns, neuron)| (time_ns / network::STEP_NS - 1, neuron));
        let spikes: Vec<_> = spikes.collect();
        let same = spikes
            .iter()
            .zip(&expected)
            .take_while(|(ours, theirs)| ours == theirs)
            .count();
        let ratio = spikes.len() as f64 / expected.len() as f64;
        eprintln!("{same} of {} {} {ratio}", spikes.len(), expected.len());
        assert!(same >= 150, "seed {seed}: {same} of {}", expected.len());
        assert!(
            (ratio - 1.0).abs() < 0.1,
            "seed {seed}: {} and {}",
            spikes.len(),
            expected.len()
        );
    }
}

/// NEST counts 21 868 and Brian2 22 246, each in networks of its own.
#[test]
fn the_network_is_as_active_as_elsewhere() {
    let seeds = 3;
    let mut spikes = 0;
    for seed in 0..seeds {
        let mut cuba = Cuba::of(&Network::draw(Size::FULL, seed), SECOND_NS).unwrap();
        cuba.run().unwrap();
        eprintln!("{}", cuba.spikes.0.len());
        spikes += cuba.spikes.0.len();
        assert_eq!(cuba.counters.spikes, cuba.spikes.0.len() as u64);
        assert_eq!(
            [cuba.counters.saturated_current, cuba.counters.saturated_membrane],
            [0; 2]
        );
    }
    let mean = spikes as f64 / seeds as f64;
    assert!((mean / 22_000.0 - 1.0).abs() < 0.05, "{mean} spikes a second");
}
