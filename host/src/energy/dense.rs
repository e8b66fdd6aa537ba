//! A network of the same size without spikes: every weight is multiplied once an inference.

use serde::{Deserialize, Serialize};

use super::Figure;
use crate::network::Network;

/// Energy of a multiply-accumulate in 45 nm, pJ (Horowitz 2014), in 32-bit floating point.
const F32_MAC_PJ: f64 = 4.6;

/// The same with 8-bit integers.
const INT8_MAC_PJ: f64 = 0.23;

/// One standard uncertainty of both, as a part of them: an estimate.
const RELATIVE_UNCERTAINTY: f64 = 0.2;

/// Arithmetic of the equivalent dense network, memory left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dense {
    /// Multiply-accumulates an inference.
    pub macs: u64,
    /// In 32-bit floating point, µJ.
    pub f32_uj: Figure,
    /// In 8-bit integers, µJ.
    pub int8_uj: Figure,
    /// Of the two prices.
    pub source: String,
}

impl Dense {
    /// Of a network, recurrent weights used once.
    pub fn of(network: &Network) -> Self {
        let macs: u64 = network
            .connections()
            .iter()
            .map(|c| (c.shape[0] * c.shape[1]) as u64)
            .sum();
        let priced = |pj: f64| {
            let uj = macs as f64 * pj * 1e-6;
            Figure::new(uj, uj * RELATIVE_UNCERTAINTY, "µJ")
        };
        Self {
            macs,
            f32_uj: priced(F32_MAC_PJ),
            int8_uj: priced(INT8_MAC_PJ),
            source: "Horowitz 2014, 45 nm: 4.6 and 0.23 pJ a multiply-accumulate, without memory; uncertainty: estimate, 20 %"
                .into(),
        }
    }
}
