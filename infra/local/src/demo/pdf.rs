//! A tiny writer of PDF: A4 pages of text in the standard Helvetica faces, rules and boxes.
//! Source: ISO 32000-1 (PDF 1.7), of which only what PDF 1.4 has is written: every reader opens it.

use std::fmt::Write as _;

use jiff::civil::Date;
use oubli_domain::language::Language;

/// Width of an A4 page, in points.
pub(super) const PAGE_WIDTH: f32 = 595.0;
/// Height of an A4 page, in points.
pub(super) const PAGE_HEIGHT: f32 = 842.0;

/// A face of the standard fonts, which every reader has: nothing is embedded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    Regular,
    Bold,
    Oblique,
}

impl Face {
    const ALL: [Self; 3] = [Self::Regular, Self::Bold, Self::Oblique];

    fn resource(self) -> &'static str {
        match self {
            Self::Regular => "F1",
            Self::Bold => "F2",
            Self::Oblique => "F3",
        }
    }

    fn base_font(self) -> &'static str {
        match self {
            Self::Regular => "Helvetica",
            Self::Bold => "Helvetica-Bold",
            Self::Oblique => "Helvetica-Oblique",
        }
    }
}

/// One page: the origin is its lower left corner, lengths are points.
#[derive(Debug, Default)]
pub(super) struct Page {
    content: Vec<u8>,
}

impl Page {
    /// Text that begins at `x`.
    pub(super) fn text(&mut self, face: Face, size: f32, x: f32, y: f32, text: &str) {
        self.operator(&format!("BT /{} {size} Tf {x:.2} {y:.2} Td ", face.resource()));
        push_literal(&mut self.content, &win_ansi(text));
        self.operator(" Tj ET\n");
    }

    /// Text that ends at `x`.
    pub(super) fn text_ending(&mut self, face: Face, size: f32, x: f32, y: f32, text: &str) {
        self.text(face, size, x - width(text, size), y, text);
    }

    /// Paragraph of at most `max_width`, its first line at `y`; gives the line below it.
    pub(super) fn paragraph(&mut self, size: f32, x: f32, y: f32, max_width: f32, text: &str) -> f32 {
        let mut y = y;
        for line in wrap(text, size, max_width) {
            self.text(Face::Regular, size, x, y, &line);
            y -= size * 1.4;
        }
        y
    }

    /// A horizontal rule.
    pub(super) fn rule(&mut self, from_x: f32, to_x: f32, y: f32) {
        self.operator(&format!("0.6 w {from_x:.2} {y:.2} m {to_x:.2} {y:.2} l S\n"));
    }

    /// A box of a light colour, behind what is written after it.
    pub(super) fn shade(&mut self, x: f32, y: f32, width: f32, height: f32) {
        self.operator(&format!(
            "q 0.9 0.93 0.97 rg {x:.2} {y:.2} {width:.2} {height:.2} re f Q\n"
        ));
    }

    fn operator(&mut self, text: &str) {
        self.content.extend_from_slice(text.as_bytes());
    }
}

/// A whole document.
#[derive(Debug)]
pub(super) struct Pdf {
    /// Shown by readers in the title bar.
    pub(super) title: String,
    /// Who wrote it.
    pub(super) author: String,
    /// The language of the text.
    pub(super) language: Language,
    /// When it was written.
    pub(super) written_on: Date,
    /// Its pages, in order.
    pub(super) pages: Vec<Page>,
}

/// Objects that stand before the pages: catalogue, page tree, information and the fonts.
const FIRST_PAGE_OBJECT: usize = 4 + Face::ALL.len();

impl Pdf {
    /// The bytes of the file; the same document gives the same bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mut file = File::new();
        file.object(
            format!(
                "<< /Type /Catalog /Pages 2 0 R /Lang ({}) >>",
                self.language.code()
            )
            .as_bytes(),
        );

        let page_number = |index: usize| FIRST_PAGE_OBJECT + 2 * index;
        let mut kids = String::new();
        for index in 0..self.pages.len() {
            // Writing to a `String` cannot fail.
            let _ = write!(kids, "{} 0 R ", page_number(index));
        }
        let count = self.pages.len();
        file.object(format!("<< /Type /Pages /Kids [ {kids}] /Count {count} >>").as_bytes());

        let date = format!("(D:{}090000Z)", self.written_on.strftime("%Y%m%d"));
        let (title, author) = (utf16_hex(&self.title), utf16_hex(&self.author));
        file.object(
            format!("<< /Title {title} /Author {author} /Producer (Oubli demo) /CreationDate {date} >>")
                .as_bytes(),
        );

