//! The kernels of training, one sample each: `cargo bench -p spikeloop`. `SPIKELOOP_ISA` chooses the
//! instruction set.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spikeloop::bench::pieces::{Chip, Gaussians, Sample, Update};

fn recursion(criterion: &mut Criterion) {
    for (name, recurrent) in [("b1", false), ("b2", true)] {
        let mut sample = Sample::new(recurrent);
        criterion.bench_function(&format!("{name}/forward"), |bencher| bencher.iter(|| sample.forward()));
        sample.forward();
        criterion.bench_function(&format!("{name}/backward"), |bencher| {
            bencher.iter(|| sample.backward())
        });
    }
    let mut update = Update::default();
    criterion.bench_function("b1/adam", |bencher| bencher.iter(|| update.run()));
}

fn chip(criterion: &mut Criterion) {
    for (name, noise) in [("chip", false), ("chip-noise", true)] {
        let mut chip = match Chip::new(noise) {
            Ok(chip) => chip,
            Err(error) => {
                eprintln!("{name}: {error}");
                continue;
            }
        };
        criterion.bench_function(&format!("{name}/run"), |bencher| bencher.iter(|| chip.run()));
        if !noise {
            criterion.bench_function("chip/injected backward", |bencher| bencher.iter(|| chip.backward()));
            criterion.bench_function("chip/quantise", |bencher| bencher.iter(|| chip.quantise()));
            criterion.bench_function("chip/program", |bencher| bencher.iter(|| chip.program()));
        }
    }
}

fn noise(criterion: &mut Criterion) {
    let gaussians = Gaussians::default();
    let mut group = criterion.benchmark_group("noise");
    group.throughput(Throughput::Elements(Gaussians::DRAWS as u64));
    group.bench_function("Gaussians", |bencher| bencher.iter(|| gaussians.draw()));
}

criterion_group!(kernels, recursion, chip, noise);
criterion_main!(kernels);
