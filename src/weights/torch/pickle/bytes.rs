//! The bytes of a pickle and the numbers and texts in them.

use super::{Step, damaged, refused};

/// Bytes with a place in them.
#[derive(Default)]
pub(super) struct Bytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub fn take(&mut self, n: usize) -> Step<&'a [u8]> {
        let end = self.at.checked_add(n);
        match end.and_then(|end| self.bytes.get(self.at..end)) {
            Some(taken) => {
                self.at += n;
                Ok(taken)
            }
            None => damaged(format!("the pickle is cut: expected {n} bytes more")),
        }
    }

    pub fn byte(&mut self) -> Step<u8> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    /// An unsigned number of `n` bytes, four at most, little-endian.
    pub fn number(&mut self, n: usize) -> Step<u32> {
        Ok(self.take(n)?.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    }

    /// LONG1: a length, then a two's complement number of so many bytes, little-endian.
    pub fn long(&mut self) -> Step<i64> {
        let n = self.byte()?;
        let bytes = self.take(n.into())?;
        if n > 8 {
            return refused(format!("a number of {n} bytes, expected at most 8"));
        }
        let negative = bytes.last().is_some_and(|byte| *byte >= 0x80);
        let mut whole = if negative { [0xFF; 8] } else { [0; 8] };
        whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(i64::from_le_bytes(whole))
    }

    pub fn text(&mut self, n: usize) -> Step<&'a str> {
        self.take(n).and_then(utf8)
    }

    /// The text up to the end of the line, which is passed over.
    pub fn line(&mut self) -> Step<&'a str> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let n = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = self.text(n)?;
        self.take(1)?;
        Ok(line)
    }
}

fn utf8(bytes: &[u8]) -> Step<&str> {
    std::str::from_utf8(bytes).or_else(|_| damaged("text that is not UTF-8"))
}
