//! What a CIF is written in: blocks of names and values, and loops of them.

use super::super::Result;
use super::Place;

/// A value and the line, from 1, that it begins in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) text: String,
    pub(super) line: usize,
    /// What is quoted is neither a name nor a word of the language.
    quoted: bool,
}

impl Item {
    /// "?" or ".": there is no value.
    pub(super) fn is_unknown(&self) -> bool {
        !self.quoted && (self.text == "?" || self.text == ".")
    }

    /// As a message shows it: its beginning, without what a terminal would obey.
    pub(super) fn shown(&self) -> String {
        let begin: String = self.text.chars().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if begin.len() < self.text.len() { format!("{begin}…") } else { begin }
    }
}

/// A data block: columns of values by their names.
#[derive(Debug, Default)]
pub(super) struct Block {
    columns: Vec<(String, Vec<Item>)>,
}

impl Block {
    /// The values of a name, whatever its case and whether its parts are joined as in version 1 or by a dot as in later ones.
    pub(super) fn column(&self, name: &str) -> Option<&[Item]> {
        let name = plain(name);
        self.columns.iter().find(|(known, _)| *known == name).map(|(_, items)| items.as_slice())
    }
}

fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace('.', "_")
}

/// The data blocks of a file.
pub(super) fn blocks(text: &str, path: &str) -> Result<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut items = items(text, path)?.into_iter().peekable();
    let is_value = |item: &Item| item.quoted || !(item.text.starts_with('_') || word(item).is_some());
    while let Some(item) = items.next() {
        let place = Place { path, line: item.line };
        if word(&item) == Some(Word::Data) {
            blocks.push(Block::default());
            continue;
        }
        let Some(block) = blocks.last_mut() else {
            return place
                .refuse(format!("\"{}\" stands before the first data_ block", item.shown()), "A CIF begins with data_ and a name.");
        };
        if word(&item) == Some(Word::Loop) {
            let mut names = Vec::new();
            while let Some(name) = items.next_if(|next| !is_value(next) && next.text.starts_with('_')) {
                names.push(plain(&name.text));
            }
            let mut values = Vec::new();
            while let Some(value) = items.next_if(is_value) {
                values.push(value);
            }
            if names.is_empty() || values.is_empty() || values.len() % names.len() != 0 {
                let what = format!("a loop_ of {} names has {} values", names.len(), values.len());
                return place.refuse(what, "Each of its rows needs a value for each name; values with spaces need quotes.");
            }
            let width = names.len();
            let column = |n: usize| values.iter().skip(n).step_by(width).cloned().collect();
            block.columns.extend(names.into_iter().enumerate().map(|(n, name)| (name, column(n))));
        } else if is_value(&item) || word(&item).is_some() {
            return place.refuse(format!("\"{}\" has no name", item.shown()), "A value stands behind a name such as _cell_length_a.");
        } else {
            let Some(value) = items.next_if(is_value) else {
                return place.refuse(format!("{} has no value", item.shown()), "Write \"?\" for what is not known.");
            };
            block.columns.push((plain(&item.text), vec![value]));
        }
    }
    Ok(blocks)
}

/// Words of the language that are used here.
#[derive(PartialEq)]
enum Word {
    Data,
    Loop,
    /// Dictionaries and other kinds of STAR files have these.
    Other,
}

fn word(item: &Item) -> Option<Word> {
    let text = item.text.to_ascii_lowercase();
    match text.as_str() {
        _ if item.quoted => None,
        "loop_" => Some(Word::Loop),
        "global_" | "stop_" => Some(Word::Other),
        _ if text.starts_with("data_") => Some(Word::Data),
        _ if text.starts_with("save_") => Some(Word::Other),
        _ => None,
    }
}

/// The words, names and values of a file.
fn items(text: &str, path: &str) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((n, line)) = lines.next() {
        let place = Place { path, line: n + 1 };
        if let Some(start) = line.strip_prefix(';') {
            let mut field = start.to_owned();
            loop {
                let Some((_, next)) = lines.next() else {
                    return place.refuse("a text that begins with \";\" has no end", "It ends with a line that begins with \";\".");
                };
                if let Some(rest) = next.strip_prefix(';') {
                    items.push(Item { text: field, line: n + 1, quoted: true });
                    split(rest, place, &mut items)?;
                    break;
                }
                field.push('\n');
                field.push_str(next);
            }
        } else {
            split(line, place, &mut items)?;
        }
    }
    Ok(items)
}

/// Splits a line at its spaces, but for what is quoted, up to a comment.
fn split(line: &str, place: Place<'_>, items: &mut Vec<Item>) -> Result<()> {
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '#' {
            break;
        }
        let (text, quoted) = if first == '\'' || first == '"' {
            let inner = &rest[1..];
            // A quote inside a word is part of it: 'a dog's life'.
            let is_end = |&(at, _): &(usize, &str)| inner[at + 1..].chars().next().is_none_or(char::is_whitespace);
            let Some((end, _)) = inner.match_indices(first).find(is_end) else {
                return place.refuse(format!("a {first} has no partner"), "Close the quotation in the same line.");
            };
            rest = &inner[end + 1..];
            (&inner[..end], true)
        } else {
            let (text, behind) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
            rest = behind;
            (text, false)
        };
        items.push(Item { text: text.into(), line: place.line, quoted });
        rest = rest.trim_start();
    }
    Ok(())
}
