//! A study's figure: a result against one axis, a line for each value of another, a panel for each of the rest.

use serde_json::Value;

use super::{
    StudyError,
    file::PlotSection,
    summary::{ACCURACY, Group, Groups, REPEATS},
    table::Results,
};
use crate::{
    experiment::Method,
    figures::{
        axis::Axis,
        labels::apart,
        palette::{FAINT, of, of_method},
        panel::{Frame, Panel},
        svg::{Stroke, Style, Svg, TEXT},
    },
};

const PANEL_WIDTH: f64 = 190.0;
const PANEL_HEIGHT: f64 = 170.0;
const LEFT: f64 = 62.0;
const TOP: f64 = 66.0;
const GAP: f64 = 26.0;
const ROW: f64 = PANEL_HEIGHT + 72.0;
/// Room for the names of lines.
const NAMES: f64 = 110.0;
/// Panels side by side.
const MOST_ACROSS: usize = 3;

/// Which axis stands where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    x: String,
    series: Option<String>,
    panels: Vec<String>,
    y: String,
}

impl Layout {
    /// As asked for; else the axis with the most numbers along x, methods as lines, the rest as panels.
    ///
    /// # Errors
    /// [`StudyError::Figure`] names an axis that does not exist.
    pub fn of(asked: &PlotSection, groups: &Groups) -> Result<Self, StudyError> {
        check_axes(asked.x.iter().chain(&asked.series).chain(&asked.panels), groups)?;
        let numbers = |axis: &&String| {
            let place = groups.axes.iter().position(|other| other == *axis).unwrap_or_default();
            let values = groups.groups.iter().map(|group| &group.labels[place]);
            if !values.clone().all(Value::is_number) {
                return 0;
            }
            distinct(values).len()
        };
        let x = asked.x.clone().or_else(|| {
            let free = groups.axes.iter().filter(|axis| !asked.panels.contains(axis));
            let best = free.rev().max_by_key(numbers)?;
            (numbers(&best) > 1).then(|| best.clone())
        });
        if let Some(x) = &x
            && numbers(&x) == 0
        {
            return Err(StudyError::Figure(format!(
                "plot: the values of {x:?} are no numbers; x needs some"
            )));
        }
        let x = x.ok_or_else(|| {
            let message = "plot: no axis of the study has several numbers; there is nothing to draw against";
            StudyError::Figure(message.into())
        })?;
        let taken = |axis: &&String| **axis == x || asked.panels.contains(axis);
        let free = || groups.axes.iter().filter(|axis| !taken(axis));
        let series = asked
            .series
            .clone()
            .or_else(|| free().find(|axis| *axis == "method").or_else(|| free().next()).cloned());
        let rest = free().filter(|axis| Some(*axis) != series.as_ref());
        let panels = if asked.panels.is_empty() {
            rest.cloned().collect()
        } else {
            asked.panels.clone()
        };
        Ok(Self {
            x,
            series,
            panels,
            y: asked.y.clone().unwrap_or_else(|| ACCURACY.into()),
        })
    }
}

/// Whether all of them are axes.
fn check_axes<'a>(mut names: impl Iterator<Item = &'a String>, groups: &Groups) -> Result<(), StudyError> {
    match names.find(|name| !groups.axes.contains(name)) {
        None => Ok(()),
        Some(name) => {
            let axes = groups.axes.join(", ");
            Err(StudyError::Figure(format!(
                "plot: there is no axis {name:?}; there are {axes}"
            )))
        }
    }
}

fn distinct<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<&'a Value> {
    let mut all: Vec<&Value> = Vec::new();
    for value in values {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}

/// What is drawn at one place: a mean, and the cells that it is of.
struct Point {
    panel: Vec<Value>,
    line: Value,
    mean: (f64, f64),
    cells: Vec<(f64, f64)>,
}

/// What is drawn, and what its axes are called.
struct Points {
    all: Vec<Point>,
    x: String,
    y: String,
    series: Option<String>,
}

/// Accuracies are drawn in percent.
fn scale(figure: &str) -> f64 {
    if figure == ACCURACY { 100.0 } else { 1.0 }
}

/// A result's name for people; an axis keeps its own.
fn in_words(name: &str) -> &str {
    match name {
        ACCURACY => "test accuracy (%)",
        "hidden_spikes_per_inference" => "hidden spikes / inference",
        "energy_uj_per_inference" => "energy (µJ / inference)",
        "latency_us" => "latency (µs)",
        other => other,
    }
}

