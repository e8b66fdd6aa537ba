//! `spikeloop board info`

use std::process::ExitCode;

use clap::Args;
use spikeloop::{
    board::{Client, client::BoardIdentity},
    report::Table,
    run_dir::hex,
};
use spikeloop_wire::message::Health;

use super::Target;
use crate::cmd::print;

/// Say what a board is, what it can hold and what it has
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Asks and shows.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut client = Client::open(&self.target.link().address)?;
        let health = client.health()?;
        let identity = client.identity();
        let text = if self.json {
            json(identity, &health)
        } else {
            table(identity, &health)
        };
        print(&format!("{text}\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Memory that is free, where anybody knows.
pub fn free(health: &Health) -> String {
    match health.free_bytes {
        u32::MAX => "unknown".into(),
        bytes => format!("{bytes} bytes"),
    }
}

fn table(identity: &BoardIdentity, health: &Health) -> String {
    let (limits, loaded) = (&identity.limits, &identity.loaded);
    let digest = |digest: Option<[u8; 32]>| digest.map_or("none".into(), |digest| hex(&digest[..6]));
    let mut table = Table::new(&["", ""]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("board", identity.board.clone());
    row("firmware", identity.firmware.clone());
    row(
        "protocol",
        format!("{} (schema {:08x})", identity.protocol, identity.schema),
    );
    row(
        "chip",
        if limits.is_virtual {
            "emulated: becomes any chip file and instance".into()
        } else {
            "one of its own".into()
        },
    );
    row("circuits, at most", limits.circuits.to_string());
    row("memory for a network", format!("{} bytes", limits.memory_bytes));
    row("input events of a run, at most", limits.events.to_string());
    row("recording, at most", format!("{} bytes", limits.recording_bytes));
    row(
        "frames",
        format!("{} bytes, {} under way", limits.frame_bytes, limits.window_bytes),
    );
    row("chip file loaded", digest(loaded.chip));
    let instance = loaded.instance.map_or("none".into(), |instance| {
        let condition = if instance.calibrated { "" } else { ", uncalibrated" };
        format!("{}{condition}", instance.seed)
    });
    row("instance", instance);
    row("network", digest(loaded.network));
    row("weights", digest(loaded.weights));
    row("up for", format!("{:.1} s", f64::from(health.uptime_ms) / 1000.0));
    row("free memory", free(health));
    row(
        "frames received",
        format!(
            "{}; {} damaged, {} again, {} early, {} bytes lost",
            health.frames, health.damaged, health.repeated, health.early, health.overruns
        ),
    );
    row("runs", health.runs.to_string());
    if !identity.failure.is_empty() {
        row("last failure", identity.failure.clone());
    }
    table.to_terminal()
}

fn json(identity: &BoardIdentity, health: &Health) -> String {
    let (limits, loaded) = (&identity.limits, &identity.loaded);
    let value = serde_json::json!({
        "board": identity.board,
        "firmware": identity.firmware,
        "protocol": identity.protocol,
        "schema": format!("{:08x}", identity.schema),
        "failure": identity.failure,
        "limits": limits,
        "chip": loaded.chip.map(|digest| hex(&digest)),
        "instance": loaded.instance,
        "network": loaded.network.map(|digest| hex(&digest)),
        "codes": loaded.codes.map(|digest| hex(&digest)),
        "configuration": loaded.configuration,
        "weights": loaded.weights.map(|digest| hex(&digest)),
        "health": health,
    });
    format!("{value:#}")
}
