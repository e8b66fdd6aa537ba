//! Colours that the colour-blind can tell apart, and how dark a share is.

use crate::experiment::Method;

/// Text and axes.
pub const INK: &str = "#222222";
/// What stays in the background.
pub const FAINT: &str = "#8a8a8a";
/// What is plain to see but not the point.
pub const DIM: &str = "#6e6e6e";
/// Hair lines.
pub const HAIR: &str = "#cccccc";
/// What went wrong: Okabe and Ito's vermilion, which no blue or grey resembles.
pub const WRONG: &str = "#D55E00";

/// Okabe and Ito (2008) without yellow, which is too pale for lines on white.
const OKABE_ITO: [&str; 7] = [
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
];

/// Tol's muted scheme and grey: ten that can be told apart.
const TOL_MUTED: [&str; 10] = [
    "#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77", "#CC6677", "#882255", "#AA4499", "#777777",
];

/// The colour of a method, the same in every figure.
pub fn of_method(method: Method) -> &'static str {
    match method {
        Method::Teacher => "#777777",
        Method::Ideal => "#000000",
        Method::Quantised => "#0072B2",
        Method::Transfer => "#CC79A7",
        Method::MismatchAware => "#56B4E9",
        Method::CalibratedTransfer => "#882255",
        Method::FineTuned => "#E69F00",
        Method::InTheLoop => "#D55E00",
        Method::CalibratedGradient => "#332288",
        Method::CalibratedInTheLoop => "#999933",
        Method::Oracle => "#009E73",
    }
}

/// The colour of one of `count` lines; beyond ten they repeat.
pub fn of(index: usize, count: usize) -> &'static str {
    if count <= OKABE_ITO.len() {
        OKABE_ITO[index % OKABE_ITO.len()]
    } else {
        TOL_MUTED[index % TOL_MUTED.len()]
    }
}

/// White at 0, Okabe and Ito's blue at 1.
pub fn shade(share: f64) -> String {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let mix = |full: f64| (255.0 + share * (full - 255.0)).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(0.0), mix(114.0), mix(178.0))
}

/// Text that can be read on a shade.
pub fn on_shade(share: f64) -> &'static str {
    if share > 0.55 { "#ffffff" } else { INK }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_differ() {
        for count in [7, 10] {
            let mut all: Vec<_> = (0..count).map(|index| of(index, count)).collect();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count);
        }
        let mut methods: Vec<_> = Method::ALL.into_iter().map(of_method).collect();
        methods.sort_unstable();
        methods.dedup();
        assert_eq!(methods.len(), Method::ALL.len());
    }

    #[test]
    fn shades_run_from_white_to_blue() {
        assert_eq!(shade(0.0), "#ffffff");
        assert_eq!(shade(1.0), "#0072b2");
        assert_eq!(shade(f64::NAN), "#ffffff");
        assert_eq!(on_shade(1.0), "#ffffff");
    }
}
