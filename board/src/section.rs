//! Long things on their way to the board: begin, chunks, commit.

use alloc::vec::Vec;

use spikeloop_wire::{Digest, digest, message::Reason};

use crate::Refusal;

/// One section: its content, and whether it is whole.
#[derive(Clone, Debug, Default)]
pub struct Section {
    bytes: Vec<u8>,
    /// Set by a commit, void from the next beginning on.
    digest: Option<Digest>,
    open: bool,
}

impl Section {
    /// Memory for so many bytes, once and for all.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.clear();
        let room = self.bytes.try_reserve_exact(bytes);
        room.map_err(|_| too_large(bytes))
    }

    /// Forgets the content, and gives its memory back.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Something new, or a change of what there is, comes.
    pub fn begin(&mut self, bytes: usize, patch: bool) -> Result<(), Refusal> {
        self.digest = None;
        self.open = false;
        if !patch || bytes != self.bytes.len() {
            self.bytes.clear();
            self.bytes.try_reserve_exact(bytes).map_err(|_| too_large(bytes))?;
            self.bytes.resize(bytes, 0);
        }
        self.open = true;
        Ok(())
    }

    /// A piece of it.
    pub fn chunk(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Refusal> {
        if !self.open {
            return Err(Refusal::not_yet("beginning of this section"));
        }
        let place = offset
            .checked_add(bytes.len())
            .and_then(|end| self.bytes.get_mut(offset..end));
        match place {
            Some(place) => {
                place.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(Refusal::new(Reason::Invalid, "a chunk beyond the end of its section")),
        }
    }

    /// It is whole, if this is its digest.
    pub fn commit(&mut self, expected: Digest) -> Result<(), Refusal> {
        if self.digest == Some(expected) {
            return Ok(());
        }
        if !self.open {
            return Err(Refusal::not_yet("beginning of this section"));
        }
        self.open = false;
        if digest(&self.bytes) != expected {
            return Err(Refusal::new(
                Reason::WrongDigest,
                "what arrived is not what was sent; it was not taken",
            ));
        }
        self.digest = Some(expected);
        Ok(())
    }

    /// The digest of a whole section.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The content of a whole section; an error that names it where it is not.
    pub fn content(&self, name: &str) -> Result<&[u8], Refusal> {
        match self.digest {
            Some(_) => Ok(&self.bytes),
            None => Err(Refusal::not_yet(name)),
        }
    }

    /// Becomes something that the board made itself.
    pub fn put(&mut self, bytes: Vec<u8>) {
        *self = Self {
            digest: Some(digest(&bytes)),
            bytes,
            open: false,
        };
    }

    /// What was whole is so no more.
    pub fn invalidate(&mut self) {
        self.digest = None;
        self.open = false;
    }
}

fn too_large(bytes: usize) -> Refusal {
    Refusal::new(
        Reason::TooLarge,
        format_args!("{bytes} bytes do not fit the board's memory"),
    )
}
