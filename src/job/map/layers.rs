//! What a layered crystal's image tells beside occupancy: layers, stacking, order, distances, strain, spots; as tables and maps.

use super::lessons::Crystal;
use super::mapped::Mapped;
use super::report::{column, image};
use super::scene::Scene;
use crate::analysis::columns::Projection;
use crate::analysis::field::{
    Glide, GpaOptions, Grid, Layered, Layering, Measured, Picture, Slabs, Spot, distances, gpa, honeycomb, measure_layers, migrated,
    stacking,
};
use crate::output::{Array, ArrayData, Attr, Column, Table};
use crate::run::Run;
use crate::simulate::Element;

/// Layers are measured in segments about so long.
const SEGMENT_A: f64 = 12.0;

/// Adds what the image tells of layers, and says what it does not tell.
pub(super) fn add(scene: &Scene, crystal: &Crystal, mapped: &Mapped, run: &Run, tables: &mut Vec<Table>, arrays: &mut Vec<Array>) {
    let field = scene.field();
    let picture = match Picture::new(field.values, field.shape, field.pixel_A) {
        Ok(picture) => picture,
        Err(error) => return run.note(format!("no layers and no strain: {error}")),
    };
    match gpa(&picture, &GpaOptions::default()) {
        Ok(strain) => {
            let of = |name: &str, values: &[f64], se: f64, units: &str| {
                let mut map = image(scene, &format!("map/{name}"), values.to_vec());
                map.units = units.to_owned();
                map.extra.extend([("se".to_owned(), Attr::Number(se)), ("resolution_A".to_owned(), Attr::Number(strain.resolution_A))]);
                map
            };
            if strain.xx.iter().any(|v| v.is_finite()) {
                arrays.push(of("strain_xx", &strain.xx, strain.se[0], ""));
                arrays.push(of("strain_yy", &strain.yy, strain.se[1], ""));
                arrays.push(of("strain_xy", &strain.xy, strain.se[2], ""));
                arrays.push(of("strain_rotation", &strain.rotation_rad, strain.se[3], "rad"));
            } else {
                run.note(format!(
                    "no strain: the field is not three times as wide as its resolution of {:.1} Å at each edge",
                    strain.resolution_A
                ));
            }
        }
        Err(error) => run.note(format!("no strain: {error}")),
    }
    let Some((layered, neighbours_A)) = layered(crystal, mapped) else { return };
    let spots = found(crystal, mapped);
    if let Some(table) = distance_table(&spots, &layered) {
        tables.push(table);
    }
    let layers = match layered.refined(&picture).and_then(|layered| measure_layers(&picture, &layered, SEGMENT_A)) {
        Ok(layers) => layers,
        Err(error) => return run.note(format!("no layers: {error}")),
    };
    let spacing = Measured::mean(layers.spacing_A.profile());
    if spacing.is_known() {
        run.note(format!(
            "layers: {} of transition metals, {:.3} ± {:.3} Å apart on the mean",
            layers.metal_A.depth_A.len(),
            spacing.value,
            spacing.se
        ));
    }
    tables.push(grid("map/spacing", "spacing", &layers.spacing_A));
    tables.push(slabs(&layers.alkali_A, &layers.alkali_slab_A, &layers.alkali_to_metal));
    let glide = Glide::of(layers.layered.row_A, neighbours_A).unwrap_or(Glide::None);
    match stacking(&picture, &layers, SEGMENT_A, glide, Slabs::Unknown) {
        Ok(found) => {
            let (p, o) = [Layering::P, Layering::O].map(|kind| found.layers.iter().filter(|l| l.layering == Some(kind)).count()).into();
            run.note(format!(
                "stacking: {p} layers P, {o} O, {} not decided{}",
                found.undetermined,
                if glide == Glide::None { " (this zone axis does not tell)" } else { "" }
            ));
            let each = |value: &dyn Fn(&crate::analysis::field::Alkali) -> f64| found.layers.iter().map(value).collect::<Vec<f64>>();
            let name = |l: &crate::analysis::field::Alkali| match l.layering {
                Some(Layering::P) => "P",
                Some(Layering::O) => "O",
                None => "?",
            };
            let names = found.layers.iter().map(|l| name(l).to_owned()).collect();
            let columns = vec![
                column("depth_A", "Å", each(&|l| l.depth_A)),
                Column { name: "layering".to_owned(), units: String::new(), data: ArrayData::Names(names) },
                column("probability_p", "", each(&|l| l.probability_p)),
                column("oxygen_shift_rows", "", each(&|l| l.oxygen_shift_rows.value)),
                column("oxygen_shift_rows_se", "", each(&|l| l.oxygen_shift_rows.se)),
            ];
            let extra =
                vec![("share_p".to_owned(), Attr::Number(found.share_p.value)), ("share_p_se".to_owned(), Attr::Number(found.share_p.se))];
            tables.push(Table { path: "map/stacking".to_owned(), columns, extra });
        }
        Err(error) => run.note(format!("no stacking: {error}")),
    }
    if layers.layered.period == 3
        && let Ok(found) = honeycomb(&picture, &layers, SEGMENT_A)
    {
        let each = |value: &dyn Fn(&crate::analysis::field::Honeycomb) -> f64| found.iter().map(value).collect::<Vec<f64>>();
        let columns = vec![
            column("depth_A", "Å", each(&|h| h.depth_A)),
            column("strength", "", each(&|h| h.strength.value)),
            column("strength_se", "", each(&|h| h.strength.se)),
            column("snr", "", each(&|h| h.snr)),
            column("place_A", "Å", each(&|h| h.place_A.value)),
            column("place_se_A", "Å", each(&|h| h.place_A.se)),
        ];
        tables.push(Table { path: "map/honeycomb".to_owned(), columns, extra: Vec::new() });
    }
    let clean = Measured::new(clean_ratio(crystal, mapped), 0.0);
    if let Ok(found) = migrated(&spots, &layered, clean).map_err(|error| run.note(format!("no cation migration: {error}"))) {
        let each = |value: &dyn Fn(&crate::analysis::field::Migrated) -> f64| found.iter().map(value).collect::<Vec<f64>>();
        let columns = vec![
            column("depth_A", "Å", each(&|m| m.depth_A)),
            column("alkali_to_metal", "", each(&|m| m.ratio.value)),
            column("alkali_to_metal_se", "", each(&|m| m.ratio.se)),
            column("metal_share", "", each(&|m| m.share.value)),
            column("metal_share_se", "", each(&|m| m.share.se)),
        ];
        tables.push(Table { path: "map/migration".to_owned(), columns, extra: Vec::new() });
    }
}

