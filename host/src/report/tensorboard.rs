//! Training curves as TensorBoard events.
//!
//! A file is a sequence of records (length, masked CRC-32C of it, data, masked CRC-32C of that), each
//! the Protocol Buffers message `Event` of TensorFlow's `event.proto`, of which only scalars are used
//! here.

use crc::{CRC_32_ISCSI, Crc};
use prost::Message;

use crate::train::run::EpochMetrics;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// The file of one method, begun at a time in s since 1970: steps are epochs, and their times add up
/// the seconds of training.
pub fn events(began_s: f64, epochs: &[&EpochMetrics]) -> Vec<u8> {
    let mut file = record(&Event {
        wall_time: began_s,
        file_version: Some("brain.Event:2".into()),
        ..Event::default()
    });
    let mut wall_time = began_s;
    for metrics in epochs {
        wall_time += metrics.seconds;
        file.extend(event(wall_time, metrics));
    }
    file
}

/// The record of the last of these epochs; nothing where there is none.
pub fn last_event(began_s: f64, epochs: &[&EpochMetrics]) -> Vec<u8> {
    let wall_time = began_s + epochs.iter().map(|metrics| metrics.seconds).sum::<f64>();
    epochs.last().map_or_else(Vec::new, |metrics| event(wall_time, metrics))
}

fn event(wall_time: f64, metrics: &EpochMetrics) -> Vec<u8> {
    let scalars = [
        ("loss/train", Some(metrics.loss)),
        ("loss/validation", metrics.validation_loss),
        ("accuracy/train", Some(metrics.accuracy)),
        ("accuracy/validation", metrics.validation_accuracy),
        ("hidden_spikes_per_sample", Some(metrics.hidden_spikes)),
        ("learning_rate", Some(metrics.learning_rate)),
    ];
    let known = scalars.into_iter().filter_map(|(tag, value)| {
        Some(Value {
            tag: tag.into(),
            simple_value: value? as f32,
        })
    });
    record(&Event {
        wall_time,
        step: metrics.epoch.into(),
        file_version: None,
        summary: Some(Summary { value: known.collect() }),
    })
}

/// When a file was begun, s since 1970, if it is one.
pub fn began_s(file: &[u8]) -> Option<f64> {
    let length = u64::from_le_bytes(*file.first_chunk()?);
    let end = usize::try_from(length).ok()?.checked_add(12)?;
    let event = Event::decode(file.get(12..end)?).ok()?;
    Some(event.wall_time).filter(|time| time.is_finite())
}

fn record(event: &Event) -> Vec<u8> {
    let data = event.encode_to_vec();
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(&data);
    record.extend(masked_crc(&data).to_le_bytes());
    record
}

fn masked_crc(bytes: &[u8]) -> u32 {
    let crc = Crc::<u32>::new(&CRC_32_ISCSI).checksum(bytes);
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_is_the_one_that_tensorflow_writes() {
        let file = events(0.0, &[]);
        // Of 24 bytes of data, wall time 0 and step 0 are left out: tag 3, length 13, the text.
        assert_eq!(file[..8], 15_u64.to_le_bytes());
        assert_eq!(&file[12..14], &[0x1a, 13]);
        assert_eq!(&file[14..27], b"brain.Event:2");
        // The masked checksum of the length 24 that every TensorFlow file begins with.
        assert_eq!(
            masked_crc(&24_u64.to_le_bytes()).to_le_bytes(),
            [0xa3, 0x7f, 0x4b, 0x22]
        );
    }

    #[test]
    fn scalars_are_read_back() {
        let metrics = EpochMetrics {
            epoch: 3,
            loss: 0.5,
            accuracy: 0.75,
            hidden_spikes: 20.0,
            validation_accuracy: None,
            validation_loss: None,
            learning_rate: 0.01,
            chip: None,
            line: None,
            seconds: 2.0,
        };
        let file = events(1.5e9, &[&metrics]);
        assert_eq!(began_s(&file), Some(1.5e9));
        assert_eq!(began_s(&file[..20]), None);
        let second = 24 + 16;
        let length = u64::from_le_bytes(file[second..second + 8].try_into().unwrap()) as usize;
        let event = Event::decode(&file[second + 12..second + 12 + length]).unwrap();
        assert_eq!((event.step, event.wall_time), (3, 1.5e9 + 2.0));
        let values = event.summary.unwrap().value;
        assert_eq!(values.len(), 4);
        assert_eq!(
            (values[1].tag.as_str(), values[1].simple_value),
            ("accuracy/train", 0.75)
        );
        assert_eq!(file.len(), second + 16 + length);
    }
}
