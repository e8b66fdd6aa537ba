//! A data set as other tools read it: one safetensors file.
//!
//! Each part has the tensors `PART.times_ns` and `PART.units`, the events of all samples one after the other; `PART.offsets`, at
//! which of them each sample begins, and one more for the end of the last; and `PART.labels`. Parts are `train`, `validation` and
//! `test`.

use std::{borrow::Cow, collections::HashMap, io};

use bytemuck::cast_slice;
use safetensors::{Dtype, tensor::TensorView};

use super::{DataSplits, SpikeDataset};

/// The file's bytes.
///
/// # Errors
/// Never for a data set that keeps its own rules.
pub fn safetensors(splits: &DataSplits) -> io::Result<Vec<u8>> {
    let parts = [
        ("train", Some(&splits.train)),
        ("validation", splits.validation.as_ref()),
        ("test", Some(&splits.test)),
    ];
    let parts = parts.into_iter().filter_map(|(name, part)| Some((name, part?)));
    let tensors: Vec<_> = parts.clone().flat_map(|(name, part)| tensors(name, part)).collect();
    let about = serde_json::json!({
        "inputs": splits.train.inputs,
        "classes": splits.train.classes,
        "window_ns": splits.train.window_ns,
        "digest": splits.digest(),
    });
    serialized(&tensors, ("spikeloop", about.to_string()))
}

/// A file of tensors, with one thing said about them.
pub(super) fn serialized(tensors: &[Tensor], (key, about): (&str, String)) -> io::Result<Vec<u8>> {
    let views = tensors
        .iter()
        .map(|(name, kind, length, bytes)| {
            let view = TensorView::new(*kind, vec![*length], bytes).map_err(io::Error::other)?;
            Ok((name.clone(), view))
        })
        .collect::<io::Result<Vec<_>>>()?;
    let metadata = HashMap::from([(key.to_owned(), about)]);
    safetensors::serialize(views, Some(metadata)).map_err(io::Error::other)
}

pub(super) type Tensor<'a> = (String, Dtype, usize, Cow<'a, [u8]>);

/// Name, type, length and bytes of times, units, offsets and labels.
pub(super) fn tensors<'a>(name: &str, part: &'a SpikeDataset) -> [Tensor<'a>; 4] {
    let offsets: Vec<u8> = part
        .offsets
        .iter()
        .flat_map(|&offset| (offset as u64).to_le_bytes())
        .collect();
    [
        (
            format!("{name}.times_ns"),
            Dtype::U32,
            part.times_ns.len(),
            cast_slice(&part.times_ns).into(),
        ),
        (
            format!("{name}.units"),
            Dtype::U16,
            part.units.len(),
            cast_slice(&part.units).into(),
        ),
        (
            format!("{name}.offsets"),
            Dtype::U64,
            part.offsets.len(),
            offsets.into(),
        ),
        (
            format!("{name}.labels"),
            Dtype::U16,
            part.labels.len(),
            cast_slice(&part.labels).into(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_there_was() {
        let mut train = SpikeDataset::new("train", 300, 2, 100);
        train.push_sample(&mut [(30, 1), (10, 299)], 1);
        train.push_sample(&mut [], 0);
        let splits = DataSplits {
            test: train.take(1),
            train,
            images: None,
            validation: None,
        };
        let bytes = safetensors(&splits).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(file.names().len(), 8);
        let data = |name: &str| file.tensor(name).unwrap().data().to_vec();
        assert_eq!(data("train.times_ns"), [10_u32, 30].map(u32::to_le_bytes).concat());
        assert_eq!(data("train.units"), [299_u16, 1].map(u16::to_le_bytes).concat());
        assert_eq!(data("train.offsets"), [0_u64, 2, 2].map(u64::to_le_bytes).concat());
        assert_eq!(data("test.labels"), 1_u16.to_le_bytes());
    }
}