/// The brightness of an alkali column over that of a metal one in a crystal without migration, by the templates.
fn clean_ratio(crystal: &Crystal, mapped: &Mapped) -> f64 {
    let projection = &crystal.projection;
    let symbol = crystal.element.symbol();
    let brightness = |kind: usize| mapped.taught.learnt.templates[kind].integral() * projection.atoms_per_A(kind);
    let mean = |of: &dyn Fn(usize) -> bool| {
        let kinds: Vec<usize> = projection.columns.iter().map(|c| c.kind).filter(|&kind| of(kind)).collect();
        kinds.iter().map(|&kind| brightness(kind)).sum::<f64>() / kinds.len().max(1) as f64
    };
    let alkali = |kind: usize| projection.kinds[kind] == symbol;
    mean(&alkali) / mean(&|kind| is_metal(projection, kind))
}

/// Neither oxygen nor an alkali metal.
fn is_metal_symbol(symbol: &str) -> bool {
    !matches!(symbol, "O" | "Li" | "Na" | "K" | "Rb" | "Cs")
}

/// Does a kind of column hold nothing else?
fn is_metal(projection: &Projection, kind: usize) -> bool {
    projection.kinds[kind].split('/').all(is_metal_symbol)
}

/// The columns that were measured.
fn found(crystal: &Crystal, mapped: &Mapped) -> Vec<Spot> {
    let names: Vec<&'static str> = crystal
        .projection
        .kinds
        .iter()
        .map(|name| Element::of(name.split('/').next().unwrap_or(name)).map_or("", |e| e.symbol()))
        .collect();
    let measured = |s: usize| {
        let site = &mapped.settled.sites[s];
        let integral = mapped.taught.learnt.templates[site.kind].integral();
        Spot {
            element: names[site.kind],
            at_A: mapped.settled.places_A[s],
            se_A: mapped.settled.se_A[s],
            amplitude: mapped.amplitudes.atoms[s] * integral,
            amplitude_se: mapped.amplitudes.se[s] * integral,
        }
    };
    (0..mapped.settled.sites.len())
        .filter(|&s| mapped.amplitudes.atoms[s].is_finite() && mapped.settled.places_A[s][0].is_finite())
        .map(measured)
        .collect()
}

