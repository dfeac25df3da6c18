//! What a phone reads off the join page: its QR code is decoded here, from the picture to the text.

use crate::room::Served;
use std::path::Path;

/// The modules of a code, dark ones as true, without the quiet zone around them.
struct Code {
    size: usize,
    dark: Vec<bool>,
}

impl Code {
    /// Of the SVG that is served: rectangles of one path, `Mx yhWvHHxVy`.
    fn of(svg: &str) -> Self {
        let path = svg.split_once(" d=\"").unwrap().1.split_once('"').unwrap().0;
        let rectangles: Vec<[usize; 4]> = path
            .split('M')
            .filter(|part| !part.is_empty())
            .map(|part| {
                let numbers: Vec<usize> = part
                    .split(|c: char| !c.is_ascii_digit())
                    .filter(|digits| !digits.is_empty())
                    .map(|digits| digits.parse().unwrap())
                    .collect();
                [numbers[0], numbers[1], numbers[2], numbers[3]]
            })
            .collect();
        let [left, top, ..] = rectangles[0];
        let module = rectangles.iter().map(|[_, _, width, _]| *width).min().unwrap();
        let right = rectangles.iter().map(|[x, _, width, _]| x + width).max().unwrap();
        let size = (right - left) / module;
        let mut dark = vec![false; size * size];
        for [x, y, width, height] in rectangles {
            for row in 0..height / module {
                for col in 0..width / module {
                    dark[((y - top) / module + row) * size + (x - left) / module + col] = true;
                }
            }
        }
        Self { size, dark }
    }

    fn at(&self, row: usize, col: usize) -> bool {
        self.dark[row * self.size + col]
    }

    /// Whether a module is of a pattern that every code has.
    fn is_fixed(&self, row: usize, col: usize) -> bool {
        let far = self.size - 8;
        let finder = (row < 9 && (col < 9 || col >= far)) || (row >= far && col < 9);
        // Versions 2 to 6 have one alignment pattern.
        let near = self.size - 9..self.size - 4;
        finder || row == 6 || col == 6 || (self.size > 21 && near.contains(&row) && near.contains(&col))
    }

    /// Bits in the order in which they were written, without their mask. Error correction follows the data.
    fn bits(&self) -> Vec<bool> {
        // Bits 10 to 12 of the format, which is itself masked with 101010000010010.
        let mask = [(8, 2), (8, 3), (8, 4)]
            .iter()
            .fold(0, |mask, (row, col)| 2 * mask + u8::from(self.at(*row, *col)))
            ^ 0b101;
        let flips = |i: usize, j: usize| match mask {
            0 => (i + j).is_multiple_of(2),
            1 => i.is_multiple_of(2),
            2 => j.is_multiple_of(3),
            3 => (i + j).is_multiple_of(3),
            4 => (i / 2 + j / 3).is_multiple_of(2),
            5 => (i * j) % 2 + (i * j) % 3 == 0,
            6 => ((i * j) % 2 + (i * j) % 3).is_multiple_of(2),
            _ => ((i + j) % 2 + (i * j) % 3).is_multiple_of(2),
        };
        let mut bits = Vec::new();
        let mut up = true;
        // Pairs of columns from the right; the timing column is in no pair.
        for right in
            (0..self.size).rev().filter(|col| if *col > 6 { col.is_multiple_of(2) } else { col % 2 == 1 })
        {
            for step in 0..self.size {
                let row = if up { self.size - 1 - step } else { step };
                for col in [right, right - 1] {
                    if !self.is_fixed(row, col) {
                        bits.push(self.at(row, col) != flips(row, col));
                    }
                }
            }
            up = !up;
        }
        bits
    }

    /// The text, of a code whose data is one block: versions 1 to 3 but for their best error correction.
    fn text(&self) -> String {
        assert!(self.size <= 29, "a larger code than this test reads: {} modules", self.size);
        let bits = self.bits();
        let mut at = 0;
        let mut take = |count: usize| {
            at += count;
            bits[at - count..at].iter().fold(0_usize, |number, bit| 2 * number + usize::from(*bit))
        };
        let letters: Vec<char> = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:".chars().collect();
        let mut text = String::new();
        loop {
            match take(4) {
                0b0001 => {
                    let mut left = take(10);
                    while left > 0 {
                        let digits = left.min(3);
                        text += &format!("{:0digits$}", take([4, 7, 10][digits - 1]));
                        left -= digits;
                    }
                }
                0b0010 => {
                    let mut left = take(9);
                    while left > 1 {
                        let pair = take(11);
                        text.extend([letters[pair / 45], letters[pair % 45]]);
                        left -= 2;
                    }
                    if left == 1 {
                        text.push(letters[take(6)]);
                    }
                }
                0b0100 => {
                    let bytes = (0..take(8)).map(|_| u8::try_from(take(8)).unwrap()).collect();
                    text += &String::from_utf8(bytes).unwrap();
                }
                _ => return text,
            }
        }
    }
}

#[test]
fn the_code_is_the_address_that_stands_beside_it() {
    let www = Path::new(env!("CARGO_MANIFEST_DIR")).join("www");
    let room = Served::open("code", &www, &[]);
    let page = String::from_utf8(room.get("join", &[]).2).unwrap();
    let address = page.split_once("<p class=\"address\"><a href=\"").unwrap().1.split_once('"').unwrap().0;
    let code = Code::of(&String::from_utf8(room.get("join.svg", &[]).2).unwrap());
    assert_eq!(code.text(), address);
    assert_eq!(room.invitation.https[0], address);
    assert_eq!(room.get("join", &[]).0, 200, "and it leads here");
}
