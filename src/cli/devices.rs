//! `ronchi devices`.

use std::process::ExitCode;

use super::words;
use crate::compute::gpu;

/// Show the adapters and the CPU, with the limits that matter
#[derive(clap::Args)]
#[command(after_help = "Example: ronchi devices --json")]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Devices {
    cpu_threads: usize,
    adapters: Vec<gpu::AdapterSummary>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let devices = Devices { cpu_threads: rayon::current_num_threads(), adapters: gpu::adapters() };
    if args.json {
        words::print_json(&devices)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("cpu    {} threads\n", devices.cpu_threads);
    for (n, adapter) in devices.adapters.iter().enumerate() {
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        text.push_str(&format!("gpu:{n}  {} ({}, {}, {})\n", adapter.name, adapter.kind, adapter.backend, adapter.driver));
        text.push_str(&format!(
            "       largest array {:.2} GiB, largest buffer {:.2} GiB, {} KiB of workgroup memory{}\n",
            gib(adapter.max_binding_bytes),
            gib(adapter.max_buffer_bytes),
            adapter.workgroup_memory_bytes / 1024,
            if adapter.is_software { "; a software renderer, taken only when named" } else { "" },
        ));
    }
    if devices.adapters.iter().all(|a| a.is_software) {
        words::say("no GPU was found: the CPU engine does the work");
    }
    words::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
