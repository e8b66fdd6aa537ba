//! `cargo xtask firmware`: builds the firmware of every board, and holds it to its memory.

use std::{ffi::OsStr, fs, path::PathBuf, process::Command};

use crate::{
    elf::Elf,
    step::{root, run as step},
    toolchain::{TARGET, Toolchain},
};

/// A board that there is firmware for.
#[derive(Debug, PartialEq)]
pub struct Board {
    /// Its name, and the feature of the firmware that chooses it.
    pub name: &'static str,
    budget: Sizes,
}

/// Memory in bytes: flash and static RAM at most, heap and stack at least.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sizes {
    flash: u32,
    ram: u32,
    heap: u32,
    stack: u32,
}

/// All of them.
pub const BOARDS: [Board; 2] = [
    Board {
        name: "mps2-an386",
        budget: Sizes {
            // Four MiB are there; what does not fit the smaller board is a mistake here too.
            flash: 384 << 10,
            // The rings of the serial line, above all.
            ram: 16 << 10,
            // All 16 MiB of the second memory.
            heap: 16 << 20,
            stack: 64 << 10,
        },
    },
    Board {
        name: "stm32f405",
        budget: Sizes {
            // A MiB is there; today it is 290 KiB.
            flash: 384 << 10,
            // What is taken here, the heap lacks.
            ram: 4 << 10,
            // What a 5-120-3 network takes at its worst moment, see `limits::STM32F405`.
            heap: 109 << 10,
            // What loading a chip file takes, and a quarter.
            stack: 14 << 10,
        },
    },
];

impl Board {
    /// The board of this name; the error lists all.
    pub fn named(name: &OsStr) -> Result<&'static Self, String> {
        let names = BOARDS.each_ref().map(|board| board.name).join(" and ");
        let found = BOARDS.iter().find(|board| name == board.name);
        found.ok_or_else(|| format!("no board is called {name:?}; there are {names}"))
    }

    /// Where its firmware is put.
    fn file(&self) -> PathBuf {
        root().join("target/firmware").join(format!("{}.elf", self.name))
    }
}

/// A cargo command in the firmware's workspace.
pub fn cargo(toolchain: &Toolchain, task: &str, board: &Board) -> Command {
    let mut command = toolchain.cargo(task);
    // The folder's own configuration names the target.
    command.current_dir(root().join("firmware"));
    // Where users have all their builds elsewhere, the firmware's is to be found nevertheless.
    command.env("CARGO_TARGET_DIR", root().join("firmware/target"));
    command.args(["--features", board.name]);
    command
}

/// Builds the firmware of these boards, and returns a table of their sizes.
pub fn run(boards: &[&Board]) -> Result<String, String> {
    let toolchain = Toolchain::provide()?;
    eprintln!("\nFirmware: {}.", toolchain.explain());
    let mut table = format!(
        "{:12} {:>14} {:>14} {:>14} {:>14}\n",
        "KiB", "flash", "static RAM", "heap", "stack"
    );
    let mut excesses = Vec::new();
    for board in boards {
        step(cargo(&toolchain, "build", board).arg("--release"))?;
        let built = root()
            .join("firmware/target")
            .join(TARGET)
            .join("release/spikeloop-firmware");
        let copy = board.file();
        let put = || {
            fs::create_dir_all(copy.parent().unwrap_or(root()))?;
            // Under another name first: a test may be reading the old one.
            let new = copy.with_extension("new");
            fs::copy(&built, &new)?;
            fs::rename(&new, &copy)?;
            fs::read(&copy)
        };
        let bytes = put().map_err(|error| format!("{}: {error}", copy.display()))?;
        let sizes = Sizes::of(&bytes).ok_or_else(|| format!("{} is no firmware of ours", built.display()))?;
        table += &sizes.row(board);
        excesses.extend(sizes.excesses(board));
    }
    if excesses.is_empty() {
        Ok(format!("{table}The firmware is in target/firmware."))
    } else {
        Err(format!("{}\n\n{table}", excesses.join("\n")))
    }
}

impl Sizes {
    fn of(file: &[u8]) -> Option<Self> {
        let elf = Elf::open(file)?;
        let segments = elf.segments()?;
        let between = |from: &str, to: &str| elf.symbol(to)?.checked_sub(elf.symbol(from)?);
        Some(Self {
            flash: segments.iter().map(|segment| segment.stored).sum(),
            ram: segments.iter().map(|segment| segment.written).sum(),
            heap: between("_heap_start", "_heap_end")?,
            stack: between("_stack_end", "_stack_start")?,
        })
    }

    fn row(self, board: &Board) -> String {
        let most = |bytes: u32, budget: u32| format!("{:.1} of {}", kib(bytes), kib(budget));
        let Sizes {
            flash,
            ram,
            heap,
            stack,
        } = board.budget;
        format!(
            "{:12} {:>14} {:>14} {:>14} {:>14}\n",
            board.name,
            most(self.flash, flash),
            most(self.ram, ram),
            format!("{:.1} ≥ {}", kib(self.heap), kib(heap)),
            format!("{:.1} ≥ {}", kib(self.stack), kib(stack)),
        )
    }

    /// What is beyond the budget, a sentence each.
    fn excesses(self, board: &Board) -> Vec<String> {
        let Sizes {
            flash,
            ram,
            heap,
            stack,
        } = board.budget;
        let kinds = [
            ("flash", self.flash, flash, self.flash > flash),
            ("static RAM", self.ram, ram, self.ram > ram),
            ("heap", self.heap, heap, self.heap < heap),
            ("stack", self.stack, stack, self.stack < stack),
        ];
        let excess = |(what, bytes, budget, beyond): (_, _, _, bool)| {
            let sentence = || {
                format!(
                    "{}: {bytes} bytes of {what}, its budget is {budget} (xtask/src/firmware.rs)",
                    board.name
                )
            };
            beyond.then(sentence)
        };
        kinds.into_iter().filter_map(excess).collect()
    }
}

fn kib(bytes: u32) -> f64 {
    f64::from(bytes) / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_budget_is_named() {
        let board = &BOARDS[1];
        assert!(board.budget.excesses(board).is_empty());
        let sizes = Sizes {
            flash: board.budget.flash + 1,
            heap: board.budget.heap - 1,
            ..board.budget
        };
        let excesses = sizes.excesses(board);
        assert_eq!(excesses.len(), 2);
        assert!(
            excesses[0].contains("flash") && excesses[1].contains("heap"),
            "{excesses:?}"
        );
    }

    #[test]
    fn boards_have_names() {
        assert_eq!(Board::named(OsStr::new("stm32f405")), Ok(&BOARDS[1]));
        assert!(
            Board::named(OsStr::new("arduino"))
                .unwrap_err()
                .contains("mps2-an386 and stm32f405")
        );
    }
}
