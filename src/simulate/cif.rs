//! Crystals from CIF, the Crystallographic Information File (S. R. Hall, F. H. Allen and I. D. Brown, Acta Cryst. A47 (1991) 655).

mod operation;
mod syntax;

use self::operation::Operation;
use self::syntax::{Block, Item, blocks};
use super::elements::Element;
use super::structure::{Cell, Site, Structure, usual_b_A2};
use super::{Error, Result};

/// Images of one listed atom that lie closer than this are one atom on a special position.
const SAME_A: f64 = 0.1;

/// Those of a space group of a face-centred cube.
const MOST_OPERATIONS: usize = 192;

/// Where in a CIF something is wrong.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a str,
    /// From 1; 0 where it is about the file as a whole.
    line: usize,
}

impl Place<'_> {
    fn refuse<T>(self, what: impl Into<String>, remedy: &str) -> Result<T> {
        Err(Error::Cif { path: self.path.into(), line: self.line, what: what.into(), remedy: remedy.into() })
    }
}

/// See [`Structure::from_cif`].
pub(super) fn parse(text: &str, path: &str) -> Result<Structure> {
    let whole = Place { path, line: 0 };
    let blocks = blocks(text, path)?;
    let Some(block) = blocks.iter().find(|block| block.column("_atom_site_fract_x").is_some()) else {
        let remedy = "Export the structure as CIF from a crystallographic database or program.";
        return whole.refuse("it lists no atoms (_atom_site_fract_x)", remedy);
    };
    let cell = cell(block, whole)?;
    let operations = operations(block, whole)?;
    let vectors = cell.vectors_A();
    let mut sites: Vec<Site> = Vec::new();
    for atom in atoms(block, whole)? {
        let first = sites.len();
        for operation in &operations {
            let at = operation.apply(atom.at).map(|x| x.rem_euclid(1.0) % 1.0);
            if sites[first..].iter().all(|site| distance_A(site.at, at, &vectors) > SAME_A) {
                sites.push(Site { at, ..atom });
            }
        }
    }
    Ok(Structure { cell, sites })
}

/// How far apart two places of a periodic cell are.
fn distance_A(a: [f64; 3], b: [f64; 3], vectors: &[[f64; 3]; 3]) -> f64 {
    // What lies closer than SAME_A differs by nearly whole numbers, unless the cell is absurdly skew.
    let way = [0, 1, 2].map(|n| a[n] - b[n] - (a[n] - b[n]).round());
    (0..3).map(|x| (0..3).map(|n| way[n] * vectors[n][x]).sum::<f64>().powi(2)).sum::<f64>().sqrt()
}

fn cell(block: &Block, whole: Place<'_>) -> Result<Cell> {
    let one = |name: &str, range: std::ops::Range<f64>, unit: &str| {
        let Some(item) = block.column(name).and_then(<[Item]>::first) else {
            return whole.refuse(format!("{name} is missing"), "A cell has three edges in Å and three angles in degrees.");
        };
        let value = number(item, name, whole)?;
        if !range.contains(&value) {
            let place = Place { line: item.line, ..whole };
            return place
                .refuse(format!("{name} is {}", item.shown()), &format!("It should be from {} to {} {unit}.", range.start, range.end));
        }
        Ok(value)
    };
    let edge = |name: &str| one(name, 0.5..1000.0, "Å");
    let angle = |name: &str| one(name, 10.0..170.0, "degrees");
    let edges_A = [edge("_cell_length_a")?, edge("_cell_length_b")?, edge("_cell_length_c")?];
    let angles_deg = [angle("_cell_angle_alpha")?, angle("_cell_angle_beta")?, angle("_cell_angle_gamma")?];
    let cell = Cell { edges_A, angles_deg };
    // No number, or hardly a height, where the angles close no cell.
    if cell.vectors_A()[2][2].max(0.0) < 0.1 {
        return whole.refuse(format!("no cell has the angles {angles_deg:?}"), "Check _cell_angle_alpha, _beta and _gamma.");
    }
    Ok(cell)
}

