//! How a session begins, and what else may answer.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use spikeloop_chip::random::RNG_VERSION;
use spikeloop_wire::{
    PROTOCOL_NEWEST, PROTOCOL_OLDEST, frame,
    message::{self, Limits, Loaded, Request, Response},
};

use super::{Client, FIRST_PIECE, FIRST_PIECE_ON_A_BAD_LINE, SILENCE};
use crate::board::{Address, BoardError};

/// Hellos that a port may leave unanswered, at least.
const HELLOS: u32 = 5;

/// Who answers.
#[derive(Clone, Debug, PartialEq)]
pub struct BoardIdentity {
    /// Protocol chosen.
    pub protocol: u16,
    /// Schema hash of the firmware.
    pub schema: u32,
    /// Version of the firmware.
    pub firmware: String,
    /// Name of the board.
    pub board: String,
    /// What it can hold.
    pub limits: Limits,
    /// What it has.
    pub loaded: Loaded,
    /// What its last restart was for, if it failed; else empty.
    pub failure: String,
}

/// How every identity begins, in whatever version, behind the kind of message: protocol, schema,
/// firmware.
#[derive(serde::Deserialize)]
struct FirstWords<'a>(u16, u32, &'a str);

/// What came in answer to a hello.
enum Heard {
    Identity,
    Echo,
    Nothing,
}

impl Client {
    /// Begins a session.
    pub(super) fn hello(&mut self) -> Result<(), BoardError> {
        let hello = Request::Hello {
            oldest: PROTOCOL_OLDEST,
            newest: PROTOCOL_NEWEST,
            schema: message::SCHEMA,
        };
        // Of two sessions under the same number, requests of the old one would be taken for the new one's.
        let random = RandomState::new().hash_one(self.session);
        (self.session, self.next) = (random as u16, (random >> 16) as u16);
        let begin = Instant::now();
        let mut echoes = 0;
        for attempt in 0_u32.. {
            let bytes = self.encode("say who it is", self.next, &hello)?;
            // What stands in the line before it is no frame of ours.
            self.write(&[0])?;
            self.write(&bytes)?;
            self.traffic.frames_out += 1;
            let wait = Duration::from_secs_f64(0.2 + 20.0 * 400.0 / f64::from(self.address.baud.max(1)));
            let until = Instant::now() + wait;
            while Instant::now() < until {
                match self.listen(until - Instant::now())? {
                    Heard::Identity => {
                        self.next = self.next.wrapping_add(1);
                        self.piece = if attempt == 0 {
                            FIRST_PIECE
                        } else {
                            FIRST_PIECE_ON_A_BAD_LINE
                        };
                        self.heard = Instant::now();
                        return Ok(());
                    }
                    Heard::Echo => echoes += 1,
                    Heard::Nothing => {}
                }
            }
            if echoes >= 2 {
                return Err(BoardError::Echo {
                    port: self.address.port.clone(),
                });
            }
            // A line on which frames arrive damaged deserves more patience than a silent one.
            let patience = if self.traffic.damaged > 0 {
                4 * SILENCE
            } else {
                SILENCE / 2
            };
            if attempt >= HELLOS && begin.elapsed() > patience {
                break;
            }
        }
        let (port, baud) = (self.address.port.clone(), self.address.baud);
        Err(match self.traffic.bytes_in {
            0 => BoardError::Silent { port, baud },
            bytes => BoardError::Noise { port, baud, bytes },
        })
    }

    /// Reads for a while in the hope of an identity.
    fn listen(&mut self, wait: Duration) -> Result<Heard, BoardError> {
        let mut bytes = [0; 1024];
        let count = self.receive(&mut bytes, wait.max(Duration::from_millis(1)))?;
        let mut heard = Heard::Nothing;
        for &byte in &bytes[..count] {
            let frame = match self.collector.push(byte) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => {
                    self.traffic.damaged += 1;
                    continue;
                }
                None => continue,
            };
            if frame.header.session != self.session {
                continue;
            }
            match frame.message::<Response>() {
                Ok(Response::Identity { identity }) => {
                    let port = self.address.port.clone();
                    if identity.rng_version != RNG_VERSION {
                        return Err(BoardError::OtherRandom {
                            port,
                            board: identity.rng_version,
                            ours: RNG_VERSION,
                        });
                    }
                    if usize::from(identity.limits.frame_bytes) < frame::SMALLEST {
                        return Err(self.nonsense("say who it is", "frames that are too short"));
                    }
                    self.identity = BoardIdentity {
                        protocol: identity.protocol,
                        schema: identity.schema,
                        firmware: identity.firmware.to_owned(),
                        board: identity.board.to_owned(),
                        limits: identity.limits,
                        loaded: identity.loaded,
                        failure: identity.failure.to_owned(),
                    };
                    heard = Heard::Identity;
                }
                Ok(Response::Incompatible {
                    oldest,
                    newest,
                    schema,
                    firmware,
                }) => return Err(incompatible(&self.address, [oldest, newest], schema, firmware)),
                _ if matches!(frame.message::<Request>(), Ok(Request::Hello { .. })) => heard = Heard::Echo,
                // One that speaks of itself in words that came later: its first ones never change.
                Err(_) if frame.body.first() == Some(&0) => {
                    if let Ok((FirstWords(protocol, schema, firmware), _)) = postcard::take_from_bytes(&frame.body[1..])
                        && schema != message::SCHEMA
                    {
                        return Err(incompatible(&self.address, [protocol; 2], schema, firmware));
                    }
                }
                _ => {}
            }
        }
        Ok(heard)
    }
}

fn incompatible(address: &Address, [oldest, newest]: [u16; 2], schema: u32, firmware: &str) -> BoardError {
    BoardError::Incompatible {
        port: address.port.clone(),
        firmware: firmware.to_owned(),
        oldest,
        newest,
        schema,
    }
}