impl Points {
    /// A result against an axis.
    fn against_an_axis(results: &Results, axes: &[String], asked: &PlotSection) -> Result<Self, StudyError> {
        let figure = asked.y.as_deref().unwrap_or(ACCURACY);
        // An axis that was asked for is no repetition.
        let asked_for = |axis: &str| {
            let mut named = asked.x.iter().chain(&asked.series).chain(&asked.panels);
            named.any(|name| name == axis)
        };
        let repeats = |axis: &str| REPEATS.contains(&axis) && !asked_for(axis);
        let layout = Layout::of(asked, &Groups::over(results, axes, figure, repeats))?;
        // What is neither along x, nor a line, nor a panel, is a repetition too.
        let shown = |axis: &str| {
            let mut shown = [&layout.x].into_iter().chain(&layout.series).chain(&layout.panels);
            shown.any(|name| name == axis)
        };
        let groups = Groups::over(results, axes, figure, |axis| !shown(axis));
        let place = |name: &String| groups.axes.iter().position(|axis| axis == name);
        let x = place(&layout.x).ok_or_else(|| StudyError::Figure(format!("plot: there is no axis {:?}", layout.x)))?;
        let (series, panels) = (layout.series.as_ref().and_then(place), places(&groups, &layout.panels));
        let scale = scale(figure);
        let point = |group: &Group| {
            let (x, mean) = (group.labels[x].as_f64()?, scale * group.statistics()?.mean);
            Some(Point {
                panel: labels(group, &panels),
                line: series.map_or(Value::Null, |place| group.labels[place].clone()),
                mean: (x, mean),
                cells: group.cells.iter().map(|cell| (x, scale * cell.1)).collect(),
            })
        };
        Ok(Self {
            all: groups.groups.iter().filter_map(point).collect(),
            x: layout.x,
            y: layout.y,
            series: layout.series,
        })
    }

    /// A result against another one: what is neither a line nor a panel nor a repetition makes the points.
    fn against_a_result(results: &Results, axes: &[String], asked: &PlotSection, x: &str) -> Result<Self, StudyError> {
        let y = asked.y.as_deref().unwrap_or(ACCURACY);
        let [of_x, of_y] = [x, y].map(|figure| Groups::of(results, axes, figure));
        check_axes(asked.series.iter().chain(&asked.panels), &of_y)?;
        let series = asked
            .series
            .as_ref()
            .and_then(|name| of_y.axes.iter().position(|axis| axis == name));
        let panels = places(&of_y, &asked.panels);
        let scales = [scale(x), scale(y)];
        let point = |(a, b): (&Group, &Group)| {
            let mean = (scales[0] * a.statistics()?.mean, scales[1] * b.statistics()?.mean);
            // The same cells in the same order, unless one has the one figure and not the other.
            let cells = a.cells.iter().filter_map(|(of, x)| {
                let (_, y) = b.cells.iter().find(|(other, _)| other == of)?;
                Some((scales[0] * x, scales[1] * y))
            });
            Some(Point {
                panel: labels(b, &panels),
                line: series.map_or(Value::Null, |place| b.labels[place].clone()),
                mean,
                cells: cells.collect(),
            })
        };
        Ok(Self {
            all: of_x.groups.iter().zip(&of_y.groups).filter_map(point).collect(),
            x: x.into(),
            y: y.into(),
            series: asked.series.clone(),
        })
    }

    /// Panels in the order in which they occur.
    fn panels(&self) -> Vec<Vec<Value>> {
        let mut all: Vec<Vec<Value>> = Vec::new();
        for point in &self.all {
            if !all.contains(&point.panel) {
                all.push(point.panel.clone());
            }
        }
        all
    }
}

/// Panels side by side that only their last axis tells apart, as many as there is room for.
fn rows(panels: Vec<Vec<Value>>) -> Vec<Vec<Vec<Value>>> {
    let mut rows: Vec<Vec<Vec<Value>>> = Vec::new();
    for panel in panels {
        let kin = |row: &&mut Vec<Vec<Value>>| {
            let last = panel.len().saturating_sub(1);
            row.len() < MOST_ACROSS && row[0][..last] == panel[..last]
        };
        match rows.last_mut().filter(kin) {
            Some(row) => row.push(panel),
            None => rows.push(vec![panel]),
        }
    }
    rows
}

fn places(groups: &Groups, names: &[String]) -> Vec<usize> {
    let place = |name: &String| groups.axes.iter().position(|axis| axis == name);
    names.iter().filter_map(place).collect()
}

fn labels(group: &Group, places: &[usize]) -> Vec<Value> {
    places.iter().map(|&place| group.labels[place].clone()).collect()
}

