//! Tests of the library and of the program, in one program: they are linked once, and run side by side.
//!
//! What needs firmware (`board`), and what says itself what is missing on this machine, are programs of their own.

#[path = "common/lab.rs"]
mod experiments;
#[path = "common/page.rs"]
mod page;
#[path = "common/program.rs"]
mod program;
#[path = "common/study.rs"]
mod small;

mod bad_input;
mod bench;
mod calibration;
mod cli;
mod energy;
mod figures;
mod golden_gradients;
mod golden_neuron;
mod injected;
mod laboratory;
mod methods;
mod neurobench;
mod neurons;
mod readers;
mod report;
mod resume;
mod study;
mod time_constants;
mod training;
mod wide_gradients;
mod yin_yang;
