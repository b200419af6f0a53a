//! `ronchi map`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::Common;
use super::session::Session;
use crate::job::Mapping;

/// Find the atomic columns in a result's phase image, and which are missing atoms
#[derive(clap::Args)]
#[command(
    after_help = "Example: ronchi map scan.emd --set map.structure=Na3Ni2SbO6 --set map.thickness_A=53\n         ronchi map scan.emd -o vacancies.emd --set map.structure=cathode.cif --set map.zone_axis=[0,1,0] --set map.image=ssb\n\n\
    Every column is fitted together with its neighbours; the images of columns, the atoms for an amplitude, and the noise are learnt from simulated scans of the same crystal that go\n\
    through the very job that made the image. Writes scan_map.emd with the tables map/columns and map/profile, and the same as CSV and pictures into scan_map_tables/."
)]
pub(super) struct Args {
    /// A result of `ronchi run`, `image` or `reconstruct`
    result: PathBuf,
    /// The file of the map; by default beside the result, as NAME_map.emd
    #[arg(short)]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args, common: &Common) -> anyhow::Result<ExitCode> {
    let mapping = Mapping::new(&args.result, &common.sets, args.output.as_deref(), common.force)?;
    Session::new(common)?.map(mapping, common.device.as_deref())?;
    Ok(ExitCode::SUCCESS)
}
