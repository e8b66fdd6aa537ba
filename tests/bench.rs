//! `spikeloop bench`: its lines, its refusals. No figure is judged: that is for quiet machines.

use crate::program::{program, refuse, scratch, succeed};
use serde_json::Value;

fn bench(arguments: &[&str]) -> Vec<Value> {
    let scratch = scratch();
    let printed = succeed(program(scratch.path()).arg("bench").args(arguments).arg("--json"));
    let lines = printed.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("JSON lines")
}

#[test]
fn a_line_says_what_of_the_machine_it_reached() {
    let lines = bench(&["b1", "--mode", "infer", "--threads", "1"]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let [machine, b1] = [&lines[0], &lines[1]];
    assert_eq!(machine["bench"], "roofline");
    assert!(machine["peak_gops_per_s"].as_f64().unwrap() > 0.0);
    assert_eq!([&b1["bench"], &b1["mode"]], ["b1", "infer"]);
    assert!(b1["work"]["flops"].as_f64().unwrap() > 1e4);
    let reached = b1["gops_per_s"].as_f64().unwrap() / b1["attainable_gops_per_s"].as_f64().unwrap();
    assert!((reached - b1["of_roofline"].as_f64().unwrap()).abs() < 1e-9);
    let alone = bench(&["b1", "--mode", "infer", "--threads", "1", "--no-roofline"]);
    assert!(alone.len() == 1 && alone[0].get("of_roofline").is_none(), "{alone:?}");
}

#[test]
fn a_network_takes_one_thread_and_counts_its_spikes() {
    let lines = bench(&["cuba", "--threads", "2", "--no-roofline"]);
    let [cuba] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!([&cuba["bench"], &cuba["mode"]], ["cuba", "run"]);
    assert_eq!(cuba["nt"], 1);
    assert!(cuba["median_ms"].as_f64().unwrap() > 0.0);
    // As many as NEST and Brian2 count in networks of their own.
    assert!((21_000..25_000).contains(&cuba["spikes"].as_u64().unwrap()), "{cuba}");
}

#[test]
fn memory_is_that_of_a_process_of_its_own() {
    let lines = bench(&["b1", "b2", "--mode", "infer", "--threads", "1", "--memory"]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let peak = |line: &Value| line.get("peak_resident_bytes").expect("null where unknown").as_u64();
    if let [Some(b1), Some(b2)] = [peak(&lines[0]), peak(&lines[1])] {
        assert!(b1 > 1 << 20 && b2 > b1, "{b1} {b2}");
    }
}

#[test]
fn a_curve_has_points_slopes_and_a_figure() {
    let scratch = scratch();
    let figure = scratch.path().join("figures/growth-threads.svg");
    let arguments = ["bench", "--curves", "threads", "--json", "--svg", "figures"];
    let printed = succeed(program(scratch.path()).args(arguments));
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let slopes = lines.iter().filter(|line| line["slope"].is_number()).count();
    let points = lines.iter().filter(|line| line["x"].is_number()).count();
    assert!(
        slopes == 2 && points >= 4 && slopes + points == lines.len(),
        "{printed}"
    );
    assert!(std::fs::read_to_string(figure).unwrap().starts_with("<svg"));
}

#[test]
fn batches_are_repeated_silently() {
    let scratch = scratch();
    let repeat = ["bench", "chip", "--mode", "infer", "--repeat", "1"];
    assert_eq!(succeed(program(scratch.path()).args(repeat)), "");
}

#[test]
fn mistakes_are_explained() {
    let scratch = scratch();
    let bench = |arguments: &[&str], parts: &[&str]| {
        refuse(program(scratch.path()).arg("bench").args(arguments), parts);
    };
    bench(&["b3"], &["\"b3\"", "b1, b2", "roofline"]);
    bench(&["cuba", "--mode", "train"], &["cuba has no mode train", "run"]);
    bench(&["--mode", "inference"], &["\"inference\"", "train, infer, run"]);
    bench(&["b1", "--repeat", "2"], &["--mode", "--repeat 2"]);
    bench(&["b1", "b2", "--mode", "train", "--repeat", "2"], &["one benchmark"]);
    bench(&["--curves", "b1"], &["no curve \"b1\"", "hidden, recurrent"]);
    bench(&["--svg", "."], &["--curves"]);
    bench(&["--json", "--markdown"], &["--json"]);
}
