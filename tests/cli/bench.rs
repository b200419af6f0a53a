//! `ronchi bench`: its numbers fit each other, and the formulas of docs/bench.md written out here once more.

use ronchi::compute::Backend;
use serde_json::Value;

use crate::cli_support::Place;
use crate::common;

fn near(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{found} is no number"));
    assert!((found / expected - 1.0).abs() < 1e-9, "{found}, expected {expected}");
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// What has to hold on every device.
fn check(report: &Value, iterations: usize) {
    assert_eq!(report["version"], 1);
    assert_eq!(report["ronchi"], env!("CARGO_PKG_VERSION"));
    assert!(report["date"].as_str().unwrap().ends_with('Z') && report["host"].is_string() && report["processor"].is_string());
    let rates: Vec<f64> = report["copies"].as_array().unwrap().iter().map(|copy| copy["bytes_per_s"].as_f64().unwrap()).collect();
    let bandwidth = report["bandwidth_bytes_per_s"].as_f64().unwrap();
    assert_eq!(rates.into_iter().fold(0.0, f64::max), bandwidth);
    for workload in report["workloads"].as_array().unwrap() {
        let mut seconds = numbers(&workload["seconds"]);
        assert_eq!(seconds.len(), iterations);
        seconds.sort_by(f64::total_cmp);
        let median = 0.5 * (seconds[(iterations - 1) / 2] + seconds[iterations / 2]);
        let bytes = workload["bytes"].as_f64().unwrap();
        near(&workload["best_s"], seconds[0]);
        near(&workload["median_s"], median);
        near(&workload["patterns_per_s"], workload["patterns"].as_f64().unwrap() / median);
        near(&workload["flops_per_s"], workload["flops"].as_f64().unwrap() / median);
        near(&workload["floor_s"], bytes / bandwidth);
        near(&workload["over_floor"], median / (bytes / bandwidth));
    }
    assert_eq!(report["left_out"], Value::Array(Vec::new()));
}

#[test]
fn a_benchmark_on_the_cpu_adds_up() {
    let place = Place::new();
    let arguments = ["bench", "--quick", "--json", "--patterns", "20", "--window", "32", "--iterations", "3", "--threads", "2"];
    let ran = place.done(&[&arguments[..], &["--batch", "8,64", "--depth", "1x1,2x3"]].concat());
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    check(&report, 3);
    assert_eq!((&report["device"]["kind"], &report["threads"]), (&Value::from("cpu"), &Value::from(2)));
    let workloads = report["workloads"].as_array().unwrap();
    let runs: Vec<_> = workloads.iter().map(|w| [&w["slices"], &w["modes"], &w["batch"]].map(|n| n.as_u64().unwrap())).collect();
    // 64 are more than there are.
    assert_eq!(runs, [[1, 1, 8], [1, 1, 20], [2, 3, 8], [2, 3, 20]]);
    assert!(workloads.iter().all(|w| w["gpu"].is_null()));
    let object: f64 = numbers(&workloads[0]["object"]).iter().product();
    assert!(object < 4.0 * 1024.0, "each batch can touch the whole object");

    // 20 patterns of 1024 bytes; ψ and Δψ of 8 bytes a pixel; three batches with object and numerator, denominator, probe and numerator, denominator.
    let waves = 20.0 * 1024.0 * 16.0;
    near(&workloads[0]["bytes"], 20.0 * 1024.0 + waves + 3.0 * (object * 20.0 + 1024.0 * 16.0 + 1024.0 * 4.0));
    near(&workloads[2]["bytes"], 20.0 * 1024.0 + 6.0 * waves + 3.0 * (2.0 * object * 20.0 + 3.0 * 1024.0 * 16.0 + 1024.0 * 4.0));
    // 4 and 8 transforms of 5·1024·10; at each pixel 12 + 6 + 6 + 12 + 6 + 14, or 12 + 12 + 12 + 6 + 24 + 12 + 14, a mode and 7 + 4; the updates.
    let (one, two) = (4.0 * 51200.0 + 56.0 * 1024.0, 8.0 * 51200.0 + 92.0 * 1024.0);
    near(&workloads[0]["flops"], 20.0 * (one + 11.0 * 1024.0) + 3.0 * 4.0 * (object + 1024.0));
    near(&workloads[2]["flops"], 20.0 * (3.0 * two + 11.0 * 1024.0) + 3.0 * 4.0 * (2.0 * object + 3.0 * 1024.0));
}

#[test]
fn a_benchmark_on_a_gpu_tells_launches_memory_and_kernels() {
    let device = match common::gpu(None) {
        Ok(gpu) => gpu.device_name(),
        Err(reason) => {
            assert!(!common::gpu_is_required(), "{reason}");
            return;
        }
    };
    let place = Place::new();
    let size = ["--patterns", "16", "--window", "32", "--batch", "8", "--depth", "2x3", "--iterations", "2"];
    let ran = place.done(&[&["bench", "--quick", "--json", "--device", &device][..], &size].concat());
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    check(&report, 2);
    assert_eq!(report["device"]["name"].as_str().unwrap(), device);
    assert!(report["device"]["driver"].is_string() && report["device"]["backend"].is_string());
    let workload = &report["workloads"][0];
    let gpu = &workload["gpu"];
    let launches = gpu["launches"].as_f64().unwrap();
    assert!(launches > 0.0 && gpu["submissions"].as_u64().unwrap() > 0);
    near(&gpu["us_per_launch"], 1e6 * workload["median_s"].as_f64().unwrap() / launches);
    if !gpu["allocated_bytes"].is_null() {
        // The patterns, and a batch's waves on each of two slices.
        let least = 16 * 1024 + 2 * 8 * 3 * 1024 * 8;
        let [allocated, reserved] = ["allocated_bytes", "reserved_bytes"].map(|key| gpu[key].as_u64().unwrap());
        assert!(least < allocated && allocated <= reserved && allocated < 1 << 30, "{allocated} {reserved}");
    }
    assert_eq!(report["device"]["timestamps"].as_bool().unwrap(), gpu["kernels"].is_array());
    if let Some(kernels) = gpu["kernels"].as_array() {
        let sum = |key: &str| kernels.iter().map(|kernel| kernel[key].as_f64().unwrap()).sum::<f64>();
        // As many in the iteration in which they are timed as in the one in which they are counted.
        assert_eq!(sum("launches"), launches);
        near(&Value::from(sum("share")), 1.0);
        for kernel in kernels {
            let [total, launches] = ["total_s", "launches"].map(|key| kernel[key].as_f64().unwrap());
            near(&kernel["us_each"], 1e6 * total / launches);
        }
        let mut names: Vec<&str> = kernels.iter().map(|kernel| kernel["kernel"].as_str().unwrap()).collect();
        assert!(names.contains(&"residual_columns"), "{names:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), kernels.len());
    }
}

#[test]
fn a_benchmark_is_a_table_for_people() {
    let place = Place::new();
    let ran = place.done(&["bench", "--quick", "--patterns", "9", "--window", "32", "--batch", "4", "--depth", "1x1", "--iterations", "1"]);
    assert!(ran.stderr.contains("1 slice, 1 mode, batch 4: ") && ran.stderr.contains(" × the floor"), "{}", ran.stderr);
    let row = ran.stdout.lines().last().unwrap();
    assert_eq!(row.split_whitespace().take(3).collect::<Vec<_>>(), ["1", "1", "4"], "{}", ran.stdout);
    assert!(ran.stdout.contains("GB/s, read and written") && ran.stdout.contains("9 patterns of 32 × 32 u8 counts"), "{}", ran.stdout);
}

#[test]
fn a_benchmark_that_cannot_be_is_refused() {
    let place = Place::new();
    for (arguments, expected) in [
        (&["bench", "--set", "ptychography.batch=4"][..], "bench has no job whose keys could be set"),
        (&["bench", "--depth", "6"], "write slices x modes, each from 1 to 64, such as 6x12"),
        (&["bench", "--batch", "0"], "0 is not in 1.."),
        (&["bench", "--quick", "--full"], "cannot be used with"),
        (&["bench", "--device", "abacus"], "no device is called \"abacus\""),
    ] {
        let ran = place.run(arguments);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
}