fn operations(block: &Block, whole: Place<'_>) -> Result<Vec<Operation>> {
    let listed = ["_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz"].into_iter().find_map(|name| block.column(name));
    if let Some(items) = listed {
        let read = |item: &Item| match Operation::read(&item.text) {
            Some(operation) => Ok(operation),
            None => {
                let place = Place { line: item.line, ..whole };
                place.refuse(format!("\"{}\" is no symmetry operation", item.shown()), "It should be like \"-x, y+1/2, -z\".")
            }
        };
        if items.len() > MOST_OPERATIONS {
            return whole.refuse(format!("it has {} symmetry operations", items.len()), "No space group has more than 192.");
        }
        let operations = items.iter().map(read).collect::<Result<Vec<_>>>()?;
        for (first, item) in operations.iter().zip(items) {
            let missing = operations.iter().position(|next| !operations.iter().any(|known| known.is_like(&next.after(first))));
            if let Some(next) = missing {
                let place = Place { line: item.line, ..whole };
                let what = format!("\"{}\" and then \"{}\" is not among the symmetry operations", item.shown(), items[next].shown());
                return place.refuse(what, "All operations of the space group have to be listed, those of its centring too.");
            }
        }
        return Ok(operations);
    }
    let groups = ["_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M", "_space_group_IT_number", "_symmetry_Int_Tables_number"];
    for name in groups {
        let Some(item) = block.column(name).and_then(<[Item]>::first) else { continue };
        let group: String = item.text.chars().filter(|c| !c.is_whitespace()).collect();
        if !["P1", "1", "?", "."].contains(&group.as_str()) {
            let place = Place { line: item.line, ..whole };
            let what = format!("the space group is {}, but its symmetry operations are not listed", item.shown());
            return place.refuse(what, "Export the CIF with its symmetry operations, or all atoms of the cell in P1.");
        }
    }
    Ok(vec![Operation::IDENTITY])
}

/// The atoms as they are listed.
fn atoms(block: &Block, whole: Place<'_>) -> Result<Vec<Site>> {
    let columns = ["_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z"];
    let [x, y, z] = columns.map(|name| block.column(name).unwrap_or_default());
    let column = |name| block.column(name).unwrap_or_default();
    let (types, labels) = (column("_atom_site_type_symbol"), column("_atom_site_label"));
    let (occupancies, b, u) = (column("_atom_site_occupancy"), column("_atom_site_B_iso_or_equiv"), column("_atom_site_U_iso_or_equiv"));
    let mut sites = Vec::with_capacity(x.len());
    for (n, x) in x.iter().enumerate() {
        let place = Place { line: x.line, ..whole };
        let (Some(y), Some(z)) = (y.get(n), z.get(n)) else {
            return place.refuse("an atom has no _atom_site_fract_y or _z", "Each atom needs its place in all three directions.");
        };
        let at = [number(x, columns[0], whole)?, number(y, columns[1], whole)?, number(z, columns[2], whole)?];
        let Some(name) = types.get(n).or(labels.get(n)) else {
            return place.refuse("an atom has neither _atom_site_type_symbol nor _atom_site_label", "Say which element it is.");
        };
        let Some(element) = element(&name.text) else {
            return place.refuse(format!("\"{}\" is no element from H to Cf", name.shown()), "Write its symbol as _atom_site_type_symbol.");
        };
        let optional = |items: &[Item], name: &str| match items.get(n) {
            Some(item) if !item.is_unknown() => number(item, name, whole).map(Some),
            _ => Ok(None),
        };
        let occupancy = optional(occupancies, "_atom_site_occupancy")?.unwrap_or(1.0);
        if !(occupancy > 0.0 && occupancy <= 1.0) {
            return place.refuse(format!("the occupancy of {} is {occupancy}", name.shown()), "It should be above 0 and at most 1.");
        }
        let from_u = optional(u, "_atom_site_U_iso_or_equiv")?.map(|u| 8.0 * std::f64::consts::PI.powi(2) * u);
        let b_A2 = optional(b, "_atom_site_B_iso_or_equiv")?.or(from_u).unwrap_or_else(|| usual_b_A2(element.symbol()));
        if !(0.0..100.0).contains(&b_A2) {
            return place.refuse(format!("the Debye–Waller factor B of {} is {b_A2} Å²", name.shown()), "It should be from 0 to 100 Å².");
        }
        sites.push(Site { element, at, occupancy, b_A2 });
    }
    Ok(sites)
}

