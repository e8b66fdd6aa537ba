//! The page in a browser: its numbers are those of the JSON, nothing goes wrong in it, and it asks for nothing.
//!
//! Drives Chromium through ChromeDriver; where there is none the test is reported as ignored.

#[path = "common/data.rs"]
mod data;
#[path = "common/page.rs"]
mod page;
#[path = "common/program.rs"]
mod program;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
};

use libtest_mimic::{Arguments, Failed, Trial};
use program::{program, scratch, succeed, train};
use serde_json::{Value, json};
use spikeloop::data::{DataError, mnist16};

fn main() -> ExitCode {
    let lacks = Command::new("chromedriver").arg("--version").output().is_err();
    let name = match (lacks, mnist()) {
        (true, _) => "pages_are_well_in_a_browser (lacks chromedriver)".into(),
        (false, Err(what)) => format!("pages_are_well_in_a_browser (that of MNIST lacks {what})"),
        (false, Ok(_)) => "pages_are_well_in_a_browser".to_owned(),
    };
    let test = Trial::test(name, || {
        look_at_pages();
        Ok::<(), Failed>(())
    });
    libtest_mimic::run(&Arguments::from_args(), vec![test.with_ignored_flag(lacks)]).exit_code()
}

/// Where MNIST is, or which file of it is missing.
fn mnist() -> Result<PathBuf, String> {
    let folder = data::folder();
    match mnist16::find(&folder) {
        Err(DataError::MissingFile { what, .. }) => Err(what.to_string()),
        _ => Ok(folder),
    }
}

/// A browser, closed when dropped.
struct Browser {
    driver: Child,
    session: String,
}

fn post(url: &str, body: &Value) -> Value {
    let mut response = ureq::post(url)
        .config()
        .http_status_as_error(false)
        .build()
        .header("content-type", "application/json")
        .send(body.to_string())
        .expect("ChromeDriver answers");
    let text = response.body_mut().read_to_string().expect("text");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert!(answer["value"]["error"].is_null(), "{url}: {answer}");
    answer["value"].clone()
}

