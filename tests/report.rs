//! The page about a run: its forms hold the same figures, and nothing is missing from it.

use std::fs;

use crate::page;
use crate::program::{program, refuse, scratch, succeed, train};
use serde_json::Value;

#[test]
fn a_page_holds_the_figures_of_its_json() {
    let scratch = scratch();
    succeed(&mut train(scratch.path(), &["--out", "run"]));
    let report = ["report", "run", "--html", "out/page.html", "--json", "out/page.json"];
    let more = [
        "--markdown",
        "out/page.md",
        "--figures",
        "out/figures",
        "--sample",
        "0",
        "--sample",
        "3",
    ];
    let printed = succeed(program(scratch.path()).args(report).args(more));
    let read = |name: &str| fs::read_to_string(scratch.path().join("out").join(name)).expect(name);
    let (html, markdown) = (read("page.html"), read("page.md"));
    let json: Value = serde_json::from_str(&read("page.json")).unwrap();
    for file in [
        "page.html",
        "page.json",
        "page.md",
        "figures/energy.svg",
        "figures/sample-3.svg",
    ] {
        assert!(printed.contains(&format!("out/{file}\n")), "{printed}");
    }

    // Every number that says where it comes from.
    let document = page::parse(&html);
    let document = roxmltree::Document::parse(&document).unwrap();
    let numbers = page::numbers(&document);
    numbers.iter().for_each(|number| page::check(&json, number));
    let below = |root: &str| numbers.iter().filter(|number| number[0].starts_with(root)).count();
    // Two methods in software have no energy and no latency; four figures stand large, and one of them in the ledger.
    assert_eq!(below("/comparison"), 5 * 4 - 2 * 2);
    assert!(
        below("/energy/components") >= 9 && below("/energy/layers") == 2 * 6,
        "{numbers:?}"
    );
    assert_eq!(
        below("/energy") - below("/energy/components") - below("/energy/layers"),
        4 + 2
    );
    assert_eq!(
        below("/neurobench"),
        2 * 8 - 1,
        "an analog chip has no membrane updates"
    );
    assert_eq!(json["method"], "in-the-loop");
    let kept = fs::read_to_string(scratch.path().join("run/comparison.json")).unwrap();
    assert_eq!(json["comparison"], serde_json::from_str::<Value>(&kept).unwrap());
    let of_command = succeed(program(scratch.path()).args(["energy", "run", "--json"]));
    let of_command: Value = serde_json::from_str(&of_command).unwrap();
    assert_eq!(json["energy"], of_command["energy"]);
    assert_eq!(json["neurobench"], of_command["neurobench"]);
    let counted: u64 = json["confusion"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(counted, 1000);
    let weights: u64 = json["weight_codes"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|codes| codes["counts"].as_array().unwrap())
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(weights, 40 * (5 + 3));

    // It asks for nothing, and its ids are its own.
    for node in document.descendants() {
        for name in ["src", "href", "xlink:href", "action", "srcset"] {
            assert!(
                node.attribute(name).is_none_or(|value| value.starts_with("data:")),
                "{node:?}"
            );
        }
        assert!(!node.has_tag_name("script"));
    }
    assert!(!html.contains("url(") && !html.contains("@import"));
    let mut ids: Vec<_> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
    let images: Vec<_> = document
        .descendants()
        .filter(|node| node.attribute("role") == Some("img"))
        .collect();
    assert_eq!(
        images.len(),
        8,
        "curves, confusion, energy, latency, two samples, weights, mismatch"
    );
    for image in images {
        for id in image.attribute("aria-labelledby").unwrap().split(' ') {
            assert!(ids.contains(&id), "{id}");
        }
    }
    assert!(
        markdown.contains("![") && markdown.contains("(figures/energy.svg)"),
        "{markdown}"
    );
    assert!(
        markdown.contains("7.96 ± 0.80 µJ an inference") && markdown.contains("SHA-256"),
        "{markdown}"
    );
}

#[test]
fn runs_without_a_chip_and_several_runs_have_a_page_too() {
    let scratch = scratch();
    succeed(&mut train(scratch.path(), &["--method", "ideal", "--out", "soft<ware"]));
    succeed(&mut train(
        scratch.path(),
        &["--method", "in-the-loop", "--out", "chip"],
    ));
    assert_eq!(
        succeed(program(scratch.path()).args(["report", "soft<ware"])),
        "soft<ware/report.html\n"
    );
    let page = fs::read_to_string(scratch.path().join("soft<ware/report.html")).unwrap();
    assert!(!page.contains("Energy of") && !page.contains("Weight codes"), "{page}");
    let both = [
        "report",
        "soft<ware",
        "chip",
        "--html",
        "both.html",
        "--json",
        "both.json",
    ];
    succeed(program(scratch.path()).args(both));
    let json = fs::read_to_string(scratch.path().join("both.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["runs"][0]["energy"].is_null() && !json["runs"][1]["energy"].is_null());
    let html = page::parse(&fs::read_to_string(scratch.path().join("both.html")).unwrap());
    let document = roxmltree::Document::parse(&html).unwrap();
    let numbers = page::numbers(&document);
    assert!(
        numbers
            .iter()
            .any(|number| number[0].starts_with("/runs/1/energy/layers"))
    );
    numbers.iter().for_each(|number| page::check(&json, number));

    let study = "schema = 1\nname = \"lr\"\ndescription = \"Rates\"\nexperiment = \"chip/experiment.toml\"\n[grid]\n\
                 training.learning_rate = [0.002, 0.004]\nmethod = [\"in-the-loop\"]\n[frontier]\nreferences = [\n\
                 { name = \"a dream\", accuracy = 0.999, latency_us = 1.5, source = \"nobody\" }]\n";
    fs::write(scratch.path().join("lr.toml"), study).unwrap();
    succeed(program(scratch.path()).args(["study", "run", "lr.toml", "--store", "lr.sqlite"]));
    assert_eq!(
        succeed(program(scratch.path()).args(["report", "lr.sqlite"])),
        "lr.html\n"
    );
    let page = fs::read_to_string(scratch.path().join("lr.html")).unwrap();
    for part in [
        "All 2 cells are done.",
        "<svg",
        "[grid]",
        "a dream: nobody",
        "Spikeloop ",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let all = [
        "report",
        "chip",
        "lr.sqlite",
        "--json",
        "all.json",
        "--html",
        "all.html",
        "--figures",
        "figures",
    ];
    let printed = succeed(program(scratch.path()).args(all));
    for part in ["figures/run-1/energy.svg", "figures/lr.svg"] {
        assert!(printed.contains(part), "{printed}");
    }
    let json = fs::read_to_string(scratch.path().join("all.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    let groups = json["studies"][0]["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    let means = groups.iter().map(|group| group["mean"].as_f64().expect("a mean"));
    assert!(means.clone().all(|mean| mean > 0.3), "{groups:?}");
    let choices = json["studies"][0]["frontier"]["choices"].as_array().unwrap();
    let end = choices.iter().filter(|choice| choice["decides"] == "end");
    assert_eq!(end.clone().count(), 2);
    let accuracy = |choice: &Value| choice["accuracy"].as_f64().unwrap();
    let best = choices.iter().map(accuracy).fold(0.0, f64::max);
    for choice in choices {
        let range: [f64; 2] = serde_json::from_value(choice["energy_range_uj"].clone()).unwrap();
        assert!(range[0] < range[1], "{choice}");
    }
    let at_best = |choice: &&Value| accuracy(choice) == best;
    let best_is_there = choices
        .iter()
        .filter(at_best)
        .any(|choice| choice["on_frontier"] == true);
    assert!(
        best_is_there,
        "nothing can beat all that are most accurate: {choices:?}"
    );
    let html = page::parse(&fs::read_to_string(scratch.path().join("all.html")).unwrap());
    let document = roxmltree::Document::parse(&html).unwrap();
    let numbers = page::numbers(&document);
    numbers.iter().for_each(|number| page::check(&json, number));
    for root in [
        "/runs/0/comparison",
        "/studies/0/groups",
        "/studies/0/frontier/references",
    ] {
        assert!(numbers.iter().any(|number| number[0].starts_with(root)), "{root}");
    }
    assert!(scratch.path().join("figures/frontier.svg").is_file());
    let shown = succeed(program(scratch.path()).args(["study", "show", "--store", "lr.sqlite", "--frontier"]));
    assert!(
        shown.contains("a dream: nobody.") && shown.contains("µJ at least"),
        "{shown}"
    );
    fs::write(scratch.path().join("notes.txt"), "no store").unwrap();
    refuse(program(scratch.path()).args(["report", "notes.txt"]), &["notes.txt"]);

    refuse(
        program(scratch.path()).args(["report", "chip", "nowhere"]),
        &["nowhere", "not a run directory"],
    );
    refuse(
        program(scratch.path()).args(["report", "chip", "--sample", "5000"]),
        &["--sample", "999"],
    );
    fs::write(scratch.path().join("file"), "").unwrap();
    refuse(
        program(scratch.path()).args(["report", "chip", "--html", "file/page.html"]),
        &["cannot write", "file/page.html"],
    );
}

#[test]
fn runs_are_compared_where_that_makes_sense() {
    let scratch = scratch();
    let on = |out: &str, more: &[&str]| {
        succeed(&mut train(
            scratch.path(),
            &[&["--method", "in-the-loop", "--out", out], more].concat(),
        ));
    };
    on("a", &[]);
    on("b", &["--set", "training.learning_rate=0.002"]);
    on("elsewhere", &["--chip-seed", "7"]);
    on(
        "perfect",
        &["--set", "chip.file=\"ideal\"", "--set", "network.hidden=[20]"],
    );
    on("fewer", &["--set", "data.test_samples=100"]);
    let compare = |runs: &[&str]| succeed(program(scratch.path()).arg("compare").args(runs));
    let json: Value = serde_json::from_str(&compare(&["a", "b", "--json"])).unwrap();
    let accuracy = |run: usize| json["runs"][run]["rows"][0]["accuracy"].as_f64().unwrap();
    let of = &json["differences"][0];
    assert_eq!(of["accuracy"].as_f64().unwrap(), accuracy(1) - accuracy(0));
    let error = of["standard_error"].as_f64().unwrap();
    assert!(error > 0.0 && error < 0.05, "{error}");
    assert_eq!(json["same_instance"], true);
    assert_eq!(compare(&["a", "b", "--html", "pages/both.html"]), "pages/both.html\n");
    let energy = ["energy", "b", "--html", "pages/energy.html"];
    assert_eq!(succeed(program(scratch.path()).args(energy)), "pages/energy.html\n");
    for (file, holds) in [("both", "points from the first"), ("energy", "effective ACs")] {
        let html = fs::read_to_string(scratch.path().join(format!("pages/{file}.html"))).unwrap();
        let html = page::parse(&html);
        assert!(html.contains(holds), "{html}");
        let json = match file {
            "both" => json.clone(),
            _ => serde_json::from_str(&succeed(program(scratch.path()).args(["energy", "b", "--json"]))).unwrap(),
        };
        let document = roxmltree::Document::parse(&html).unwrap();
        let numbers = page::numbers(&document);
        assert!(numbers.len() > 5, "{numbers:?}");
        numbers.iter().for_each(|number| page::check(&json, number));
    }
    let same: Value = serde_json::from_str(&compare(&["a", "a", "--json"])).unwrap();
    assert_eq!(same["differences"][0]["standard_error"], 0.0);
    // Static power alone has a price; if all of it followed events, what they differ by would count.
    assert_eq!(of["energy_uj"], 0.0);
    let [low, high]: [f64; 2] = serde_json::from_value(of["energy_uj_range"].clone()).unwrap();
    assert!(
        low <= 0.0 && high >= 0.0 && low < high && high - low < 7.96,
        "{low} {high}"
    );
    assert!(compare(&["a", "b"]).contains("µJ an inference more"));
    on("worse", &["--set", "chip.sigma_d=0.5"]);
    assert!(compare(&["a", "worse"]).contains("set up differently"));
    assert!(compare(&["a", "elsewhere"]).contains("different instances"));
    assert!(!compare(&["a", "b"]).contains("different instances"));
    let refused = |runs: &[&str], parts: &[&str]| refuse(program(scratch.path()).arg("compare").args(runs), parts);
    refused(
        &["a", "perfect"],
        &["a ran on hicann-x", "perfect on ideal", "energy RUN --chip"],
    );
    refused(&["a", "fewer"], &["1000 and 100 test samples"]);
    refused(&["a", "nowhere"], &["nowhere"]);
    refused(&["a"], &["2 values required"]);
}