/// The element that a type symbol such as "Na1+" or a label such as "O2a" begins with.
fn element(name: &str) -> Option<Element> {
    let letters: String = name.chars().take_while(char::is_ascii_alphabetic).take(2).collect();
    let of = |n: usize| {
        let symbol = letters.get(..n)?;
        let (first, rest) = symbol.split_at(1);
        Element::of(&(first.to_ascii_uppercase() + &rest.to_ascii_lowercase())).ok()
    };
    of(2).or_else(|| of(1))
}

/// A number, without the standard uncertainty that may stand in brackets behind it.
fn number(item: &Item, name: &str, whole: Place<'_>) -> Result<f64> {
    let plain = match item.text.split_once('(') {
        Some((value, rest)) if rest.strip_suffix(')').is_some_and(|su| su.bytes().all(|c| c.is_ascii_digit() || c == b'.')) => value,
        _ => &item.text,
    };
    match plain.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Place { line: item.line, ..whole }
            .refuse(format!("{name} is \"{}\"", item.shown()), "It should be a number such as 5.305 or 5.305(2)."),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Structure> {
        parse(text, "test.cif")
    }

    /// A CIF with these operations and lines of label, x, y, z.
    fn cif(name: &str, operations: &[String], atoms: &[&str]) -> String {
        let Cell { edges_A: [a, b, c], angles_deg: [alpha, beta, gamma] } = Structure::named(name).unwrap().cell;
        let quoted: Vec<String> = operations.iter().map(|operation| format!("'{operation}'")).collect();
        format!(
            "data_{name}\n_cell_length_a {a}\n_cell_length_b {b}\n_cell_length_c {c}(3)\n_cell_angle_alpha {alpha}\n_cell_angle_beta {beta}\n_cell_angle_gamma {gamma}\n\
             loop_\n_symmetry_equiv_pos_as_xyz\n{}\nloop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n_atom_site_occupancy\n{}\n",
            quoted.join("\n"),
            atoms.join("\n")
        )
    }

    /// An operation as text, by what it does.
    fn written(apply: impl Fn([f64; 3]) -> [f64; 3]) -> String {
        let shift = apply([0.0; 3]);
        let images = [0, 1, 2].map(|m| apply([0, 1, 2].map(|k| f64::from(u8::from(k == m)))));
        let row = |n: usize| {
            let term = |m: usize| match images[m][n] - shift[n] {
                part if part > 0.5 => ["+x", "+y", "+z"][m],
                part if part < -0.5 => ["-x", "-y", "-z"][m],
                _ => "",
            };
            format!("{}{}{}+{}/12", term(0), term(1), term(2), (shift[n] * 12.0).round().rem_euclid(12.0))
        };
        [0, 1, 2].map(row).join(", ")
    }

    /// Every product of these operations.
    fn group(generators: &[&str]) -> Vec<String> {
        let mut all = vec![written(|at| at)];
        let mut n = 0;
        while n < all.len() {
            let before = Operation::read(&all[n]).unwrap();
            for generator in generators.iter().map(|text| Operation::read(text).unwrap()) {
                let product = written(|at| generator.apply(before.apply(at)));
                if !all.contains(&product) {
                    all.push(product);
                }
            }
            n += 1;
        }
        all
    }

    fn assert_same(a: &Structure, b: &Structure) {
        assert_eq!(a.sites.len(), b.sites.len());
        let vectors = a.cell.vectors_A();
        for site in &a.sites {
            let twins = b.sites.iter().filter(|other| other.element == site.element && distance_A(other.at, site.at, &vectors) < 1e-3);
            let twins: Vec<_> = twins.collect();
            assert_eq!(twins.len(), 1, "{site:?}");
            assert!((twins[0].occupancy - site.occupancy).abs() < 1e-3 && twins[0].b_A2 == site.b_A2);
        }
    }

    #[test]
    fn the_named_crystals_come_out_of_their_space_groups() {
        let monoclinic = group(&["-x,y,-z", "-x,-y,-z", "x+1/2,y+1/2,z"]);
        assert_eq!(monoclinic.len(), 8);
        let atoms =
            ["Sb1 0 0 0 1", "Ni1 0 0.66667 0 1", "Na1 0 1/2 0.5 1", "Na2 .5 0.3333 .5 1.0", "O1 0.744 0 0.196(4) 1", "O2 .725 .339 .195 ."];
        let atoms = atoms.map(|line| line.replace("1/2", "0.5"));
        let lines: Vec<&str> = atoms.iter().map(String::as_str).collect();
        assert_same(&Structure::named("Na3Ni2SbO6").unwrap(), &read(&cif("Na3Ni2SbO6", &monoclinic, &lines)).unwrap());

        let hexagonal = group(&["x-y,x,z+1/2", "-x,-y,-z", "y,x,-z"]);
        assert_eq!(hexagonal.len(), 24);
        let lines = [
            "Ni1 0 0 0 0.3333",
            "Mn1 0 0 0 0.6667",
            "O1 0.33333 0.66667 0.0905 1",
            "Na1 0 0 0.25 0.3333",
            "Na2 0.33333 0.66667 0.75 0.3333",
        ];
        assert_same(&Structure::named("P2-NaNiMnO2").unwrap(), &read(&cif("P2-NaNiMnO2", &hexagonal, &lines)).unwrap());

        let trigonal = group(&["-y,x-y,z", "-x,-y,-z", "y,x,-z", "x+2/3,y+1/3,z+1/3"]);
        assert_eq!(trigonal.len(), 36);
        let lines = ["Na1 0 0 0 1", "Ni1 0 0 0.5 0.3333", "Fe1 0 0 0.5 0.3333", "Mn1 0 0 0.5 0.3333", "O1 0 0 0.232 1"];
        assert_same(&Structure::named("O3-NaNiFeMnO2").unwrap(), &read(&cif("O3-NaNiFeMnO2", &trigonal, &lines)).unwrap());

        let cubic = group(&["y,z,x", "-y,x,z", "-x,-y,-z"]);
        assert_eq!(cubic.len(), 48);
        let lines = ["Sr1 0 0 0 1", "Ti1 0.5 0.5 0.5 1", "O1 0.5 0.5 0 1"];
        assert_same(&Structure::named("SrTiO3").unwrap(), &read(&cif("SrTiO3", &cubic, &lines)).unwrap());
    }

    #[test]
    fn what_programs_write_around_the_numbers_is_understood() {
        let text = "# a comment\nDATA_one\n_cell.length_a 4.0(1) # Å\n_cell_length_b '5'\n_CELL_LENGTH_C 6\n_cell_angle_alpha 90\n_cell_angle_beta 90.0\n_cell_angle_gamma 90\n\
                    _publ_text\n;\n loop_ is no word here\n; \n_title 'a dog's life' _space_group_name_H-M_alt \"P 1\"\n\
                    loop_ _atom_site_type_symbol _atom_site_label\n_atom_site_fract_x _atom_site_fract_y _atom_site_fract_z _atom_site_U_iso_or_equiv\n\
                    O2- O1 -0.1 1.2 .25(3) 0.01 Na+ X2 0 0 0 ?\n";
        let crystal = read(text).unwrap();
        assert_eq!(crystal.cell.edges_A, [4.0, 5.0, 6.0]);
        let [oxygen, sodium] = &crystal.sites[..] else { panic!("{crystal:?}") };
        assert_eq!((oxygen.element.symbol(), sodium.element.symbol()), ("O", "Na"));
        assert!(distance_A(oxygen.at, [0.9, 0.2, 0.25], &crystal.cell.vectors_A()) < 1e-12);
        assert!((oxygen.b_A2 - 0.789_568).abs() < 1e-5 && sodium.b_A2 == 1.5);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_what_to_do() {
        let good = cif("SrTiO3", &["x,y,z".to_owned()], &["Sr1 0 0 0 1"]);
        let cases = [
            ("", "", "it lists no atoms"),
            ("Sr1 0 0 0 1", "Sr1 0 nought 0 1", "test.cif, line 17: _atom_site_fract_y is \"nought\""),
            ("Sr1 0 0 0 1", "Sr1 0 0 0", "test.cif, line 11: a loop_ of 5 names has 4 values"),
            ("Sr1 0 0 0 1", "Xx1 0 0 0 1", "test.cif, line 17: \"Xx1\" is no element"),
            ("Sr1 0 0 0 1", "Sr1 0 0 0 1.2", "test.cif, line 17: the occupancy of Sr1 is 1.2"),
            ("'x,y,z'", "-x,y,z\n-y,x,z", "test.cif, line 10: \"-x,y,z\" and then \"-x,y,z\" is not among"),
            ("'x,y,z'", "'x,y'", "test.cif, line 10: \"x,y\" is no symmetry operation"),
            ("'x,y,z'", "'x,y,z", "test.cif, line 10: a ' has no partner"),
            ("_cell_length_a 3.905", "_cell_length_a -3.905", "test.cif, line 2: _cell_length_a is -3.905"),
            ("_cell_length_a 3.905\n", "", "test.cif: _cell_length_a is missing"),
            ("_cell_length_a 3.905", "_cell_length_a", "test.cif, line 2: _cell_length_a has no value"),
            ("_cell_angle_alpha 90\n_cell_angle_beta 90", "_cell_angle_alpha 20\n_cell_angle_beta 60", "no cell has the angles"),
            ("data_SrTiO3\n", "", "stands before the first data_ block"),
            ("loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n", "_space_group_IT_number 221\n", "test.cif, line 8: the space group is 221"),
        ];
        for (what, instead, expected) in cases {
            let text = if what.is_empty() { String::new() } else { good.replacen(what, instead, 1) };
            let refusal = read(&text).unwrap_err().to_string();
            assert!(refusal.contains(expected), "{refusal}\n{expected}");
            assert!(refusal.ends_with('.'), "{refusal}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(data_x|loop_|_cell_length_a|_atom_site_fract_x|[ \n;'\"#é]|[-+xyz/0-9.,()?]{1,6}){0,60}") {
            let _ = read(&text);
            let _ = Operation::read(&text);
        }

        #[test]
        fn a_crystal_without_symmetry_comes_back(
            edges in prop::array::uniform3(2.0..20.0f64),
            angles in prop::array::uniform3(75.0..105.0f64),
            atoms in prop::collection::vec((0usize..4, prop::array::uniform3(0.0..1.0f64), 0.01..1.0f64, 0.1..5.0f64), 1..6),
        ) {
            let symbols = ["Na", "O", "Mn", "U"];
            let mut text = format!("data_p1\n_cell_length_a {} _cell_length_b {} _cell_length_c {}\n", edges[0], edges[1], edges[2]);
            text += &format!("_cell_angle_alpha {} _cell_angle_beta {} _cell_angle_gamma {}\nloop_\n", angles[0], angles[1], angles[2]);
            for name in ["type_symbol", "fract_x", "fract_y", "fract_z", "occupancy", "B_iso_or_equiv"] {
                text += &format!("_atom_site_{name}\n");
            }
            let sites = atoms.iter().map(|&(n, at, occupancy, b_A2)| Site { element: Element::of(symbols[n]).unwrap(), at, occupancy, b_A2 });
            let expected = Structure { cell: Cell { edges_A: edges, angles_deg: angles }, sites: sites.collect() };
            for site in &expected.sites {
                text += &format!("{} {} {} {} {} {}\n", site.element.symbol(), site.at[0], site.at[1], site.at[2], site.occupancy, site.b_A2);
            }
            prop_assert_eq!(read(&text).unwrap(), expected);
        }
    }
}
