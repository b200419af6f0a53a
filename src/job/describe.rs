//! The schema in words: the page `docs/job-file.md` and the commented job file that `ronchi init` prints.

use super::plan::fill_in;
use super::schema::{Job, KeyDoc, Row, SECTIONS, Shown};
use super::sweep::SWEEP;
use super::{Error, Place};
use crate::data::CubeInfo;

/// The page that documents the job file.
pub fn page() -> String {
    let mut page = String::from(
        "# The job file\n\n\
         <!-- Made from the schema by `ronchi job-file-page > docs/job-file.md`; a test keeps it so. -->\n\n\
         A job is a TOML file. All it needs beyond the defaults is what the data file itself does not say; `ronchi init FILE` writes one that is\n\
         filled in from the data. Unknown keys are refused with the nearest known key. Every key can be typed as well, as\n\
         `--set section.key=value`, and what is typed outranks the file. A result carries its job with all values resolved.\n",
    );
    for section in SECTIONS.iter().chain([&SWEEP]) {
        page.push_str(&format!(
            "\n## [{}]\n\n{}\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
            section.name,
            one_line(section.doc)
        ));
        for key in section.keys {
            let default = match key.shown {
                Shown::Default(toml) => format!("`{toml}`"),
                Shown::Example(toml) => format!("none; such as `{toml}`"),
            };
            page.push_str(&format!("| `{}` | {} | {default} | {} |\n", key.name, key.expected, one_line(key.doc)));
        }
    }
    page
}

/// A commented job file for a datacube, filled in with what its file says.
pub fn template(mut job: Job, info: &CubeInfo) -> Result<String, Error> {
    fill_in(&mut job, &info.calibration);
    job.data_path()?;
    let rows = job.rows();
    let mut text = format!(
        "# A job of ronchi. Run it with: ronchi run job.toml\n\
         # The data: {}, scan {} × {}, frames {} × {}, {}.\n\
         # A line that begins with # has no effect: it shows the default, or an example of what could be said.\n",
        info.format, info.scan_shape[0], info.scan_shape[1], info.frame_shape[0], info.frame_shape[1], info.stored_dtype,
    );
    for section in SECTIONS {
        text.push_str(&format!("\n# {}\n[{}]\n", one_line(section.doc), section.name));
        for key in section.keys {
            let row = rows.iter().find(|row| row.section == section.name && row.key == key.name);
            text.push_str(&entry(key, row));
        }
    }
    Ok(text)
}

fn entry(key: &KeyDoc, row: Option<&Row>) -> String {
    let comment: String = key.doc.lines().map(|line| format!("#{line}\n")).collect();
    let line = match row {
        Some(Row { place: Place::Default, .. }) | None => format!("# {} = {}", key.name, key.shown.toml()),
        Some(Row { place: Place::File(origin), value, .. }) => format!("{} = {value}  # from the data file, {origin}", key.name),
        Some(Row { value, .. }) => format!("{} = {value}", key.name),
    };
    format!("{comment}{line}\n")
}

fn one_line(doc: &str) -> String {
    doc.lines().map(str::trim).collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::job::plan::tests::cube;

    #[test]
    fn the_page_of_the_job_file_is_what_the_schema_says() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/job-file.md");
        assert_eq!(std::fs::read_to_string(file).unwrap(), page(), "run `ronchi job-file-page > docs/job-file.md`");
    }

    #[test]
    fn the_job_file_of_init_is_a_job_with_what_the_data_file_says() {
        let info = cube();
        let text = template(Job::of_data(Path::new("scan.h5"), &[]).unwrap(), &info).unwrap();
        let job = Job::from_text(&text, "job.toml", &[]).unwrap();
        assert_eq!(job.data.path.unwrap().value, Path::new("scan.h5"));
        assert_eq!(job.optics.convergence_mrad.unwrap().value, 20.0);
        assert!(text.contains("convergence_mrad = 20.0  # from the data file, attribute `x`\n"), "{text}");
        assert!(text.contains("\n# batch = 32\n"), "{text}");
        assert!(job.ptychography.section.is_some(), "the job asks for what the template shows");
    }
}
