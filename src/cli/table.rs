//! Columns of text, aligned by their widest cell. Pure.

/// Rows of cells under a header. The last column is as wide as it likes.
#[derive(Clone, Debug)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Between two columns.
const GAP: usize = 2;

impl Table {
    /// A table with these columns.
    pub fn new(header: impl IntoIterator<Item = &'static str>) -> Table {
        Table { header: header.into_iter().map(str::to_owned).collect(), rows: Vec::new() }
    }

    /// Appends a row, a cell for each column.
    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.header.len());
        self.rows.push(cells);
    }

    /// Columns that the widest line takes.
    pub fn width(&self) -> usize {
        let widths = self.widths();
        widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
    }

    /// The header, then each row, aligned, without trailing spaces; `paint` sees each padded cell with
    /// its row (`None`: the header) and column.
    pub fn lines(&self, paint: impl Fn(Option<usize>, usize, &str) -> String) -> Vec<String> {
        let widths = self.widths();
        let line = |row: Option<usize>, cells: &[String]| {
            let mut text = String::new();
            for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                let last = column + 1 == cells.len();
                text += &paint(row, column, cell);
                if !last {
                    text += &" ".repeat(width - length(cell) + GAP);
                }
            }
            text.trim_end().to_owned()
        };
        let rows = self.rows.iter().enumerate().map(|(index, cells)| line(Some(index), cells));
        std::iter::once(line(None, &self.header)).chain(rows).collect()
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.header.iter().map(|cell| length(cell)).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(length(cell));
            }
        }
        widths
    }
}

/// Columns that a text takes. Our words are Latin; what services print is never in a table.
pub fn length(text: &str) -> usize {
    text.chars().count()
}

/// The text, or its beginning and `…` when it is longer than `width`.
pub fn shorten(text: &str, width: usize) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["NAME", "X", "LAST"]);
        table.row(vec!["a".into(), "12345".into(), "-".into()]);
        table.row(vec!["longer".into(), "1".into(), String::new()]);
        let lines = table.lines(|_, _, cell| cell.to_owned());
        assert_eq!(lines, ["NAME    X      LAST", "a       12345  -", "longer  1"]);
        assert_eq!(table.width(), 19);
    }

    #[test]
    fn a_long_text_says_that_it_goes_on() {
        assert_eq!(shorten("abcdef", 6), "abcdef");
        assert_eq!(shorten("abcdefg", 6), "abcde…");
    }
}
