//! The Huffman code of HPACK: RFC 7541, appendix B.

/// Bits of the code of each byte. The code is canonical: codes of one length follow each other in the order of their
/// bytes, the shorter lengths first; so the lengths say everything. The end of a string (256) has 30 bits, too.
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26,
];

/// Longest code.
const LONGEST: usize = 30;

/// Codes by length: the first code of each length, how many there are, and where their bytes begin in `BYTES`.
const TABLE: [(u32, u32, u8); LONGEST + 1] = table();
/// All bytes in the order of their codes.
const BYTES: [u8; 256] = bytes();

const fn table() -> [(u32, u32, u8); LONGEST + 1] {
    let mut table = [(0, 0, 0); LONGEST + 1];
    let (mut code, mut place, mut length) = (0_u32, 0_u32, 1);
    while length <= LONGEST {
        code <<= 1;
        let mut count = 0;
        let mut byte = 0;
        while byte < 256 {
            if LENGTHS[byte] as usize == length {
                count += 1;
            }
            byte += 1;
        }
        table[length] = (code, count, (place & 255) as u8);
        code += count;
        place += count;
        length += 1;
    }
    table
}

const fn bytes() -> [u8; 256] {
    let mut bytes = [0; 256];
    let (mut place, mut length) = (0, 1);
    while length <= LONGEST {
        let mut byte = 0;
        while byte < 256 {
            if LENGTHS[byte] as usize == length {
                bytes[place] = byte as u8;
                place += 1;
            }
            byte += 1;
        }
        length += 1;
    }
    bytes
}

/// Undoes the code; at most eight fifths as many bytes come out. `None` where it holds what is no code.
pub(super) fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(coded.len() * 8 / 5);
    let (mut code, mut length) = (0_u32, 0_usize);
    for byte in coded {
        for place in (0..8).rev() {
            code = code << 1 | u32::from(byte >> place & 1);
            length += 1;
            let (first, count, start) = *TABLE.get(length)?;
            if let Some(offset) = code.checked_sub(first)
                && offset < count
            {
                plain.push(BYTES[(usize::from(start) + offset as usize) & 255]);
                (code, length) = (0, 0);
            }
        }
    }
    // What is left over fills the last byte: fewer than eight bits, all ones.
    (length < 8 && code == (1 << length) - 1).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_complete() {
        // Kraft's sum, with the end of a string.
        let sum: u64 = LENGTHS
            .iter()
            .map(|length| 1_u64 << (LONGEST as u8 - length))
            .sum();
        assert_eq!(sum + 1, 1 << LONGEST);
    }

    #[test]
    fn examples_of_the_standard() {
        // RFC 7541, C.4.1 to C.4.3 and C.6.1.
        let examples: [(&[u8], &str); 5] = [
            (
                &[
                    0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
                ],
                "www.example.com",
            ),
            (&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], "no-cache"),
            (&[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f], "custom-key"),
            (
                &[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf],
                "custom-value",
            ),
            (&[0xae, 0xc3, 0x77, 0x1a, 0x4b], "private"),
        ];
        for (coded, plain) in examples {
            assert_eq!(decode(coded).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(decode(&[0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(decode(&[0x00]), None);
    }
}