        let mut fonts = String::new();
        for (index, face) in Face::ALL.into_iter().enumerate() {
            let _ = write!(fonts, "/{} {} 0 R ", face.resource(), 4 + index);
            file.object(
                format!(
                    "<< /Type /Font /Subtype /Type1 /BaseFont /{} /Encoding /WinAnsiEncoding >>",
                    face.base_font()
                )
                .as_bytes(),
            );
        }
        for (index, page) in self.pages.into_iter().enumerate() {
            file.object(
                format!(
                    "<< /Type /Page /Parent 2 0 R /MediaBox [ 0 0 {PAGE_WIDTH} {PAGE_HEIGHT} ] \
                     /Resources << /Font << {fonts}>> >> /Contents {} 0 R >>",
                    page_number(index) + 1
                )
                .as_bytes(),
            );
            let mut stream = format!("<< /Length {} >>\nstream\n", page.content.len()).into_bytes();
            stream.extend_from_slice(&page.content);
            stream.extend_from_slice(b"\nendstream");
            file.object(&stream);
        }
        file.finish()
    }
}

/// The file as it grows, with the place of every object for the cross-reference table.
struct File {
    bytes: Vec<u8>,
    offsets: Vec<usize>,
}

impl File {
    fn new() -> Self {
        // The comment of bytes above 127 tells transfer programs that this is not text (7.5.2).
        Self {
            bytes: b"%PDF-1.4\n%\xE2\xE3\xCF\xD3\n".to_vec(),
            offsets: Vec::new(),
        }
    }

    fn object(&mut self, body: &[u8]) {
        self.offsets.push(self.bytes.len());
        self.bytes
            .extend_from_slice(format!("{} 0 obj\n", self.offsets.len()).as_bytes());
        self.bytes.extend_from_slice(body);
        self.bytes.extend_from_slice(b"\nendobj\n");
    }

    /// Cross-reference table (7.5.4: entries of exactly 20 bytes) and trailer.
    fn finish(mut self) -> Vec<u8> {
        let table_at = self.bytes.len();
        let size = self.offsets.len() + 1;
        let mut end = format!("xref\n0 {size}\n0000000000 65535 f \n");
        for offset in self.offsets {
            let _ = writeln!(end, "{offset:010} 00000 n ");
        }
        let _ = write!(
            end,
            "trailer\n<< /Size {size} /Root 1 0 R /Info 3 0 R >>\nstartxref\n{table_at}\n%%EOF\n"
        );
        self.bytes.extend_from_slice(end.as_bytes());
        self.bytes
    }
}

/// A literal string (7.3.4.2).
fn push_literal(content: &mut Vec<u8>, text: &[u8]) {
    content.push(b'(');
    for &byte in text {
        if matches!(byte, b'(' | b')' | b'\\') {
            content.push(b'\\');
        }
        content.push(byte);
    }
    content.push(b')');
}

/// A text string of the information dictionary: UTF-16BE with its mark (7.9.2.2), in hexadecimal.
fn utf16_hex(text: &str) -> String {
    let mut hex = String::from("<FEFF");
    for unit in text.encode_utf16() {
        let _ = write!(hex, "{unit:04X}");
    }
    hex.push('>');
    hex
}

/// The text in WinAnsiEncoding (annex D.2). What it does not have becomes `?`; a test holds that
/// the demo data never needs that.
fn win_ansi(text: &str) -> Vec<u8> {
    text.chars().map(|c| win_ansi_byte(c).unwrap_or(b'?')).collect()
}

/// A character's code in WinAnsiEncoding, if it has one.
pub(super) fn win_ansi_byte(c: char) -> Option<u8> {
    match c {
        ' '..='~' | '\u{a0}'..='ÿ' => u8::try_from(u32::from(c)).ok(),
        '€' => Some(0x80),
        '…' => Some(0x85),
        'Œ' => Some(0x8C),
        '‘' => Some(0x91),
        '’' => Some(0x92),
        '“' => Some(0x93),
        '”' => Some(0x94),
        '•' => Some(0x95),
        '–' => Some(0x96),
        '—' => Some(0x97),
        'œ' => Some(0x9C),
        'Ÿ' => Some(0x9F),
        _ => None,
    }
}

/// Breaks a text at its spaces into lines of at most `max_width` points; French quotation marks
/// stay with what they quote.
fn wrap(text: &str, size: f32, max_width: f32) -> Vec<String> {
    let text = text.replace("« ", "«\u{a0}").replace(" »", "\u{a0}»");
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let longer = if line.is_empty() {
            word.to_owned()
        } else {
            format!("{line} {word}")
        };
        if width(&longer, size) > max_width && !line.is_empty() {
            lines.push(std::mem::replace(&mut line, word.to_owned()));
        } else {
            line = longer;
        }
    }
    lines.push(line);
    lines
}

/// How wide a text is in Helvetica, in points. Bold letters are a little wider, bold figures not.
pub(super) fn width(text: &str, size: f32) -> f32 {
    text.chars().map(advance).sum::<f32>() * size / 1000.0
}