/// As SVG: means as lines, each chip as a dot.
///
/// # Errors
/// [`StudyError::Figure`].
pub fn svg(title: &str, results: &Results, axes: &[String], asked: &PlotSection) -> Result<String, StudyError> {
    let figure = asked.y.as_deref().unwrap_or(ACCURACY);
    if results.column(figure).is_none() {
        return Err(StudyError::Figure(format!("plot: the results have no {figure:?}")));
    }
    let is_result = |name: &&String| !axes.contains(name) && results.column(name).is_some();
    let points = match asked.x.as_ref().filter(is_result) {
        Some(x) => Points::against_a_result(results, axes, asked, x)?,
        None => Points::against_an_axis(results, axes, asked)?,
    };
    if points.all.is_empty() {
        let message = format!("plot: no cell has a number for {figure:?} yet");
        return Err(StudyError::Figure(message));
    }
    let along_x = || points.all.iter().flat_map(|point| &point.cells).map(|cell| cell.0);
    if asked.logarithmic && along_x().any(|x| x <= 0.0) {
        let message = format!("plot: logarithmic needs numbers above 0, but {} has others", points.x);
        return Err(StudyError::Figure(message));
    }
    let rows = rows(points.panels());
    let lines: Vec<Value> = distinct(points.all.iter().map(|point| &point.line))
        .into_iter()
        .cloned()
        .collect();
    let across = rows.iter().map(Vec::len).max().unwrap_or(1);
    let width = LEFT + across as f64 * (PANEL_WIDTH + GAP) + NAMES;
    let height = TOP + rows.len() as f64 * ROW;
    let description = format!(
        "{} against {}, one line for each {}",
        points.y,
        points.x,
        points.series.as_deref().unwrap_or("result")
    );
    let mut svg = Svg::new(width, height, title, &description);
    svg.text((20.0, 24.0), title, Style::default().bold(true).sized(TEXT + 2.0));
    let places = rows.iter().enumerate().flat_map(|(row, names)| {
        let place = move |(column, name)| (row, column, name);
        names.iter().enumerate().map(place)
    });
    for (number, (row, column, name)) in places.enumerate() {
        let together = |point: &&Point| !asked.rows_apart || rows[row].contains(&point.panel);
        let along_y = points.all.iter().filter(together).flat_map(|point| &point.cells);
        let panel = Panel {
            left: LEFT + column as f64 * (PANEL_WIDTH + GAP),
            top: TOP + row as f64 * ROW,
            width: PANEL_WIDTH,
            height: PANEL_HEIGHT,
            x: if asked.logarithmic {
                Axis::logarithmic(along_x())
            } else {
                Axis::around(along_x(), 5)
            },
            y: Axis::around(along_y.map(|cell| cell.1), 5),
        };
        let frame = Frame {
            x_name: in_words(&points.x),
            y_name: if column == 0 { in_words(&points.y) } else { "" },
            x_numbers: true,
            y_numbers: column == 0,
            open: false,
        };
        panel.frame(&mut svg, &frame);
        let heading: Vec<String> = name.iter().map(Results::text).collect();
        let letter = char::from(b'a' + (number % 26) as u8).to_string();
        panel.heading(&mut svg, &letter, &heading.join(", "));
        let mut ends = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let own = |point: &&Point| point.panel == *name && point.line == *line;
            let own: Vec<&Point> = points.all.iter().filter(own).collect();
            let mut means: Vec<(f64, f64)> = own.iter().map(|point| point.mean).collect();
            means.sort_by(|a, b| a.0.total_cmp(&b.0));
            let text = Results::text(line);
            let colour = colour(&text, index, lines.len());
            svg.group("series", &format!("{text}, {}", heading.join(", ")), |svg| {
                panel.trace(svg, &means, Stroke::new(colour, 1.6));
                let dots: Vec<(f64, f64)> = own.iter().flat_map(|point| point.cells.iter().copied()).collect();
                panel.dots(svg, &dots, 1.8, colour);
            });
            if let Some(&(_, y)) = means.last() {
                ends.push((text, colour, panel.at(panel.x.min, y).1));
            }
        }
        // Names once in each row, beside its last panel.
        if column + 1 == rows[row].len() {
            if let Some(series) = points.series.as_ref().filter(|name| *name != "method") {
                let style = Style::default().coloured(FAINT).sized(TEXT - 1.0);
                svg.text((panel.right() + 8.0, panel.top - 12.0), series, style);
            }
            let wanted: Vec<f64> = ends.iter().map(|end| end.2).collect();
            let placed = apart(&wanted, 14.0, panel.top, panel.bottom());
            for ((text, colour, _), y) in ends.iter().zip(placed) {
                let at = (panel.right() + 8.0, y + 4.0);
                svg.text(at, text, Style::default().coloured(colour));
            }
        }
    }
    Ok(svg.finish())
}

