//! Text in a record: a name and what was said with it, packed into cells without allocating; and taken out of them
//! again, when they are anybody's.

use crate::mapped::proof::cell_of;
use std::fmt::{self, Write};

/// Something that is said with a span, an event or a context: text as it is, numbers as they are written.
///
/// Everything that is `Display` goes through `format_args!("{value}")`.
pub trait Value {
    /// Appends it. What finds no room is cut off, between two characters.
    fn write(&self, text: &mut Text<'_>);
}

/// Where text is written to: of a fixed size, so that it never allocates and never fails.
#[derive(Debug)]
pub struct Text<'a> {
    bytes: &'a mut [u8],
    length: usize,
    cut: bool,
}

impl<'a> Text<'a> {
    /// Empty, with room for as much as `bytes` takes.
    #[inline]
    pub fn new(bytes: &'a mut [u8]) -> Text<'a> {
        Text { bytes, length: 0, cut: false }
    }

    /// Appends it, or as much of it as there is room for.
    #[inline]
    pub fn push(&mut self, text: &str) {
        let start = self.length;
        // Apart from what is cut, so that the length of a literal is known where it is copied.
        match self.bytes.get_mut(start..start + text.len()) {
            Some(room) => {
                room.copy_from_slice(text.as_bytes());
                self.length += text.len();
            }
            None => self.push_some(text),
        }
    }

    #[cold]
    fn push_some(&mut self, text: &str) {
        let (start, taken) = (self.length, floor(text, self.bytes.len() - self.length));
        self.bytes[start..start + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.length += taken;
        self.cut = true;
        // Nothing shorter that comes later goes behind what was cut.
        self.bytes = &mut std::mem::take(&mut self.bytes)[..start + taken];
    }

    /// How many bytes were written.
    #[inline]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Nothing was.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Something found no room.
    #[inline]
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

/// The longest beginning of at most so many bytes that ends between two characters.
fn floor(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

impl Value for str {
    #[inline]
    fn write(&self, text: &mut Text<'_>) {
        text.push(self);
    }
}

impl Value for String {
    #[inline]
    fn write(&self, text: &mut Text<'_>) {
        text.push(self);
    }
}

impl Value for bool {
    #[inline]
    fn write(&self, text: &mut Text<'_>) {
        text.push(if *self { "true" } else { "false" });
    }
}

impl Value for fmt::Arguments<'_> {
    fn write(&self, text: &mut Text<'_>) {
        // Text takes everything; a `Display` that fails by itself has said what it could.
        let _ = text.write_fmt(*self);
    }
}

impl<V: Value + ?Sized> Value for &V {
    #[inline]
    fn write(&self, text: &mut Text<'_>) {
        (**self).write(text);
    }
}

macro_rules! whole_numbers {
    ($($kind:ty)*) => {$(
        impl Value for $kind {
            #[inline]
            fn write(&self, text: &mut Text<'_>) {
                #[allow(unused_comparisons)] // Half of them have no sign.
                if *self < 0 {
                    text.push("-");
                }
                digits(self.unsigned_abs_value(), text);
            }
        }
    )*};
}

/// The distance from 0, for every kind of whole number.
trait UnsignedAbs {
    fn unsigned_abs_value(self) -> u64;
}

macro_rules! unsigned_abs {
    ($($signed:ty, $unsigned:ty;)*) => {$(
        impl UnsignedAbs for $signed {
            #[inline]
            fn unsigned_abs_value(self) -> u64 {
                self.unsigned_abs() as u64
            }
        }

        impl UnsignedAbs for $unsigned {
            #[inline]
            fn unsigned_abs_value(self) -> u64 {
                self as u64
            }
        }
    )*};
}

unsigned_abs! { i8, u8; i16, u16; i32, u32; i64, u64; isize, usize; }
whole_numbers! { i8 u8 i16 u16 i32 u32 i64 u64 isize usize }

/// A third of the time that `format!`'s machinery takes.
#[inline]
fn digits(mut number: u64, text: &mut Text<'_>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.push(str::from_utf8(&digits[at..]).unwrap_or_default());
}

macro_rules! displayed {
    ($($kind:ty)*) => {$(
        impl Value for $kind {
            fn write(&self, text: &mut Text<'_>) {
                format_args!("{self}").write(text);
            }
        }
    )*};
}

displayed! { f32 f64 char u128 i128 }

/// A name and pairs of keys and values, in at most `BYTES` bytes: the name, then for each pair the lengths of key and
/// value in a byte each, the key, the value.
#[derive(Clone, Copy, Debug)]
pub struct Packed<const BYTES: usize> {
    bytes: [u8; BYTES],
    length: u16,
    name: u8,
    cut: bool,
}

impl<const BYTES: usize> Packed<BYTES> {
    /// Nothing at all.
    pub const EMPTY: Packed<BYTES> = Packed { bytes: [0; BYTES], length: 0, name: 0, cut: false };

    /// Only a name yet, of which 255 bytes are kept.
    #[inline]
    pub fn new(name: &str) -> Packed<BYTES> {
        let mut packed = Packed { bytes: [0; BYTES], length: 0, name: 0, cut: false };
        packed.set_name(name);
        packed
    }

    /// [`EMPTY`](Self::EMPTY), made in place.
    #[inline(always)]
    pub fn empty() -> Packed<BYTES> {
        Packed { bytes: [0; BYTES], length: 0, name: 0, cut: false }
    }

    /// The same in place, of one that is empty.
    #[inline]
    pub fn set_name(&mut self, name: &str) {
        let mut text = Text::new(&mut self.bytes[..BYTES.min(255)]);
        text.push(name);
        (self.length, self.name, self.cut) = (text.len() as u16, text.len() as u8, text.is_cut());
    }

    /// What was packed by [`new`](Self::new) and [`add`](Self::add), as its bytes and its marks say.
    #[inline]
    pub(super) fn of(bytes: [u8; BYTES], marks: Marks) -> Packed<BYTES> {
        let length = (marks.length as usize).min(BYTES);
        let name = marks.name.min(length.min(255) as u8);
        Packed { bytes, length: length as u16, name, cut: marks.cut }
    }

    /// Appends a pair. Keys and values that are longer than the room, or than 255 bytes, are cut off.
    #[inline]
    pub fn add(&mut self, key: &str, value: &(impl Value + ?Sized)) {
        let start = self.length as usize;
        if start + 2 + key.len() > BYTES || key.len() > 255 {
            self.cut = true;
            return;
        }
        let at = start + 2 + key.len();
        self.bytes[start + 2..at].copy_from_slice(key.as_bytes());
        let mut text = Text::new(&mut self.bytes[at..BYTES.min(at + 255)]);
        value.write(&mut text);
        let (length, cut) = (text.len(), text.is_cut());
        self.bytes[start] = key.len() as u8;
        self.bytes[start + 1] = length as u8;
        self.length = (at + length) as u16;
        self.cut |= cut;
    }

    /// Appends a value without a key, after a name.
    #[inline]
    pub fn append(&mut self, value: &(impl Value + ?Sized)) {
        let mut text = Text::new(&mut self.bytes[self.length as usize..]);
        value.write(&mut text);
        let (length, cut) = (text.len(), text.is_cut());
        self.length += length as u16;
        self.cut |= cut;
    }

    /// Only a name, of which so many bytes are kept.
    pub fn of_name(name: &str, most: usize) -> Packed<BYTES> {
        Packed::of_name_value(name, most)
    }

    /// The same of a value.
    pub fn of_name_value(name: &(impl Value + ?Sized), most: usize) -> Packed<BYTES> {
        let mut packed = Packed::EMPTY;
        let mut text = Text::new(&mut packed.bytes[..most.min(BYTES).min(255)]);
        name.write(&mut text);
        (packed.length, packed.name, packed.cut) = (text.len() as u16, text.len() as u8, text.is_cut());
        packed
    }

    /// The value of a key; empty when there is none.
    pub fn value(&self, key: &str) -> &str {
        let mut rest = &self.bytes[self.name as usize..self.length as usize];
        while let [key_length, length, packed @ ..] = rest {
            let (this, packed) = packed.split_at(*key_length as usize);
            let (value, after) = packed.split_at(*length as usize);
            if this == key.as_bytes() {
                return str::from_utf8(value).unwrap_or_default();
            }
            rest = after;
        }
        ""
    }

    /// The name and all pairs, as clean text.
    pub fn unpacked(&self) -> (String, Vec<(String, String)>) {
        unpack(
            &self.bytes.as_chunks::<8>().0.iter().map(|cell| u64::from_le_bytes(*cell)).collect::<Vec<_>>(),
            self.marks(),
        )
    }

    /// The name.
    #[inline]
    pub fn name_bytes(&self) -> &[u8] {
        &self.bytes[..self.name as usize]
    }

    /// The name, and what was appended to it, as clean text.
    pub fn halves(&self) -> (String, String) {
        let (name, rest) = self.bytes[..self.length as usize].split_at(self.name as usize);
        (clean(name), clean(rest))
    }

    /// How long it all is, how long the name, and whether something found no room.
    #[inline]
    pub(super) fn marks(&self) -> Marks {
        Marks { length: self.length, name: self.name, cut: self.cut }
    }

    /// How many cells it fills.
    #[inline]
    pub(super) fn cells(&self) -> usize {
        (self.length as usize).div_ceil(8)
    }

    /// One of these cells.
    #[inline]
    pub(super) fn cell(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes.as_chunks::<8>().0[at])
    }
}

/// A name of which nothing more is said, as [`Packed::new`] packs it, without a copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bare<'a>(&'a [u8]);

impl<'a> Bare<'a> {
    /// `None`: it is longer than so many bytes, or than a name can be.
    #[inline(always)]
    pub(super) fn new(name: &'a str, most: usize) -> Option<Bare<'a>> {
        (name.len() <= most && name.len() <= 255).then_some(Bare(name.as_bytes()))
    }

    /// As those of [`Packed`].
    #[inline(always)]
    pub(super) fn marks(self) -> Marks {
        Marks { length: self.0.len() as u16, name: self.0.len() as u8, cut: false }
    }

    /// How many cells it fills.
    #[inline(always)]
    pub(super) fn cells(self) -> usize {
        self.0.len().div_ceil(8)
    }

    /// One of these cells.
    #[inline(always)]
    pub(super) fn cell(self, at: usize) -> u64 {
        cell_of(self.0, at)
    }
}

/// What is said of packed text in a record's own cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) length: u16,
    pub(super) name: u8,
    pub(super) cut: bool,
}

impl Marks {
    /// The lower 32 bits of a record's own cell.
    #[inline]
    pub(super) const fn bits(self) -> u64 {
        self.length as u64 | (self.name as u64) << 16 | (self.cut as u64) << 24
    }

    #[inline]
    pub(super) const fn of(bits: u64) -> Marks {
        Marks { length: bits as u16, name: (bits >> 16) as u8, cut: bits >> 24 & 1 == 1 }
    }
}

/// What was packed: the name, and the pairs. Of anybody's bytes: as many whole pairs as there are, every text clean.
pub(super) fn unpack(cells: &[u64], marks: Marks) -> (String, Vec<(String, String)>) {
    let bytes = bytes(cells, marks.length as usize);
    let (name, mut rest) = bytes.split_at((marks.name as usize).min(bytes.len()));
    let mut pairs = Vec::new();
    while let [key, value, packed @ ..] = rest {
        let (key, value) = (*key as usize, *value as usize);
        let (Some(key_bytes), Some(value_bytes)) = (packed.get(..key), packed.get(key..key + value)) else {
            break;
        };
        pairs.push((clean(key_bytes), clean(value_bytes)));
        rest = &packed[key + value..];
    }
    (clean(name), pairs)
}

/// The first `length` bytes of these cells, or as many as there are.
pub(super) fn bytes(cells: &[u64], length: usize) -> Vec<u8> {
    cells[..length.div_ceil(8).min(cells.len())]
        .iter()
        .flat_map(|cell| cell.to_le_bytes())
        .take(length)
        .collect()
}

/// As text that does nothing to a terminal, a log or a reader: what is no UTF-8, controls, and characters that turn the
/// direction of writing or cannot be seen are replaced by `U+FFFD`.
pub fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .map(|c| if c.is_control() || is_treacherous(c) { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

/// Bytes as [`clean`] text that were padded with zeros.
pub(crate) fn clean_padded(bytes: &[u8]) -> String {
    clean(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
}

fn is_treacherous(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked<const BYTES: usize>(packed: &Packed<BYTES>) -> (String, Vec<(String, String)>) {
        let cells: Vec<u64> = (0..packed.cells()).map(|at| packed.cell(at)).collect();
        unpack(&cells, Marks::of(packed.marks().bits()))
    }

    #[track_caller]
    fn check_value(value: impl Value, expected: &str) {
        let mut packed = Packed::<64>::new("n");
        packed.add("k", &value);
        assert_eq!(unpacked(&packed).1, [("k".to_owned(), expected.to_owned())]);
    }

    #[test]
    fn every_kind_of_value_reads_as_it_is_written() {
        check_value("text", "text");
        check_value("text".to_owned(), "text");
        check_value(true, "true");
        check_value(0u8, "0");
        check_value(-128i8, "-128");
        check_value(i64::MIN, "-9223372036854775808");
        check_value(u64::MAX, "18446744073709551615");
        check_value(-1.5, "-1.5");
        check_value('x', "x");
        check_value(u128::MAX, "340282366920938463463374607431768211455");
        check_value(format_args!("{}-{}", 1, 2), "1-2");
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let mut packed = Packed::<64>::new("order");
        packed.add("id", "A-1042");
        packed.add("", "");
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(unpacked(&packed), ("order".to_owned(), vec![pair("id", "A-1042"), pair("", "")]));
        assert!(!packed.marks().cut);
    }

    #[test]
    fn a_bare_name_is_packed_alike_without_a_copy() {
        for length in [0, 1, 7, 8, 9, 63, 72, 254, 255] {
            let name: String = ('a'..='z').cycle().take(length).collect();
            let (bare, packed) = (Bare::new(&name, 384).unwrap(), Packed::<384>::new(&name));
            assert_eq!((bare.marks(), bare.cells()), (packed.marks(), packed.cells()));
            (0..bare.cells()).for_each(|at| assert_eq!(bare.cell(at), packed.cell(at), "{length}, {at}"));
        }
        assert!(Bare::new("ninebytes", 8).is_none() && Bare::new(&"x".repeat(256), 384).is_none());
    }

    #[test]
    fn what_finds_no_room_is_cut_between_characters_and_said_to_be() {
        let name = Packed::<8>::new("ordäää");
        assert_eq!((unpacked(&name).0.as_str(), name.marks().cut), ("ordää", true));
        let mut value = Packed::<16>::new("o");
        value.add("key", "äääääääää");
        assert_eq!(unpacked(&value).1, [("key".to_owned(), "äääää".to_owned())]);
        assert!(value.marks().cut);
        value.add("k", "v");
        assert_eq!(unpacked(&value).1.len(), 1, "no room for another");
        let long = "x".repeat(300);
        let mut wide = Packed::<384>::new(&long);
        wide.add("k", long.as_str());
        assert_eq!(unpacked(&wide).0.len(), 255);
        assert_eq!(unpacked(&wide).1[0].1.len(), 384 - 255 - 3);
    }

    #[test]
    fn a_piece_that_was_cut_is_the_last() {
        let mut bytes = [0; 8];
        let mut text = Text::new(&mut bytes);
        text.push("1234567ä");
        text.push("8");
        assert_eq!((text.len(), text.is_cut()), (7, true));
    }

    #[test]
    fn any_bytes_unpack_to_clean_text() {
        let mut random = 1;
        for _ in 0..10_000 {
            let cells: Vec<u64> = (0..8)
                .map(|_| {
                    random = crate::flags::mix(random + 1);
                    random
                })
                .collect();
            let (name, pairs) = unpack(&cells, Marks::of(cells[7]));
            assert!(name.len() <= 3 * 64 && pairs.len() <= 32);
            for text in pairs.iter().flat_map(|(key, value)| [key, value]).chain([&name]) {
                assert!(!text.chars().any(|c| c.is_control() || is_treacherous(c)), "{text:?}");
            }
        }
        assert_eq!(clean(b"a\x1b[2J\xff\xe2\x80\xae\n"), "a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}");
    }
}
