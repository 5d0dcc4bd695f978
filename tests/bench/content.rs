//! Bytes of any amount that a seed fixes: text as of letters and tables, noise as of pictures, and
//! both in turn as in many PDF files.

const BLOCK_BYTES: usize = 64 * 1024;

const WORDS: [&str; 24] = [
    "bulletin",
    "salaire",
    "cotisation",
    "2026-03-31",
    "1 842,07",
    "net",
    "à",
    "payer",
    "congés",
    "employeur",
    "Lefèvre",
    "contrat",
    "durée",
    "heures",
    "35,00",
    ";",
    "article",
    "du",
    "code",
    "travail",
    "prime",
    "total",
    "le",
    "référence",
];

/// What a content is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Deflates to a third.
    Text,
    /// Does not deflate.
    Noise,
    /// Half and half.
    Mixed,
}

/// A content, block after block.
pub(crate) struct Content {
    kind: Kind,
    state: u64,
    left: u64,
}

impl Content {
    pub(crate) fn new(kind: Kind, seed: u64, size_bytes: u64) -> Self {
        Self {
            kind,
            state: seed,
            left: size_bytes,
        }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    fn noise(&mut self, block: &mut Vec<u8>, end: usize) {
        while block.len() < end {
            block.extend_from_slice(&self.draw().to_le_bytes());
        }
    }

    fn text(&mut self, block: &mut Vec<u8>, end: usize) {
        while block.len() < end {
            let bits = self.draw();
            for shift in [0, 8, 16, 24, 32] {
                let word = WORDS[(bits >> shift) as u8 as usize % WORDS.len()];
                block.extend_from_slice(word.as_bytes());
                block.push(b' ');
            }
            block.extend_from_slice(format!("{:05}\n", bits >> 48).as_bytes());
        }
    }
}

impl Iterator for Content {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.left == 0 {
            return None;
        }
        let mut block = Vec::with_capacity(BLOCK_BYTES + 256);
        match self.kind {
            Kind::Text => self.text(&mut block, BLOCK_BYTES),
            Kind::Noise => self.noise(&mut block, BLOCK_BYTES),
            Kind::Mixed => {
                for step in 0..4 {
                    self.text(&mut block, (2 * step + 1) * BLOCK_BYTES / 8);
                    self.noise(&mut block, (2 * step + 2) * BLOCK_BYTES / 8);
                }
            }
        }
        let size = usize::try_from(self.left).map_or(BLOCK_BYTES, |left| left.min(BLOCK_BYTES));
        block.truncate(size);
        self.left -= size as u64;
        Some(block)
    }
}