/// A character's advance in thousandths of the size: Adobe's metrics of Helvetica, accented
/// letters as their base letter.
fn advance(c: char) -> f32 {
    match c {
        'i' | 'j' | 'l' | '’' | '‘' => 222.0,
        ' ' | '\u{a0}' | '!' | ',' | '.' | '/' | ':' | ';' | 'I' | 'Î' | 'Ï' | '[' | '\\' | ']' | 'f'
        | 't' | 'î' | 'ï' => 278.0,
        '(' | ')' | '-' | '`' | 'r' | '{' | '}' | '“' | '”' => 333.0,
        '\'' => 191.0,
        '"' | '•' => 355.0,
        '*' | '°' => 400.0,
        'c' | 'k' | 's' | 'v' | 'x' | 'y' | 'z' | 'ç' | 'J' => 500.0,
        '+' | '<' | '=' | '>' | '~' => 584.0,
        'F' | 'T' | 'Z' => 611.0,
        '&' | 'A' | 'B' | 'E' | 'K' | 'P' | 'S' | 'V' | 'X' | 'Y' | 'À'..='Å' | 'È'..='Ë' => 667.0,
        'C' | 'D' | 'H' | 'N' | 'R' | 'U' | 'w' | 'Ç' | 'Ù'..='Ü' => 722.0,
        'G' | 'O' | 'Q' | 'Ò'..='Ö' => 778.0,
        'm' | 'M' => 833.0,
        '%' => 889.0,
        'W' | 'œ' => 944.0,
        '—' | 'Œ' | '…' => 1000.0,
        '@' => 1015.0,
        _ => 556.0,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn sample() -> Pdf {
        let mut page = Page::default();
        page.text(Face::Bold, 12.0, 50.0, 700.0, "Reçu (n° 1) \\ œuvre – 10 €");
        let mut second = Page::default();
        second.rule(50.0, 100.0, 20.0);
        Pdf {
            title: "Reçu".into(),
            author: "A".into(),
            language: Language::Fr,
            written_on: jiff::civil::date(2026, 3, 31),
            pages: vec![page, second],
        }
    }

    #[test]
    fn the_cross_references_point_at_their_objects() {
        assert_eq!(check(&sample().into_bytes()), 10);
    }

    #[test]
    fn strings_are_escaped_and_in_win_ansi() {
        let bytes = sample().into_bytes();
        let wanted = b"(Re\xE7u \\(n\xB0 1\\) \\\\ \x9Cuvre \x96 10 \x80) Tj";
        assert!(bytes.windows(wanted.len()).any(|window| window == wanted));
        let title = b"/Title <FEFF0052006500E70075>";
        assert!(bytes.windows(title.len()).any(|window| window == title));
    }

    #[test]
    fn lines_break_at_spaces_and_keep_every_word() {
        let text = "Le présent contrat est conclu pour une durée « indéterminée » à compter du jour dit.";
        let lines = wrap(text, 10.0, 120.0);
        assert!(lines.len() > 2);
        assert!(lines.iter().all(|line| width(line, 10.0) <= 120.0));
        assert_eq!(lines.join(" ").replace('\u{a0}', " "), text);
        assert!(
            lines
                .iter()
                .any(|line| line.contains("«\u{a0}indéterminée\u{a0}»")),
            "{lines:?}"
        );
    }

    #[test]
    fn figures_have_their_published_width() {
        assert!((width("1 234,50", 10.0) - (6.0 * 5.56 + 2.0 * 2.78)).abs() < 0.001);
    }

    /// Reads a file as a strict reader does: from its end, over the table, to every object, and
    /// every stream's length. Gives how many objects there are.
    pub(in crate::demo) fn check(bytes: &[u8]) -> usize {
        assert!(bytes.starts_with(b"%PDF-1.4\n"));
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let at = |char_at: usize| text.chars().skip(char_at).take(200).collect::<String>();
        let (_, tail) = text.rsplit_once("startxref\n").unwrap();
        let table_at: usize = tail.strip_suffix("\n%%EOF\n").unwrap().parse().unwrap();
        let table: String = text.chars().skip(table_at).collect();
        let mut lines = table.strip_prefix("xref\n").unwrap().split_inclusive('\n');
        let count: usize = lines
            .next()
            .unwrap()
            .trim()
            .strip_prefix("0 ")
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(lines.next(), Some("0000000000 65535 f \n"));
        for number in 1..count {
            let line = lines.next().unwrap();
            assert_eq!(line.len(), 20);
            let offset: usize = line.strip_suffix(" 00000 n \n").unwrap().parse().unwrap();
            assert!(
                at(offset).starts_with(&format!("{number} 0 obj\n<<")),
                "object {number}"
            );
        }
        assert_eq!(lines.next(), Some("trailer\n"));
        assert!(
            lines
                .next()
                .unwrap()
                .contains(&format!("/Size {count} /Root 1 0 R"))
        );
        let mut streams = 0;
        for part in text.split("/Length ").skip(1) {
            let (length, rest) = part.split_once(" >>\nstream\n").unwrap();
            let content: String = rest.chars().take(length.parse().unwrap()).collect();
            assert!(
                rest.strip_prefix(&content)
                    .unwrap()
                    .starts_with("\nendstream\nendobj\n")
            );
            streams += 1;
        }
        assert_eq!(streams, text.matches("/Type /Page ").count());
        assert!(streams > 0);
        count - 1
    }
}
