//! Every request in its order, and none of them twice.

use spikeloop_wire::message::Reason;

use crate::Refusal;

/// Outcomes that are remembered, for requests that come again because their answer was lost. More
/// than a host may have under way.
const REMEMBERED: usize = 64;

/// How a request that has been carried out ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Done; a run, a ping or a question is simply answered again.
    Done,
    /// Refused.
    Refused(Reason),
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Turn {
    /// This request's.
    Now,
    /// It was carried out before.
    Before(Outcome),
    /// It was carried out so long ago that nobody can be waiting for it.
    LongAgo,
    /// Another one comes first.
    Early,
}

/// The order of requests in one session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its number.
    pub number: u16,
    /// Sequence number of its hello.
    pub first: u16,
    /// Sequence number that comes next.
    pub next: u16,
    outcomes: [Option<Outcome>; REMEMBERED],
    /// What was said at the last refusal.
    last_words: Option<(u16, Refusal)>,
}

impl Session {
    /// Begins with the request of this number, a hello.
    pub fn new(number: u16, first: u16) -> Self {
        Self {
            number,
            first,
            next: first.wrapping_add(1),
            outcomes: [None; REMEMBERED],
            last_words: None,
        }
    }

    /// Whether it is this request's turn.
    pub fn turn(&self, sequence: u16) -> Turn {
        match self.next.wrapping_sub(sequence) {
            0 => Turn::Now,
            behind if usize::from(behind) <= REMEMBERED => {
                self.outcomes[slot(sequence)].map_or(Turn::LongAgo, Turn::Before)
            }
            behind if behind < 0x8000 => Turn::LongAgo,
            _ => Turn::Early,
        }
    }

    /// The request whose turn it was is over.
    pub fn over(&mut self, result: &Result<(), Refusal>) {
        let outcome = match result {
            Ok(()) => Outcome::Done,
            Err(refusal) => {
                self.last_words = Some((self.next, refusal.clone()));
                Outcome::Refused(refusal.reason)
            }
        };
        self.outcomes[slot(self.next)] = Some(outcome);
        self.next = self.next.wrapping_add(1);
    }

    /// What was said when this request was refused, as far as it is remembered.
    pub fn words(&self, sequence: u16) -> &str {
        match &self.last_words {
            Some((of, refusal)) if *of == sequence => &refusal.text,
            _ => "",
        }
    }
}

fn slot(sequence: u16) -> usize {
    usize::from(sequence) % REMEMBERED
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever arrives in whatever order: each request is carried out once, in order.
        #[test]
        fn once_and_in_order(first: u16, arrivals in prop::collection::vec(0_u16..40, 0..400)) {
            let mut session = Session::new(1, first);
            let mut done = 0_u16;
            for arrival in arrivals {
                let sequence = first.wrapping_add(1).wrapping_add(arrival);
                match session.turn(sequence) {
                    Turn::Now => {
                        prop_assert_eq!(arrival, done);
                        session.over(&Ok(()));
                        done += 1;
                    }
                    Turn::Before(outcome) => {
                        prop_assert!(arrival < done);
                        prop_assert_eq!(outcome, Outcome::Done);
                    }
                    Turn::Early => prop_assert!(arrival > done),
                    Turn::LongAgo => prop_assert!(false),
                }
            }
        }
    }

    #[test]
    fn refusals_are_repeated_with_their_words() {
        let mut session = Session::new(1, u16::MAX);
        session.over(&Err(Refusal::not_yet("chip")));
        assert_eq!(session.turn(0), Turn::Before(Outcome::Refused(Reason::NotYet)));
        assert_eq!(session.words(0), "the board has no chip yet");
        session.over(&Ok(()));
        assert_eq!(session.turn(1), Turn::Before(Outcome::Done));
        assert_eq!(session.words(1), "");
        for _ in 0..200 {
            session.over(&Ok(()));
        }
        assert_eq!(session.turn(0), Turn::LongAgo);
    }
}