/// Methods have the same colour in every figure.
fn colour(name: &str, index: usize, count: usize) -> &'static str {
    match Method::ALL.into_iter().find(|method| method.name() == name) {
        Some(method) => of_method(method),
        None => of(index, count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> (Results, Vec<String>) {
        let mut rows = Vec::new();
        for drawn in ["tau", "threshold"] {
            for sigma in [0.0, 0.2, 0.5] {
                for method in ["transfer", "in-the-loop"] {
                    for chip in [1, 2] {
                        let accuracy = if method == "transfer" { 0.9 - sigma } else { 0.9 };
                        rows.push(vec![
                            drawn.into(),
                            sigma.into(),
                            chip.into(),
                            method.into(),
                            (accuracy + 0.01 * f64::from(chip)).into(),
                        ]);
                    }
                }
            }
        }
        let columns = ["drawn", "chip.sigma_d", "chip_seed", "method", "accuracy"].map(String::from);
        let axes = columns[..4].to_vec();
        (
            Results {
                columns: columns.to_vec(),
                rows,
            },
            axes,
        )
    }

    #[test]
    fn axes_find_their_places() {
        let (results, axes) = results();
        let groups = Groups::of(&results, &axes, ACCURACY);
        let layout = Layout::of(&PlotSection::default(), &groups).unwrap();
        assert_eq!(
            (layout.x.as_str(), layout.series.as_deref()),
            ("chip.sigma_d", Some("method"))
        );
        assert_eq!(layout.panels, ["drawn"]);
        let asked = PlotSection {
            x: Some("sigma".into()),
            ..PlotSection::default()
        };
        assert!(
            Layout::of(&asked, &groups)
                .unwrap_err()
                .to_string()
                .contains("chip.sigma_d")
        );
    }

    #[test]
    fn every_panel_has_every_line() {
        let (results, axes) = results();
        let text = svg("a & b", &results, &axes, &PlotSection::default()).unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        let series = document
            .descendants()
            .filter(|node| node.attribute("class") == Some("series"));
        assert_eq!(series.count(), 4);
        assert_eq!(text.matches("<circle").count(), 24);
        assert!(!text.contains("NaN"), "{text}");
        let asked = PlotSection {
            y: Some("guess".into()),
            ..PlotSection::default()
        };
        assert!(svg("x", &results, &axes, &asked).is_err());
    }

    #[test]
    fn rows_hold_what_the_last_axis_tells_apart() {
        let panels = [("a", 1), ("a", 2), ("b", 1), ("b", 2), ("b", 3), ("b", 4)];
        let panels = panels.map(|(task, rate)| vec![Value::from(task), Value::from(rate)]);
        let lengths = |panels: &[Vec<Value>]| rows(panels.to_vec()).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&panels), [2, 3, 1]);
        assert_eq!(lengths(&panels.map(|panel| panel[..1].to_vec())), [3, 3]);
        assert_eq!(lengths(&[vec![]]), [1]);
    }

    #[test]
    fn logarithmic_axes_need_numbers_above_zero() {
        let (results, axes) = results();
        let asked = PlotSection {
            logarithmic: true,
            ..PlotSection::default()
        };
        let error = svg("x", &results, &axes, &asked).unwrap_err().to_string();
        assert!(error.contains("chip.sigma_d"), "{error}");
    }

    #[test]
    fn rows_may_have_axes_of_their_own() {
        let (results, axes) = results();
        let asked = PlotSection {
            panels: vec!["drawn".into(), "method".into()],
            series: Some("chip_seed".into()),
            rows_apart: true,
            ..PlotSection::default()
        };
        let text = svg("x", &results, &axes, &asked).unwrap();
        assert_eq!(text.matches("test accuracy (%)</text>").count(), 2);
    }

    #[test]
    fn a_result_can_stand_along_x() {
        let (mut results, axes) = results();
        results.columns.push("latency_us".into());
        for row in &mut results.rows {
            let sigma = row[1].as_f64().unwrap();
            row.push((10.0 + sigma).into());
        }
        let asked = PlotSection {
            x: Some("latency_us".into()),
            series: Some("method".into()),
            panels: vec!["drawn".into()],
            ..PlotSection::default()
        };
        let text = svg("frontier", &results, &axes, &asked).unwrap();
        assert_eq!(text.matches("class=\"series\"").count(), 4);
        assert_eq!(text.matches("<circle").count(), 24);
        assert!(text.contains("latency (µs)") && !text.contains("NaN"), "{text}");
        let asked = PlotSection {
            series: Some("metod".into()),
            ..asked
        };
        let refused = svg("frontier", &results, &axes, &asked).unwrap_err().to_string();
        assert!(refused.contains("metod") && refused.contains("method"), "{refused}");
    }
}
