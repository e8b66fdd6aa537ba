# The handful of commands people type. `just` lists them; options after a name are passed on.

set positional-arguments

[private]
default:
    @just --list

# Train and compare: `just train studies/yin-yang.toml --seed 2`
train *options:
    cargo run --release --locked -- train "$@"

# All tests, or those chosen: `just test golden_`
test *options:
    cargo xtask test -- "$@"

# The firmware of all boards, or of those named: `just firmware stm32f405`
firmware *boards:
    cargo xtask firmware "$@"

# Formatting, clippy, documentation, the no_std build, licences
lint:
    cargo xtask lint

# Speed of training, inference and the emulated chip: `just bench b1 --threads 1`
bench *options:
    cargo run --release --locked -- bench "$@"

# Instructions that a sample takes, against their budget: `just count b1 --accept`
count *options:
    cargo xtask count "$@"

# The documentation of our own packages
doc:
    cargo doc --locked --workspace --no-deps --open
