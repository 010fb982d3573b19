//! Text on the terminal: headings, notes and tables whose columns line up.

use std::io::{self, Write as _};

/// A line.
pub(crate) fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// A heading, with a line around it.
pub(crate) fn heading(text: &str) -> io::Result<()> {
    say(&format!(
        "\n── {text} {}",
        "─".repeat(94_usize.saturating_sub(text.chars().count()))
    ))
}

/// What is being done, as it is done.
pub(crate) fn step(text: &str) -> io::Result<()> {
    say(&format!("   · {text}"))
}

/// A paragraph, broken between words.
pub(crate) fn paragraph(text: &str) -> io::Result<()> {
    const WIDTH: usize = 94;
    let mut line = String::new();
    for word in text.split_whitespace() {
        let wide = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && wide > WIDTH {
            say(&format!("   {line}"))?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    say(&format!("   {line}"))
}

/// A table: the first column to the left, the others to the right unless their header begins
/// with `<`.
#[derive(Debug, Default)]
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headers.
    pub(crate) fn new(header: &[&str]) -> Self {
        let header = header.iter().map(|text| (*text).to_owned()).collect();
        Self {
            header,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Prints it.
    pub(crate) fn print(&self) -> io::Result<()> {
        let left: Vec<bool> = self
            .header
            .iter()
            .enumerate()
            .map(|(column, text)| column == 0 || text.starts_with('<'))
            .collect();
        let header: Vec<String> = self
            .header
            .iter()
            .map(|text| text.trim_start_matches('<').to_owned())
            .collect();
        let lines = || std::iter::once(&header).chain(&self.rows);
        let width = |column: usize| {
            let cells = lines().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        for (row, line) in lines().enumerate() {
            let cells = line
                .iter()
                .zip(&widths)
                .zip(&left)
                .map(|((cell, &width), &left)| {
                    if left {
                        format!("{cell:<width$}")
                    } else {
                        format!("{cell:>width$}")
                    }
                });
            say(format!("   {}", cells.collect::<Vec<_>>().join("  ")).trim_end())?;
            if row == 0 {
                let total: usize = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
                say(&format!("   {}", "─".repeat(total)))?;
            }
        }
        Ok(())
    }
}

/// A number with so many decimals; a dash where there is none.
pub(crate) fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
}

/// A number with so many decimals and its sign; a dash where there is none.
pub(crate) fn signed(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:+.decimals$}"))
}

/// A rank; a dash where there is none.
pub(crate) fn rank(value: Option<i32>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}
