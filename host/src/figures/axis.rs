//! Ranges, ticks and their labels.

/// A linear axis, or a logarithmic one.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Where it begins.
    pub min: f64,
    /// Where it ends: above `min`.
    pub max: f64,
    /// Where numbers stand.
    pub ticks: Vec<f64>,
    /// Distance of ticks, on a linear axis.
    step: f64,
    /// Whether equal ratios are equally far apart; then `min` is above 0.
    logarithmic: bool,
}

impl Axis {
    /// From round number to round number around all finite values; 0 to 1 where there is none.
    pub fn around(values: impl IntoIterator<Item = f64>, intervals: usize) -> Self {
        let (min, max) = widened(values);
        let step = round_step((max - min) / intervals.max(1) as f64);
        Self::with_ticks((min / step).floor() * step, (max / step).ceil() * step, step)
    }

    /// From `min` to `max` as they are, round numbers between them.
    pub fn exact(min: f64, max: f64, intervals: usize) -> Self {
        let (min, max) = widened([min, max]);
        Self::with_ticks(min, max, round_step((max - min) / intervals.max(1) as f64))
    }

    /// Whole numbers from 1 to `last`, such as epochs; a lone one stands in the middle.
    pub fn counting(last: u32, intervals: usize) -> Self {
        let last = f64::from(last.max(1));
        let step = round_step((last - 1.0) / intervals.max(1) as f64).max(1.0);
        let mut ticks = vec![1.0];
        let rest = (1..).map(|k| f64::from(k) * step).skip_while(|&tick| tick < 1.5);
        ticks.extend(rest.take_while(|&tick| tick <= last));
        let margin = if last > 1.0 { 0.02 * (last - 1.0) } else { 0.5 };
        Self {
            min: 1.0 - margin,
            max: last + margin,
            ticks,
            step,
            logarithmic: false,
        }
    }

    /// Around all values above 0, equal ratios equally far apart; numbers at powers of ten, and at twice and
    /// five times them where there are few.
    pub fn logarithmic(values: impl IntoIterator<Item = f64>) -> Self {
        let positive = values.into_iter().filter(|&value| value > 1e-30 && value < 1e30);
        let (min, max) = positive.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| {
            (min.min(value), max.max(value))
        });
        let (min, max) = if min > max {
            (1.0, 10.0)
        } else {
            (min / 1.25, 1.25 * max)
        };
        // Within a factor of five there is always a number or two.
        let room = libm::sqrt((5.0 * min / max).max(1.0));
        let (min, max) = (min / room, max * room);
        let decades = libm::floor(libm::log10(min)) as i32..=libm::ceil(libm::log10(max)) as i32;
        let digits: &[f64] = if max / min > 300.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let ticks = decades.flat_map(|power| digits.iter().map(move |digit| digit * power_of_ten(power)));
        Self {
            min,
            max,
            ticks: ticks.filter(|tick| (min..=max).contains(tick)).collect(),
            step: 1.0,
            logarithmic: true,
        }
    }

    /// Rows of a raster: indices from 0, each with half a row of room.
    pub fn indices(count: usize, intervals: usize) -> Self {
        let last = count.saturating_sub(1) as f64;
        let step = round_step(last / intervals.max(1) as f64).max(1.0);
        Self {
            min: -0.5,
            max: last + 0.5,
            ..Self::with_ticks(0.0, last, step)
        }
    }

    fn with_ticks(min: f64, max: f64, step: f64) -> Self {
        let first = (min / step - 1e-6).ceil() as i64;
        let last = (max / step + 1e-6).floor() as i64;
        Self {
            min,
            max,
            ticks: (first..=last).map(|k| k as f64 * step).collect(),
            step,
            logarithmic: false,
        }
    }

    /// Where a value lies: 0 at the beginning, 1 at the end.
    pub fn share(&self, value: f64) -> f64 {
        if self.logarithmic {
            return libm::log(value / self.min) / libm::log(self.max / self.min);
        }
        (value - self.min) / (self.max - self.min)
    }

    /// A tick for people, with as many digits as its neighbours need, and a true minus sign.
    pub fn label(&self, tick: f64) -> String {
        if self.logarithmic {
            let plain = (1e-3..1e6).contains(&tick);
            return if plain { format!("{tick}") } else { format!("{tick:e}") };
        }
        let mut digits = 0;
        let mut step = self.step;
        while step < 0.999 && digits < 12 {
            step *= 10.0;
            digits += 1;
        }
        let text = if tick.abs() >= 1e6 || digits > 6 {
            format!("{tick:.1e}")
        } else {
            format!("{tick:.digits$}")
        };
        match text.strip_prefix('-') {
            Some(rest) if rest.bytes().any(|b| b.is_ascii_digit() && b != b'0') => format!("−{rest}"),
            Some(rest) => rest.into(),
            None => text,
        }
    }
}