/// The layers as the crystal has them in the image, and the distance of neighbouring metals in a layer; `None` of a crystal without layers of metals and oxygen.
fn layered(crystal: &Crystal, mapped: &Mapped) -> Option<(Layered, f64)> {
    let projection = &crystal.projection;
    let lattice = &mapped.found.lattice;
    // A piece of the crystal, in its own frame: y along the layers' normal.
    let plain = crate::analysis::columns::Lattice { matrix: [[1.0, 0.0], [0.0, 1.0]], origin_A: [0.0; 2] };
    let places = plain.places(projection, [40.0, 40.0], 0.0);
    let metals: Vec<_> = places.iter().filter(|p| is_metal(projection, p.kind)).collect();
    let oxygen: Vec<_> = places.iter().filter(|p| projection.kinds[p.kind] == "O").collect();
    if metals.is_empty() || oxygen.is_empty() {
        return None;
    }
    let mut depths: Vec<f64> = metals.iter().map(|p| p.at_A[0]).collect();
    depths.sort_by(f64::total_cmp);
    depths.dedup_by(|a, b| (*a - *b).abs() < 0.3);
    let steps: Vec<f64> = depths.windows(2).map(|w| w[1] - w[0]).collect();
    let repeat = steps.iter().copied().fold(f64::INFINITY, f64::min);
    if !(3.5..12.0).contains(&repeat) {
        return None;
    }
    let mut row: Vec<_> = metals.iter().filter(|p| (p.at_A[0] - depths[depths.len() / 2]).abs() < 0.3).collect();
    row.sort_by(|p, q| p.at_A[1].total_cmp(&q.at_A[1]));
    let spacing = row.windows(2).map(|w| w[1].at_A[1] - w[0].at_A[1]).fold(f64::INFINITY, f64::min);
    if !(0.5..6.0).contains(&spacing) {
        return None;
    }
    let kinds: Vec<usize> = row.iter().map(|p| p.kind).collect();
    let period = (1..=6).find(|&n| kinds.iter().zip(&kinds[n.min(kinds.len())..]).all(|(a, b)| a == b)).unwrap_or(1);
    let away = |at: f64| depths.iter().map(|d| (at - d).abs()).fold(f64::INFINITY, f64::min);
    let inner: Vec<f64> = oxygen.iter().map(|p| away(p.at_A[0])).filter(|d| *d < 0.5 * repeat).collect();
    let oxygen_A = inner.iter().sum::<f64>() / inner.len().max(1) as f64;
    let normal = mapped.normal;
    let length = normal[0].hypot(normal[1]);
    let stretch = lattice.stretch();
    let layered = Layered {
        normal: normal.map(|x| x / length),
        repeat_A: repeat * stretch[0],
        row_A: spacing * stretch[1],
        period,
        oxygen_A: oxygen_A * stretch[0],
    };
    Some((layered, crystal.nearest_metals_A()?))
}

