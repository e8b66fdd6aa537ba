//! Growth curves: a table, JSON lines, figures.

use std::path::Path;

use serde::Serialize;
use spikeloop::{
    bench::{
        Budget,
        curves::{Curve, Point, growth, measure},
        machine::description,
        slope::Growth,
    },
    figures::{self, growth::Series},
    isa::Isa,
    report::Table,
};

use super::{print, say};

/// How a mode of a curve grows, as a JSON line.
#[derive(Serialize)]
struct Fit {
    curve: &'static str,
    mode: &'static str,
    isa: &'static str,
    #[serde(flatten)]
    growth: Growth,
}

/// How results are shown.
pub struct Form<'a> {
    /// As JSON lines.
    pub json: bool,
    /// As Markdown.
    pub markdown: bool,
    /// As figures in this directory.
    pub svg: Option<&'a Path>,
}

/// Measures and shows these curves, all if none is named.
pub fn run(names: &[String], form: &Form) -> anyhow::Result<()> {
    let curves: Result<Vec<Curve>, _> = names.iter().map(|name| name.parse()).collect();
    let mut curves = curves?;
    if curves.is_empty() {
        curves = Curve::ALL.into();
    }
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let mut table = Table::new(&[
        "time against",
        "mode",
        ">from",
        ">to",
        ">ms, first",
        ">ms, last",
        ">samples/s, last",
        ">slope",
        ">at the end",
    ]);
    for curve in curves {
        if !form.json {
            say(&format!("curve {}", curve.text()));
        }
        let (mut points, mut failure) = (Vec::new(), Ok(()));
        measure(curve, &curve.xs(cores), &Budget::POINT, &mut |point| {
            if form.json && failure.is_ok() {
                failure = json(&point);
            }
            points.push(point);
        })?;
        failure?;
        for (mode, growth) in growth(&points) {
            let own: Vec<&Point> = points.iter().filter(|point| point.mode == mode).collect();
            let (Some(growth), [first, .., last]) = (growth, &own[..]) else {
                continue;
            };
            if form.json {
                let isa = Isa::current().name();
                json(&Fit {
                    curve: curve.text(),
                    mode,
                    isa,
                    growth,
                })?;
            }
            table.row([
                curve.text().to_owned(),
                mode.to_owned(),
                first.x.to_string(),
                last.x.to_string(),
                format!("{:.2}", first.median_ms),
                format!("{:.2}", last.median_ms),
                format!("{:.0}", last.samples_per_s),
                format!("{:.2}", growth.slope),
                format!("{:.2}", growth.slope_at_the_end),
            ]);
        }
        if let Some(directory) = form.svg {
            draw(curve, &points, directory)?;
        }
    }
    let closing = "Density in % of the inputs a step. Slope 1 is linear, 2 quadratic; with threads, −1 is ideal.";
    if form.markdown {
        print(&format!("{}\n{closing}\n{}.\n", table.to_markdown(), description()))?;
    } else if !form.json {
        print(&format!("\n{}\n{closing}\n{}.\n", table.to_terminal(), description()))?;
    }
    Ok(())
}

fn json(line: &impl Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string(line)?))
}

fn draw(curve: Curve, points: &[Point], directory: &Path) -> anyhow::Result<()> {
    let series: Vec<Series> = growth(points)
        .into_iter()
        .map(|(mode, _)| {
            let own = points.iter().filter(|point| point.mode == mode);
            (mode, own.map(|point| (point.x, point.median_ms)).collect())
        })
        .collect();
    let path = directory.join(format!("growth-{}.svg", curve.text()));
    let title = format!("Growth: {}", curve.text());
    figures::save(&path, &figures::growth::svg(&title, curve.x_name(), &series))?;
    say(&path.display().to_string());
    Ok(())
}
