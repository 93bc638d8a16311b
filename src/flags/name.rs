//! Names of flags, packed into cells of eight bytes so that they compare and hash without allocation.

use std::fmt;
use std::str::FromStr;

/// The longest name, and the longest salt, in bytes.
pub const NAME_MAX: usize = 128;

/// Cells that a name or a salt fills at most.
pub const NAME_CELLS: usize = NAME_MAX / 8;

/// The name of a flag: 1 to [`NAME_MAX`] bytes of `[A-Za-z0-9._-]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name(Packed);

/// Up to [`NAME_MAX`] bytes, eight in each cell, the first byte lowest, zeros behind the last.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Packed {
    length: u8,
    cells: [u64; NAME_CELLS],
}

/// Text that is no name of a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAName {
    /// Nothing, or more than [`NAME_MAX`] bytes: how many.
    Length(usize),
    /// A character outside `[A-Za-z0-9._-]`, and the text.
    Character(char, String),
}

impl Name {
    /// The name that `text` is.
    ///
    /// # Errors
    /// It is too long, empty, or has a character that names cannot have.
    pub fn new(text: &str) -> Result<Name, NotAName> {
        let packed = Packed::new(text).filter(|_| !text.is_empty()).ok_or(NotAName::Length(text.len()))?;
        match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
            Some(wrong) => Err(NotAName::Character(wrong, text.to_owned())),
            None => Ok(Name(packed)),
        }
    }

    /// Its bytes in cells.
    #[inline]
    pub fn packed(&self) -> &Packed {
        &self.0
    }

    /// The name of these cells, when they hold one.
    pub fn from_packed(packed: Packed) -> Option<Name> {
        Name::new(&packed.text()?).ok()
    }
}

impl Packed {
    /// `text` in cells; `None` when it is longer than [`NAME_MAX`] bytes.
    #[inline]
    pub fn new(text: &str) -> Option<Packed> {
        let bytes = text.as_bytes();
        let length = u8::try_from(bytes.len()).ok().filter(|&l| usize::from(l) <= NAME_MAX)?;
        let mut cells = [0; NAME_CELLS];
        let (whole, rest) = bytes.as_chunks::<8>();
        for (cell, chunk) in cells.iter_mut().zip(whole) {
            *cell = u64::from_le_bytes(*chunk);
        }
        for (at, byte) in rest.iter().enumerate() {
            cells[whole.len()] |= u64::from(*byte) << (8 * at);
        }
        Some(Packed { length, cells })
    }

    /// What a file says: `length` bytes in `cells`; `None` when that cannot be.
    pub fn from_cells(length: u8, cells: [u64; NAME_CELLS]) -> Option<Packed> {
        (usize::from(length) <= NAME_MAX).then_some(Packed { length, cells })
    }

    /// How many bytes.
    #[inline]
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The cells that hold bytes.
    #[inline]
    pub fn used(&self) -> &[u64] {
        &self.cells[..usize::from(self.length).div_ceil(8)]
    }

    /// Its bytes, in `buffer`.
    pub fn copy_to<'a>(&self, buffer: &'a mut [u8; NAME_MAX]) -> &'a [u8] {
        for (bytes, cell) in buffer.as_chunks_mut::<8>().0.iter_mut().zip(self.used()) {
            *bytes = cell.to_le_bytes();
        }
        &buffer[..usize::from(self.length)]
    }

    /// The cell `at`; beyond the last, what zeros behind the bytes are.
    #[inline]
    pub fn cell(&self, at: usize) -> u64 {
        self.cells.get(at).copied().unwrap_or(0)
    }

    /// As text, in `buffer`; `None` when the bytes are no UTF-8. Allocates nothing.
    pub fn text_in<'a>(&self, buffer: &'a mut [u8; NAME_MAX]) -> Option<&'a str> {
        str::from_utf8(self.copy_to(buffer)).ok()
    }

    /// As text; `None` when the bytes are no UTF-8.
    pub fn text(&self) -> Option<String> {
        let mut buffer = [0; NAME_MAX];
        str::from_utf8(self.copy_to(&mut buffer)).ok().map(str::to_owned)
    }
}

// As text, wherever it is written down: no reader of it knows of cells.
impl serde::Serialize for Packed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text().unwrap_or_default())
    }
}

impl<'de> serde::Deserialize<'de> for Packed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Packed, D::Error> {
        let text = String::deserialize(deserializer)?;
        Packed::new(&text).ok_or_else(|| serde::de::Error::custom("more than 128 bytes"))
    }
}

impl bincode::Encode for Packed {
    fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        self.text().unwrap_or_default().encode(encoder)
    }
}

impl<Context> bincode::Decode<Context> for Packed {
    fn decode<D: bincode::de::Decoder<Context = Context>>(
        decoder: &mut D,
    ) -> Result<Packed, bincode::error::DecodeError> {
        let text = String::decode(decoder)?;
        Packed::new(&text).ok_or(bincode::error::DecodeError::Other("more than 128 bytes of text"))
    }
}

bincode::impl_borrow_decode!(Packed);

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Name, NotAName> {
        Name::new(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text().unwrap_or_default())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.text().unwrap_or_default())
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text().unwrap_or_default())
    }
}

impl fmt::Display for NotAName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAName::Length(0) => f.write_str("a flag's name cannot be empty"),
            NotAName::Length(bytes) => {
                write!(f, "a flag's name has at most {NAME_MAX} bytes, this one has {bytes}")
            }
            NotAName::Character(wrong, name) => {
                write!(
                    f,
                    "`{}` is no flag name: {wrong:?} is not one of A-Z a-z 0-9 . _ -",
                    name.escape_debug()
                )
            }
        }
    }
}

impl std::error::Error for NotAName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_from_its_cells() {
        for length in 1..=NAME_MAX {
            let text: String = ('a'..='z').cycle().take(length).collect();
            let name = Name::new(&text).unwrap();
            assert_eq!(name.to_string(), text);
            assert_eq!(name.packed().used().len(), length.div_ceil(8));
            assert_eq!(Name::from_packed(*name.packed()), Some(name));
        }
    }

    #[test]
    fn a_name_says_why_it_is_none() {
        assert_eq!(Name::new(""), Err(NotAName::Length(0)));
        assert_eq!(Name::new(&"x".repeat(129)), Err(NotAName::Length(129)));
        assert_eq!(Name::new("a b"), Err(NotAName::Character(' ', "a b".into())));
        assert_eq!(Name::new("é"), Err(NotAName::Character('é', "é".into())));
        assert_eq!(Name::new("a\0"), Err(NotAName::Character('\0', "a\0".into())));
    }
}
