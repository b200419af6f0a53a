//! Direct ptychography by the real program: in images, in their attributes, and as a start of reconstructions.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up fails")]

mod cli_support;

use cli_support::Place;
use ronchi::output::{Attr, Results};

fn number(result: &Results, path: &str, name: &str) -> f64 {
    let array = result.array(path).unwrap();
    match array.extra.iter().find(|(n, _)| n == name) {
        Some((_, Attr::Number(x))) => *x,
        other => panic!("{path} has {name} = {other:?}"),
    }
}

#[test]
fn images_of_direct_ptychography_come_with_their_errors_series_and_the_focus_they_were_made_with() {
    let place = Place::new();
    place.scan();
    let sets = ["optics.defocus_A=100", "images.errors=true", "images.defocus_sweep_A=[50, 150, 50]", "images.upsample=2"];
    let mut arguments = vec!["image", "scan.h5", "-o", "direct.emd", "-d", "bf,parallax,ssb,obf,wdd"];
    sets.iter().for_each(|set| arguments.extend(["--set", *set]));
    place.done(&arguments);
    let result = Results::open(&place.path("direct.emd")).unwrap();
    assert_eq!(result.array("images/bf").unwrap().shape, [8, 8]);
    for name in ["parallax", "ssb", "obf", "wdd"] {
        let image = result.array(&format!("images/{name}")).unwrap();
        assert_eq!((&image.shape[..], image.axes[0].step, image.units.as_str()), (&[16, 16][..], 0.4, "rad"), "{name}");
        assert!(image.data.reals().unwrap().iter().all(|x| x.is_finite()));
        assert_eq!(number(&result, &format!("images/{name}"), "defocus_A"), 100.0);
        let series = result.array(&format!("images/{name}_sweep")).unwrap();
        assert_eq!((&series.shape[..], series.axes[0].origin, series.axes[0].step), (&[3, 16, 16][..], 50.0, 50.0), "{name}");
        assert!(series.extra.iter().any(|(n, v)| n == "sharpness" && matches!(v, Attr::Numbers(v) if v.len() == 3)));
        let error = result.array(&format!("images/{name}_error")).unwrap();
        assert!(error.data.reals().unwrap().iter().all(|&x| x.is_finite() && x > 0.0), "{name}");
        assert!(place.path("direct_images").join(format!("{name}.png")).is_file());
    }
}

#[test]
fn the_focus_is_fitted_where_nobody_says_it_and_the_result_tells_what_was_found() {
    let place = Place::new();
    place.scan();
    let ran = place.done(&["image", "scan.h5", "-o", "fit.emd", "-d", "ssb"]);
    assert!(ran.stderr.to_lowercase().contains("the shifts of the tilted images"), "{}", ran.stderr);
    let result = Results::open(&place.path("fit.emd")).unwrap();
    assert!(number(&result, "images/ssb", "fitted_defocus_A").is_finite());
    let given = place.done(&["image", "scan.h5", "-o", "given.emd", "-d", "ssb", "--set", "images.aberrations=given"]);
    assert!(!given.stderr.to_lowercase().contains("the shifts of the tilted images"), "{}", given.stderr);
    let result = Results::open(&place.path("given.emd")).unwrap();
    assert_eq!(number(&result, "images/ssb", "defocus_A"), 0.0);
}

#[test]
fn a_reconstruction_that_starts_from_an_image_is_nearer_at_first_and_says_so_in_its_job() {
    let place = Place::new();
    place.scan();
    let error = |start: &str| {
        let (output, set) = (format!("{start}.emd"), format!("ptychography.start={start}"));
        let common = ["--set", "optics.defocus_A=100", "--set", "ptychography.iterations=1", "--set", "ptychography.batch=8"];
        let mut arguments = vec!["reconstruct", "scan.toml", "-o", &output, "--set", &set];
        arguments.extend(common);
        place.done(&arguments);
        let result = Results::open(&place.path(&output)).unwrap();
        assert!(matches!(result.attr("job"), Some(Attr::Text(job)) if job.contains(&format!("start = \"{start}\""))));
        result.array("ptychography/error").unwrap().data.reals().unwrap()[0]
    };
    place.write("scan.toml", "[data]\npath = \"scan.h5\"\n");
    let (flat, ssb, parallax) = (error("flat"), error("ssb"), error("parallax"));
    assert!(ssb < flat, "{ssb} and {flat}");
    assert!(parallax.is_finite());
}

#[test]
fn what_direct_ptychography_needs_and_nobody_says_is_asked_for_by_its_key() {
    let place = Place::new();
    place.scan();
    for (set, words) in [
        ("images.upsample=0", "images.upsample is 0, expected a whole number from 1 to 16"),
        ("images.defocus_sweep_A=[1, 0, 1]", "images.defocus_sweep_A is [1.0, 0.0, 1.0]"),
        ("images.wdd_epsilon=-1", "images.wdd_epsilon is -1"),
        ("images.aberrations=maybe", "expected \"given\", \"fit\" or \"auto\""),
        ("ptychography.start=warm", "expected \"flat\", \"ssb\", \"parallax\" or the path"),
    ] {
        let ran = place.run(&["image", "scan.h5", "-o", "x.emd", "-d", "ssb", "--set", set]);
        assert!(ran.code == 2 && ran.stderr.contains(words), "{set}: {}", ran.stderr);
    }
    let near = place.run(&["image", "scan.h5", "-o", "x.emd", "-d", "paralax"]);
    assert!(near.stderr.contains("Did you mean \"parallax\"?"), "{}", near.stderr);
}
