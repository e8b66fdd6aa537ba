//! What went over a line.

/// What went over the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes to the board.
    pub bytes_out: u64,
    /// Bytes from the board.
    pub bytes_in: u64,
    /// Frames to the board.
    pub frames_out: u64,
    /// Frames of the board that were whole.
    pub frames_in: u64,
    /// Frames sent again.
    pub repeated: u64,
    /// Frames that arrived damaged.
    pub damaged: u64,
    /// Bytes of weight images that were sent: rows that changed.
    pub image_sent: u64,
    /// Bytes that the whole images have.
    pub image_whole: u64,
}

impl std::ops::Add for Traffic {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            bytes_out: self.bytes_out + other.bytes_out,
            bytes_in: self.bytes_in + other.bytes_in,
            frames_out: self.frames_out + other.frames_out,
            frames_in: self.frames_in + other.frames_in,
            repeated: self.repeated + other.repeated,
            damaged: self.damaged + other.damaged,
            image_sent: self.image_sent + other.image_sent,
            image_whole: self.image_whole + other.image_whole,
        }
    }
}
