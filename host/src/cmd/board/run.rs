//! `spikeloop board run`

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::Args;
use spikeloop::{
    experiment::Method,
    report::Table,
    substrate::{EventBatch, Recording, Substrate},
};

use super::{Target, trained::Trained};
use crate::cmd::{print, shared::Machine};

/// Run test samples of a finished run on a board, and show what came back
#[derive(Args)]
pub struct Arguments {
    /// Run directory, as `spikeloop train` wrote it
    run: PathBuf,
    #[command(flatten)]
    target: Target,
    /// First test sample
    #[arg(long, value_name = "K", default_value_t = 0)]
    sample: usize,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: usize,
    /// Whose weights [default: in-the-loop, else the first that the run has]
    #[arg(long, value_name = "METHOD", value_enum)]
    method: Option<Method>,
    /// Also list every spike: time in µs, neuron
    #[arg(long)]
    spikes: bool,
    #[command(flatten)]
    machine: Machine,
}

impl Arguments {
    /// Runs and shows.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let trained = Trained::load(&self.run, self.method, &self.machine)?;
        let (lab, data) = (&trained.lab, &trained.lab.data.test);
        let Some(end) = self.sample.checked_add(self.count).filter(|&end| end <= data.len()) else {
            bail!("the test set has samples 0…{}", data.len() - 1);
        };
        let mut board = trained.board(&self.target.link())?;
        board.program(&lab.quantiser().codes(&trained.weights))?;
        let indices: Vec<_> = (self.sample..end).collect();
        let (events, trials) = lab.test_batch(&indices);
        let mut recording = Recording::default();
        board.run(&events, &lab.record_request(), &trials, &mut recording)?;
        print(&self.show(&trained, &indices, &events, &recording))?;
        Ok(ExitCode::SUCCESS)
    }

    fn show(&self, trained: &Trained, indices: &[usize], events: &EventBatch, recording: &Recording) -> String {
        let lab = &trained.lab;
        let hidden = lab.network.hidden_neurons();
        let mut table = Table::new(&[
            ">sample",
            ">class",
            ">input events",
            ">hidden spikes",
            "highest sample of each readout, ADC code",
        ]);
        let mut spikes = String::new();
        for (k, &index) in indices.iter().enumerate() {
            let (times, neurons) = recording.spikes(k);
            let count = neurons.iter().filter(|&&neuron| usize::from(neuron) < hidden).count();
            let adc = recording.adc(k);
            let peak = |column: usize| {
                let samples = adc.iter().skip(column).step_by(recording.columns.max(1));
                samples.max().map_or("none".into(), u16::to_string)
            };
            let peaks: Vec<String> = (hidden..recording.columns).map(peak).collect();
            table.row([
                index.to_string(),
                lab.data.test.label(index).to_string(),
                events.sample(k).len().to_string(),
                count.to_string(),
                peaks.join(" "),
            ]);
            if self.spikes {
                spikes.push_str(&format!("sample {index}: "));
                let all = times.iter().zip(neurons);
                let all: Vec<_> = all
                    .map(|(&ns, neuron)| format!("({:.3}, {neuron})", f64::from(ns) / 1000.0))
                    .collect();
                spikes.push_str(&format!("{}\n", all.join(" ")));
            }
        }
        let counters = &recording.counters;
        format!(
            "{}\n{spikes}{} ticks, {} synaptic events, {} ADC samples, {} events lost on the way in, {} on the way out.\n",
            table.to_terminal(),
            counters.ticks,
            counters.synaptic_events,
            counters.adc_samples,
            counters.lost_input_events,
            counters.lost_output_events
        )
    }
}
