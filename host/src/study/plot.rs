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
        palette::{of, of_method},
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
        let named = asked.x.iter().chain(&asked.series).chain(&asked.panels);
        for name in named {
            if !groups.axes.contains(name) {
                let axes = groups.axes.join(", ");
                return Err(StudyError::Figure(format!(
                    "plot: there is no axis {name:?}; there are {axes}"
                )));
            }
        }
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

fn distinct<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<&'a Value> {
    let mut all: Vec<&Value> = Vec::new();
    for value in values {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
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
    if groups.groups.iter().all(|group| group.cells.is_empty()) {
        let message = format!("plot: no cell has a number for {figure:?} yet");
        return Err(StudyError::Figure(message));
    }
    let place = |name: &String| groups.axes.iter().position(|axis| axis == name);
    let (x, series) = (place(&layout.x), layout.series.as_ref().and_then(place));
    let x = x.ok_or_else(|| StudyError::Figure(format!("plot: there is no axis {:?}", layout.x)))?;
    let panels: Vec<usize> = layout.panels.iter().filter_map(place).collect();
    let of_panel = |group: &Group| {
        panels
            .iter()
            .map(|&place| group.labels[place].clone())
            .collect::<Vec<_>>()
    };
    let mut names: Vec<Vec<Value>> = Vec::new();
    for group in &groups.groups {
        let name = of_panel(group);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let lines: Vec<Value> = match series {
        Some(place) => distinct(groups.groups.iter().map(|group| &group.labels[place]))
            .into_iter()
            .cloned()
            .collect(),
        None => vec![Value::Null],
    };
    let percent = layout.y == ACCURACY;
    let scale = if percent { 100.0 } else { 1.0 };
    let across = names.len().clamp(1, MOST_ACROSS);
    let down = names.len().div_ceil(across).max(1);
    let width = LEFT + across as f64 * (PANEL_WIDTH + GAP) + NAMES;
    let height = TOP + down as f64 * ROW;
    let description = format!(
        "{} against {}, one line for each {}",
        layout.y,
        layout.x,
        layout.series.as_deref().unwrap_or("result")
    );
    let mut svg = Svg::new(width, height, title, &description);
    svg.text((20.0, 24.0), title, Style::default().bold(true).sized(TEXT + 2.0));
    let xs = || groups.groups.iter().filter_map(|group| group.labels[x].as_f64());
    let ys = || {
        groups
            .groups
            .iter()
            .flat_map(|group| group.cells.iter().map(|cell| scale * cell.1))
    };
    for (number, name) in names.iter().enumerate() {
        let (column, row) = (number % across, number / across);
        let panel = Panel {
            left: LEFT + column as f64 * (PANEL_WIDTH + GAP),
            top: TOP + row as f64 * ROW,
            width: PANEL_WIDTH,
            height: PANEL_HEIGHT,
            x: Axis::around(xs(), 5),
            y: Axis::around(ys(), 5),
        };
        let y_name = if percent { "test accuracy (%)" } else { &layout.y };
        let frame = Frame {
            x_name: &layout.x,
            y_name: if column == 0 { y_name } else { "" },
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
            let own =
                |group: &&Group| of_panel(group) == *name && series.is_none_or(|place| group.labels[place] == *line);
            let own: Vec<&Group> = groups.groups.iter().filter(own).collect();
            let at = |group: &&Group| group.labels[x].as_f64();
            let mut means: Vec<(f64, f64)> = own
                .iter()
                .filter_map(|group| Some((at(group)?, scale * group.statistics()?.mean)))
                .collect();
            means.sort_by(|a, b| a.0.total_cmp(&b.0));
            let text = Results::text(line);
            let colour = colour(&text, index, lines.len());
            svg.group("series", &format!("{text}, {}", heading.join(", ")), |svg| {
                panel.trace(svg, &means, Stroke::new(colour, 1.6));
                let dots: Vec<(f64, f64)> = own
                    .iter()
                    .filter_map(|group| Some((at(group)?, group)))
                    .flat_map(|(x, group)| group.cells.iter().map(move |cell| (x, scale * cell.1)))
                    .collect();
                panel.dots(svg, &dots, 1.8, colour);
            });
            if let Some(&(_, y)) = means.last() {
                ends.push((text, colour, panel.at(panel.x.min, y).1));
            }
        }
        // Names once in each row, beside its last panel.
        if column + 1 == across || number + 1 == names.len() {
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
}
