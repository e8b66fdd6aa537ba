use spikeloop::{compare::*, experiment::*, lab::*, train::run::*};
struct W(std::time::Instant);
impl Spectator for W {
    fn epoch(&mut self, m: Method, e: &EpochMetrics, _: &Learner) {
        if e.epoch % 10 == 0 || e.epoch < 3 {
            eprintln!(
                "{} {} loss {:.4} acc {:.4} spk {:.1} {:.2}s",
                m.name(),
                e.epoch,
                e.loss,
                e.accuracy,
                e.hidden_spikes,
                e.seconds
            );
        }
    }
    fn end(&mut self, m: Method, r: &Row, _: &Learner) {
        println!(
            "== {} acc {:.4} spk {:.1} E {:?} t {:.1}s clip {:?}",
            m.name(),
            r.accuracy,
            r.hidden_spikes_per_inference,
            r.energy_uj_per_inference,
            self.0.elapsed().as_secs_f64(),
            r.counters.map(|c| (
                c.adc_clipped as f64 / c.adc_samples as f64,
                c.saturated_current,
                c.saturated_membrane,
                c.lost_input_events,
                c.lost_output_events
            ))
        );
    }
}
fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let path = if args.first().is_some_and(|a| a.ends_with(".toml")) {
        Some(args.remove(0))
    } else {
        None
    };
    let e = Experiment::load(path.as_deref().map(std::path::Path::new), &args).unwrap();
    let t = std::time::Instant::now();
    let lab = match Lab::new(e, std::path::Path::new("/work/shared/data")) {
        Ok(l) => l,
        Err(e) => {
            println!("{e}");
            return;
        }
    };
    eprintln!(
        "ready {:.2}s range {:?} gains {:?}",
        t.elapsed().as_secs_f64(),
        lab.placement.weight_range,
        (0..2).map(|l| lab.placement.gain(l)).collect::<Vec<_>>()
    );
    compare(&lab, &std::sync::atomic::AtomicBool::new(false), &mut W(t)).unwrap();
}