impl Browser {
    fn start(profile: &str) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("ChromeDriver starts");
        let lines = BufReader::new(driver.stdout.take().expect("it is piped")).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| {
                line.split("successfully on port ")
                    .nth(1)
                    .map(|rest| rest.trim_end_matches('.').to_owned())
            })
            .expect("it says its port");
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={profile}"),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        }}});
        let base = format!("http://127.0.0.1:{port}/session");
        let id = post(&base, &wanted)["sessionId"]
            .as_str()
            .expect("a session")
            .to_owned();
        Self {
            driver,
            session: format!("{base}/{id}"),
        }
    }

    fn ask(&self, what: &str, body: &Value) -> Value {
        post(&format!("{}/{what}", self.session), body)
    }

    fn run(&self, script: &str) -> Value {
        self.ask("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Entries of a log since it was last asked for.
    fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.ask("se/log", &json!({ "type": kind }));
        entries.as_array().expect("entries").clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = ureq::delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn look_at_pages() {
    let scratch = scratch();
    let browser = Browser::start(scratch.path().join("profile").to_str().unwrap());
    succeed(&mut train(scratch.path(), &["--out", "run"]));
    let figures = [
        "curves",
        "confusion",
        "energy",
        "latency",
        "sample 0",
        "sample 7",
        "weights",
        "mismatch",
    ];
    let samples = ["--sample", "0", "--sample", "7"];
    look_at(&browser, scratch.path(), &["run"], &samples, figures.len());
    if let Ok(data) = mnist() {
        let study = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../studies/mnist16-frontier.toml"));
        // The shipped study with little to learn from, and of one seed.
        let set = "set = { training.epochs = 1, data.train_samples = 1000, data.test_samples = 500 }\n[grid]\n";
        let small = study
            .unwrap()
            .replace("\n[grid]\n", &format!("\n{set}"))
            .replace("seed = [1, 2]", "seed = [1]");
        fs::write(scratch.path().join("small.toml"), small).unwrap();
        let run = ["study", "run", "small.toml", "--store", "mnist.sqlite", "--data"];
        succeed(program(scratch.path()).args(run).arg(&data));
        let experiment = Path::new(env!("CARGO_MANIFEST_DIR")).join("../studies/mnist16.toml");
        let settings = ["training.epochs=1", "data.train_samples=1000", "data.test_samples=500"];
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        let mut train = program(scratch.path());
        train
            .arg("train")
            .arg(experiment)
            .args(settings)
            .args(["--out", "mnist"])
            .arg("--data")
            .arg(&data);
        succeed(&mut train);
        let data = ["--data", data.to_str().unwrap()];
        // Figures of the run, and two of the study.
        look_at(&browser, scratch.path(), &["mnist", "mnist.sqlite"], &data, 7 + 2);
    }
}

/// Makes a page about some runs and studies, and looks at it.
fn look_at(browser: &Browser, scratch: &Path, subjects: &[&str], more: &[&str], figures: usize) {
    let files = ["--html", "page.html", "--json", "page.json"];
    succeed(program(scratch).arg("report").args(subjects).args(files).args(more));
    let json = fs::read_to_string(scratch.join("page.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    let url = format!("file://{}", scratch.join("page.html").display());
    // What it said while it started is not about the page.
    browser.ask("url", &json!({ "url": "about:blank" }));
    browser.log("browser");
    browser.ask("url", &json!({ "url": url }));

    let numbers = "return [...document.querySelectorAll('data')].map(d => [d.dataset.json, d.value, d.dataset.unit ?? '', \
                   d.innerText])";
    let numbers: Vec<page::Number> = serde_json::from_value(browser.run(numbers)).unwrap();
    assert!(numbers.len() > 50, "{numbers:?}");
    numbers.iter().for_each(|number| page::check(&json, number));

    // At the width of a desk and of a phone nothing sticks out of the page, and every figure has a size.
    for (width, height) in [(1280, 900), (390, 844)] {
        browser.ask("window/rect", &json!({ "width": width, "height": height }));
        let wide = browser.run("return document.documentElement.scrollWidth - window.innerWidth");
        assert!(wide.as_f64().unwrap() <= 0.0, "{width} px: {wide} px too wide");
        let sizes = "return [...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect().width)";
        let sizes: Vec<f64> = serde_json::from_value(browser.run(sizes)).unwrap();
        assert_eq!(sizes.len(), figures);
        assert!(sizes.iter().all(|&width| width > 200.0), "{sizes:?}");
    }

    // What a screen reader is told: every figure and every region has a name, and there is one heading a subject.
    let tree = json!({ "cmd": "Accessibility.getFullAXTree", "params": {} });
    let tree = browser.ask("goog/cdp/execute", &tree);
    let nodes = tree["nodes"].as_array().expect("nodes");
    let of_role = |roles: &'static [&'static str]| {
        let has_role = move |node: &&Value| roles.iter().any(|role| node["role"]["value"] == *role);
        nodes.iter().filter(has_role)
    };
    let images = of_role(&["image", "img", "graphics-document"]);
    assert_eq!(images.clone().count(), figures);
    for node in images.chain(of_role(&["region"])) {
        assert!(!node["name"]["value"].as_str().unwrap_or_default().is_empty(), "{node}");
    }
    let title = |node: &&Value| {
        node["properties"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|p| p["name"] == "level" && p["value"]["value"] == 1)
    };
    assert_eq!(of_role(&["heading"]).filter(title).count(), subjects.len());

    let said = browser.log("browser");
    assert!(said.is_empty(), "{said:?}");
    let mut asked = Vec::new();
    for entry in browser.log("performance") {
        let message: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
        // A browser that starts asks for much that is its own.
        let sent = &message["message"];
        if sent["method"] == "Network.requestWillBeSent" && sent["params"]["documentURL"] == *url {
            asked.push(
                message["message"]["params"]["request"]["url"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
    assert!(asked.contains(&url), "the log has no requests: {asked:?}");
    assert!(
        asked.iter().all(|asked| *asked == url || asked.starts_with("data:")),
        "{asked:?}"
    );
}
