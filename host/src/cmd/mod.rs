//! One module a subcommand: its arguments and what it does.

pub mod age;
pub mod autoencoder;
pub mod bench;
pub mod board;
pub mod calibrate;
pub mod chip;
pub mod compare;
pub mod data;
pub mod energy;
pub mod estimators;
pub mod eval;
pub mod gap;
pub mod gradient;
pub mod init;
pub mod landscape;
pub mod neuron;
pub mod pattern;
pub mod plot;
mod progress;
pub mod report;
pub mod rules;
mod shared;
pub mod shell;
pub mod show;
pub mod study;
pub mod train;

use std::{io::Write, num::NonZeroUsize, process::ExitCode};

use anyhow::Context;
use clap::Subcommand;
use spikeloop::isa::Isa;

/// Exit code of a run that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// What the program can do.
#[derive(Subcommand)]
pub enum Command {
    /// Train a network on an emulated chip, and compare ways to get it there
    Train(train::Arguments),
    /// Test a finished run again, on the same chip or on another
    Eval(eval::Arguments),
    /// Say which imperfections of the chip cost a trained network how much
    Gap(gap::Arguments),
    /// Let a trained network's chip age, and say what it costs to win the accuracy back
    Age(age::Arguments),
    /// Say what an inference costs, by component and by layer
    Energy(energy::Arguments),
    /// Write a page about runs: HTML, Markdown, JSON
    Report(report::Arguments),
    /// Put runs beside one another
    Compare(compare::Arguments),
    /// Show the figures of a run in the terminal
    Show(show::Arguments),
    /// Draw the figures of a run as SVG
    Plot(plot::Arguments),
    /// Write a commented experiment file to start from
    Init(init::Arguments),
    /// Data sets: what there is, what is missing, and how to get it
    #[command(subcommand)]
    Data(data::Command),
    /// Look at chips
    #[command(subcommand)]
    Chip(chip::Command),
    /// Run one neuron and show what it does
    Neuron(neuron::Arguments),
    /// Learn to answer spike patterns while the network runs
    Pattern(pattern::Arguments),
    /// Say how far a gradient in the loop points away from the chip's own
    Gradient(gradient::Arguments),
    /// Say how gradients of neurons that fire by chance scatter, and where their mean points
    Estimators(estimators::Arguments),
    /// Walk through the loss along the gradient and along random directions
    Landscape(landscape::Arguments),
    /// Bring Gaussian inputs through a bottleneck and back, learned without a teacher
    Autoencoder(autoencoder::Arguments),
    /// List the learning rules that an experiment can name, and what each needs
    Rules(rules::Arguments),
    /// Calibrate a chip: find DAC codes for all circuits, by what any host may see
    Calibrate(calibrate::Arguments),
    /// Studies: a grid of experiments over chips, methods, anything; here or on a cluster
    #[command(subcommand)]
    Study(study::Command),
    /// Boards on serial lines: find, program, run, check, or start one without hardware
    #[command(subcommand)]
    Board(board::Command),
    /// Measure how fast training and emulation are on this machine
    Bench(bench::Arguments),
    /// Print a script that lets a shell complete commands
    Completions(shell::Completions),
    /// Write the manual pages
    Man(shell::Man),
}

impl Command {
    /// Does it; `program` describes the whole command line.
    pub fn run(self, program: clap::Command) -> anyhow::Result<ExitCode> {
        match self {
            Self::Init(arguments) => arguments.run(),
            Self::Data(command) => command.run(),
            Self::Completions(arguments) => arguments.run(program),
            Self::Man(arguments) => arguments.run(program),
            Self::Train(arguments) => arguments.run(),
            Self::Eval(arguments) => arguments.run(),
            Self::Gap(arguments) => arguments.run(),
            Self::Age(arguments) => arguments.run(),
            Self::Energy(arguments) => arguments.run(),
            Self::Report(arguments) => arguments.run(),
            Self::Compare(arguments) => arguments.run(),
            Self::Show(arguments) => arguments.run(),
            Self::Plot(arguments) => arguments.run(),
            Self::Chip(command) => command.run(),
            Self::Board(command) => command.run(),
            Self::Neuron(arguments) => arguments.run(),
            Self::Pattern(arguments) => arguments.run(),
            Self::Gradient(arguments) => arguments.run(),
            Self::Estimators(arguments) => arguments.run(),
            Self::Landscape(arguments) => arguments.run(),
            Self::Autoencoder(arguments) => arguments.run(),
            Self::Rules(arguments) => arguments.run(),
            Self::Calibrate(arguments) => arguments.run(),
            Self::Study(command) => command.run(),
            Self::Bench(arguments) => arguments.run(),
        }
    }
}

/// Prints to stdout; a reader that went away is an error to be ignored by `main`, not a panic.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Says something beside the result; whether anyone listens does not matter.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Largest number of threads: beyond it is a slip of the finger.
const THREADS_MAX: usize = 1024;

fn parse_threads(text: &str) -> Result<NonZeroUsize, String> {
    let threads: Option<NonZeroUsize> = text.parse().ok();
    threads
        .filter(|threads| threads.get() <= THREADS_MAX)
        .ok_or_else(|| format!("give a whole number from 1 to {THREADS_MAX}, or leave --threads out to use all cores"))
}

/// Stack of a thread, bytes: what the main one usually has.
const STACK: usize = 8 << 20;

/// Checks the instruction set that was asked for, and works on a pool of threads, all cores unless said
/// otherwise: from outside of a pool every loop over samples would begin and end with a system call.
fn on_threads<R: Send>(
    threads: Option<NonZeroUsize>,
    work: impl FnOnce() -> anyhow::Result<R> + Send,
) -> anyhow::Result<R> {
    Isa::from_environment().map_err(anyhow::Error::msg)?;
    let number = threads.map_or(0, NonZeroUsize::get);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(number)
        .stack_size(STACK)
        .build();
    let wanted = threads.map_or("all cores' threads".into(), |threads| format!("{threads} threads"));
    pool.with_context(|| format!("cannot start {wanted}; try fewer with --threads"))?
        .install(work)
}