impl Crystal {
    /// The distance of neighbouring metals.
    fn nearest_metals_A(&self) -> Option<f64> {
        let vectors = self.structure.cell.vectors_A();
        let metals: Vec<[f64; 3]> = self.structure.sites.iter().filter(|s| is_metal_symbol(s.element.symbol())).map(|s| s.at).collect();
        let mut nearest = f64::INFINITY;
        for a in &metals {
            for b in &metals {
                for n in 0..27 {
                    let cell = [n / 3 / 3, n / 3 % 3, n % 3].map(|k| f64::from(k - 1));
                    let parts = [0, 1, 2].map(|k| b[k] - a[k] + cell[k]);
                    let distance = (0..3).map(|k| (0..3).map(|v| parts[v] * vectors[v][k]).sum::<f64>().powi(2)).sum::<f64>().sqrt();
                    if distance > 1.0 {
                        nearest = nearest.min(distance);
                    }
                }
            }
        }
        nearest.is_finite().then_some(nearest)
    }
}

fn grid(path: &str, name: &str, grid: &Grid) -> Table {
    let segments = grid.along_A.len();
    let each =
        |value: &dyn Fn(usize, usize) -> f64| (0..grid.values.len()).map(|k| value(k / segments, k % segments)).collect::<Vec<f64>>();
    let columns = vec![
        column("depth_A", "Å", each(&|k, _| grid.depth_A[k])),
        column("along_A", "Å", each(&|_, s| grid.along_A[s])),
        column(&format!("{name}_A"), "Å", each(&|k, s| grid.row(k)[s].value)),
        column(&format!("{name}_se_A"), "Å", each(&|k, s| grid.row(k)[s].se)),
    ];
    Table { path: path.to_owned(), columns, extra: Vec::new() }
}

/// The alkali layers: how far oxygen lies apart across them, and how bright they are beside the metals.
fn slabs(alkali: &Grid, slab: &Grid, ratio: &Grid) -> Table {
    let nearest = |grid: &Grid, depth: f64| {
        let profile = grid.profile();
        let close = (0..grid.depth_A.len()).min_by(|&a, &b| (grid.depth_A[a] - depth).abs().total_cmp(&(grid.depth_A[b] - depth).abs()));
        close.filter(|&k| (grid.depth_A[k] - depth).abs() < 1.0).map_or(Measured::UNKNOWN, |k| profile[k])
    };
    let each = |value: &dyn Fn(f64) -> f64| alkali.depth_A.iter().map(|&d| value(d)).collect::<Vec<f64>>();
    let columns = vec![
        column("depth_A", "Å", alkali.depth_A.clone()),
        column("slab_A", "Å", each(&|d| nearest(slab, d).value)),
        column("slab_se_A", "Å", each(&|d| nearest(slab, d).se)),
        column("alkali_to_metal", "", each(&|d| nearest(ratio, d).value)),
        column("alkali_to_metal_se", "", each(&|d| nearest(ratio, d).se)),
    ];
    Table { path: "map/layers".to_owned(), columns, extra: Vec::new() }
}

/// Mean distances between neighbours, of metals and of oxygen, along rows and across them.
fn distance_table(spots: &[Spot], layered: &Layered) -> Option<Table> {
    let rows: Vec<(String, _)> =
        [("metal", distances(spots, layered, is_metal_symbol)), ("oxygen", distances(spots, layered, |e| e == "O"))]
            .into_iter()
            .flat_map(|(name, [along, across])| [(format!("{name} along"), along), (format!("{name} across"), across)])
            .filter(|(_, d)| d.mean_A.is_known())
            .collect();
    if rows.is_empty() {
        return None;
    }
    let each = |value: &dyn Fn(&crate::analysis::field::Distances) -> f64| rows.iter().map(|(_, d)| value(d)).collect::<Vec<f64>>();
    let columns = vec![
        Column {
            name: "neighbours".to_owned(),
            units: String::new(),
            data: ArrayData::Names(rows.iter().map(|(n, _)| n.clone()).collect()),
        },
        column("pairs", "", each(&|d| d.distance_A.len() as f64)),
        column("mean_A", "Å", each(&|d| d.mean_A.value)),
        column("mean_se_A", "Å", each(&|d| d.mean_A.se)),
        column("sd_A", "Å", each(&|d| d.sd_A.value)),
        column("own_sd_A", "Å", each(&|d| d.own_sd_A.value)),
    ];
    Some(Table { path: "map/distances".to_owned(), columns, extra: Vec::new() })
}