/// As exact as it can be printed: a product of inexact tenths would show its last digits.
fn power_of_ten(power: i32) -> f64 {
    let whole = libm::pow(10.0, f64::from(power.abs()));
    if power < 0 { 1.0 / whole } else { whole }
}

/// Smallest and largest finite value, with a distance between them that arithmetic can bear.
fn widened(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    // Beyond this a span would not be finite.
    let finite = values.into_iter().filter(|value| value.abs() < 1e300);
    let (min, max) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| {
        (min.min(value), max.max(value))
    });
    if min > max {
        return (0.0, 1.0);
    }
    if max - min > 1e-9 * min.abs().max(max.abs()) && max - min > 1e-300 {
        return (min, max);
    }
    // One value: some room on both sides.
    let room = if min == 0.0 { 0.5 } else { 0.1 * min.abs() };
    (min - room, max + room)
}

/// 1, 2 or 5 times a power of ten, not below `least`.
fn round_step(least: f64) -> f64 {
    let power = libm::pow(10.0, libm::floor(libm::log10(least.max(1e-300))));
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|&step| step >= 0.999_999 * least);
    step.unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|&tick| axis.label(tick)).collect()
    }

    #[test]
    fn axes_run_between_round_numbers() {
        let axis = Axis::around([0.07, 0.39], 4);
        assert_eq!(labels(&axis), ["0.0", "0.1", "0.2", "0.3", "0.4"]);
        let axis = Axis::around([57.6, 97.5], 5);
        assert_eq!(labels(&axis), ["50", "60", "70", "80", "90", "100"]);
        let axis = Axis::around([-1.2, 0.7], 4);
        assert_eq!(labels(&axis), ["−1.5", "−1.0", "−0.5", "0.0", "0.5", "1.0"]);
    }

    #[test]
    fn exact_axes_keep_their_ends() {
        let axis = Axis::exact(0.0, 38.0, 4);
        assert_eq!((axis.min, axis.max), (0.0, 38.0));
        assert_eq!(labels(&axis), ["0", "10", "20", "30"]);
    }

    #[test]
    fn odd_values_do_no_harm() {
        for values in [
            vec![],
            vec![f64::NAN],
            vec![f64::INFINITY, f64::NEG_INFINITY, f64::NAN],
            vec![0.0],
            vec![0.5],
            vec![-3.0, -3.0],
            vec![0.1, f64::NAN, 0.2],
            vec![1e308, -1e308],
            vec![1e-300, 0.0],
            vec![1.0, 1.0 + 1e-15],
            vec![0.0, 1e12],
        ] {
            let axis = Axis::around(values.clone(), 4);
            assert!(
                axis.min < axis.max && (axis.max - axis.min).is_finite(),
                "{values:?}: {axis:?}"
            );
            assert!((2..20).contains(&axis.ticks.len()), "{values:?}: {axis:?}");
            for value in values.into_iter().filter(|value| value.abs() < 1e300) {
                assert!((-1e-9..=1.0 + 1e-9).contains(&axis.share(value)), "{value}: {axis:?}");
            }
        }
    }

    #[test]
    fn rows_have_room() {
        assert_eq!(labels(&Axis::indices(5, 2)), ["0", "2", "4"]);
        assert_eq!(labels(&Axis::indices(256, 3)), ["0", "100", "200"]);
        assert_eq!(labels(&Axis::indices(1, 3)), ["0"]);
        assert_eq!(Axis::indices(0, 3), Axis::indices(1, 3));
    }

    #[test]
    fn equal_ratios_are_equally_far_apart() {
        let axis = Axis::logarithmic([1.0, 10.0, 1000.0]);
        assert_eq!(labels(&axis), ["1", "10", "100", "1000"]);
        let shares = [1.0, 10.0, 100.0].map(|value| axis.share(value));
        assert!((shares[1] - shares[0] - (shares[2] - shares[1])).abs() < 1e-12);
        assert_eq!(labels(&Axis::logarithmic([0.1, 2.0])), ["0.1", "0.2", "0.5", "1", "2"]);
        for odd in [vec![], vec![0.0, -1.0, f64::NAN], vec![3.0], vec![1e-9, 1e12]] {
            let axis = Axis::logarithmic(odd.clone());
            assert!(
                axis.min > 0.0 && axis.min < axis.max && !axis.ticks.is_empty(),
                "{odd:?}: {axis:?}"
            );
        }
    }

    #[test]
    fn epochs_are_whole() {
        assert_eq!(labels(&Axis::counting(6, 5)), ["1", "2", "3", "4", "5", "6"]);
        assert_eq!(labels(&Axis::counting(20, 4)), ["1", "5", "10", "15", "20"]);
        assert_eq!(labels(&Axis::counting(300, 4)), ["1", "100", "200", "300"]);
        let lone = Axis::counting(1, 5);
        assert_eq!(labels(&lone), ["1"]);
        assert_eq!(lone.share(1.0), 0.5);
        assert_eq!(Axis::counting(0, 5), lone);
    }
}
