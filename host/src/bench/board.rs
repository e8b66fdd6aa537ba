//! How fast a board and its line are.

use std::time::{Duration, Instant};

use serde::Serialize;
use spikeloop_chip::weights::Weights;
use spikeloop_wire::message::Request;

use super::BenchError;
use crate::{
    board::Client,
    experiment::{BUILT_IN, Experiment},
    lab::Lab,
    substrate::{Board, BoardLink, Recording, Substrate, SubstrateError},
};

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoardFigures {
    /// Name of the board.
    pub board: String,
    /// Pings answered a second, one at a time.
    pub round_trips_per_s: f64,
    /// Median of one, ms.
    pub round_trip_ms: f64,
    /// Bytes a second on the line while weights are streamed.
    pub weight_bytes_per_s: f64,
    /// Those of a line of this baud rate, ten bits a byte.
    pub line_bytes_per_s: f64,
    /// Bits on the line for a signed weight, framing included.
    pub bits_per_weight: f64,
    /// Samples a second of the built-in experiment.
    pub samples_per_s: f64,
    /// Bytes a second from the board meanwhile.
    pub recording_bytes_per_s: f64,
    /// Frames that had to be sent again.
    pub repeated: u64,
}

/// Measures each for about `budget`.
///
/// # Errors
/// The board's.
pub fn measure(link: &BoardLink, budget: Duration) -> Result<BoardFigures, BenchError> {
    let (round_trips_per_s, round_trip_ms) = round_trips(link, budget)?;
    let experiment = Experiment::from_toml("the built-in experiment", BUILT_IN, &[])?;
    let lab = Lab::new(experiment, "".as_ref())?;
    let mut board = Board::connect(link, &lab.instance).map_err(SubstrateError::from)?;
    board.configure(&lab.placement, &lab.codes, lab.seeds.configuration())?;

    // Every weight changes every time.
    let images = [1.0_f32, -1.0].map(|sign| {
        let strong = |weight: f32| sign * if weight.abs() < 0.05 { 0.05 } else { weight };
        let weights: Vec<_> = lab.initial.iter().map(|matrix| matrix.map(strong)).collect();
        lab.quantiser().codes(&weights)
    });
    board.program(&images[1])?;
    let (before, begin) = (board.traffic(), Instant::now());
    let (mut times, mut weights) = (0, 0);
    while begin.elapsed() < budget || times < 2 {
        board.program(&images[times % 2])?;
        weights += count(&images[0]);
        times += 1;
    }
    let streaming_s = begin.elapsed().as_secs_f64();
    let streamed = (board.traffic().bytes_out - before.bytes_out) as f64;

    let request = lab.record_request();
    let (mut recording, mut samples) = (Recording::default(), 0);
    let (before, begin) = (board.traffic(), Instant::now());
    while begin.elapsed() < budget {
        let indices: Vec<usize> = (0..10).map(|k| (samples + k) % lab.data.test.len()).collect();
        let (events, trials) = lab.test_batch(&indices);
        board.run(&events, &request, &trials, &mut recording)?;
        samples += indices.len();
    }
    let running_s = begin.elapsed().as_secs_f64();
    let traffic = board.traffic();
    Ok(BoardFigures {
        board: board.identity().map(|identity| identity.board).unwrap_or_default(),
        round_trips_per_s,
        round_trip_ms,
        weight_bytes_per_s: streamed / streaming_s,
        line_bytes_per_s: f64::from(link.address.baud) / 10.0,
        bits_per_weight: 8.0 * streamed / weights as f64,
        samples_per_s: samples as f64 / running_s,
        recording_bytes_per_s: (traffic.bytes_in - before.bytes_in) as f64 / running_s,
        repeated: traffic.repeated,
    })
}

fn count(weights: &Weights) -> usize {
    (0..weights.matrices()).map(|matrix| weights.len_of(matrix)).sum()
}

/// Round trips a second, and the median time of one in ms.
fn round_trips(link: &BoardLink, budget: Duration) -> Result<(f64, f64), BenchError> {
    let mut client = Client::open(&link.address).map_err(SubstrateError::from)?;
    let mut times_ms = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < budget || times_ms.len() < 10 {
        let one = Instant::now();
        let echo = times_ms.len() as u32;
        let answer = client.call("answer", Duration::ZERO, &Request::Ping { echo });
        answer.map_err(SubstrateError::from)?;
        times_ms.push(1000.0 * one.elapsed().as_secs_f64());
    }
    let rate = times_ms.len() as f64 / begin.elapsed().as_secs_f64();
    times_ms.sort_by(f64::total_cmp);
    Ok((rate, times_ms[times_ms.len() / 2]))
}
