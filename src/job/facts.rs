//! What a result says of its making: when, where, of what.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Error;
use crate::output::Input;

/// The time as ISO 8601 in UTC, to the second.
pub(super) fn timestamp(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (day, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to year, month, day: H. Hinnant's civil_from_days, for days from 1970 on.
    let z = day + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// The name of this machine, empty where nothing tells it.
pub(super) fn host() -> String {
    let told = ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    told.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok()).map_or_else(String::new, |name| name.trim().to_owned())
}

/// The processor's name, empty where nothing tells it.
pub(super) fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    named.map_or_else(String::new, |(_, name)| name.trim().to_owned())
}

/// Files up to this many bytes are hashed whole.
const WHOLE: u64 = 256 << 20;

/// Stretches that are hashed of a larger file, and the bytes of each.
const STRETCHES: u64 = 1024;
const STRETCH: u64 = 64 << 10;

/// The data file with its size and hash.
///
/// A cube of 100 GB is not read twice for its hash: of files over 256 MiB the size and 1024 stretches of 64 KiB, evenly spread from the first
/// byte to the last, are hashed. The hash's name says which it is.
pub(super) fn input(path: &Path) -> Result<Input, Error> {
    let failed = |e: std::io::Error| Error::Files { path: path.to_owned(), done: "read", why: e.to_string() };
    let mut file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut hasher = blake3::Hasher::new();
    let (name, stretches, stretch) = if size <= WHOLE {
        ("blake3", size.div_ceil(STRETCH), STRETCH)
    } else {
        hasher.update(&size.to_le_bytes());
        ("blake3-of-stretches", STRETCHES, STRETCH)
    };
    for n in 0..stretches {
        if size > WHOLE {
            let last = size - stretch;
            let place = u128::from(last) * u128::from(n) / u128::from(stretches - 1);
            file.seek(SeekFrom::Start(place as u64)).map_err(failed)?;
        }
        std::io::copy(&mut (&file).take(stretch), &mut hasher).map_err(failed)?;
    }
    Ok(Input { path: path.display().to_string(), size, hash: format!("{name}:{}", hasher.finalize()) })
}

/// The hash of a text.
pub(super) fn hash_of_text(text: &str) -> String {
    format!("blake3:{}", blake3::hash(text.as_bytes()))
}

/// A UUID (version 8: made by a rule of our own) of a job and its input, so that the same work has the same one.
pub(super) fn uuid(job: &str, input_hash: &str) -> String {
    let hash = blake3::hash(format!("{job}\0{input_hash}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// The host memory that is free, where the system tells.
pub(super) fn free_memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timestamps_know_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn small_files_are_hashed_whole_and_large_ones_from_end_to_end() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cube");
        let mut file = File::create(&path).unwrap();
        let bytes: Vec<u8> = (0..200_001).map(|i| (i % 251) as u8).collect();
        file.write_all(&bytes).unwrap();
        let hash = |path: &Path| input(path).unwrap().hash;
        assert_eq!(hash(&path), format!("blake3:{}", blake3::hash(&bytes)));
        file.set_len(WHOLE + 7).unwrap();
        let sparse = hash(&path);
        assert!(sparse.starts_with("blake3-of-stretches:"));
        file.seek(SeekFrom::End(-1)).unwrap();
        file.write_all(&[1]).unwrap();
        assert_ne!(hash(&path), sparse, "the last byte counts");
        file.set_len(WHOLE + 8).unwrap();
        assert_ne!(hash(&path), sparse, "the size counts");
    }

    #[test]
    fn a_uuid_depends_on_job_and_input_alone() {
        assert_eq!(uuid("a", "b"), uuid("a", "b"));
        assert_ne!(uuid("a", "b"), uuid("a", "c"));
        assert_eq!(uuid("", "").len(), 36);
    }
}
