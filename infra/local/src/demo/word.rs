//! A minimal Word document: Office Open XML with headings and paragraphs.
//! Source: ECMA-376, parts 1 and 2.

use std::io::{Cursor, Write as _};

use jiff::civil::Date;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// One paragraph, by its place in the text.
#[derive(Clone, Debug)]
pub(super) enum Paragraph {
    Title(String),
    Heading(String),
    Text(String),
}

/// A whole document.
#[derive(Clone, Debug)]
pub(super) struct WordDocument {
    /// In the properties.
    pub(super) title: String,
    /// In the properties.
    pub(super) author: String,
    /// The language of the text, as a BCP 47 tag.
    pub(super) language: &'static str,
    /// When it was written.
    pub(super) written_on: Date,
    /// The text.
    pub(super) paragraphs: Vec<Paragraph>,
}

/// The media type of [`WordDocument::to_bytes`].
pub(super) const MEDIA_TYPE: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

const PROLOGUE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const CONTENT_TYPES: &str = r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/><Override PartName="/word/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml"/><Override PartName="/docProps/core.xml" ContentType="application/vnd.openxmlformats-package.core-properties+xml"/></Types>"#;
const PACKAGE_RELATIONS: &str = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/><Relationship Id="rId2" Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties" Target="docProps/core.xml"/></Relationships>"#;
const DOCUMENT_RELATIONS: &str = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>"#;
const WORD: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";

impl WordDocument {
    /// The bytes of the file; the same document gives the same bytes.
    ///
    /// # Errors
    /// When the package cannot be written.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, ZipError> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default());
        let mut package = ZipWriter::new(Cursor::new(Vec::new()));
        // The content types come first, as Word writes them: some readers look nowhere else.
        for (name, xml) in [
            ("[Content_Types].xml", CONTENT_TYPES.to_owned()),
            ("_rels/.rels", PACKAGE_RELATIONS.to_owned()),
            ("docProps/core.xml", self.properties()),
            ("word/_rels/document.xml.rels", DOCUMENT_RELATIONS.to_owned()),
            ("word/styles.xml", self.styles()),
            ("word/document.xml", self.body()),
        ] {
            package.start_file(name, options)?;
            package.write_all(PROLOGUE.as_bytes())?;
            package.write_all(xml.as_bytes())?;
        }
        Ok(package.finish()?.into_inner())
    }

    fn properties(&self) -> String {
        let date = self.written_on;
        format!(
            r#"<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><dc:title>{}</dc:title><dc:creator>{}</dc:creator><dcterms:created xsi:type="dcterms:W3CDTF">{date}T09:00:00Z</dcterms:created><dcterms:modified xsi:type="dcterms:W3CDTF">{date}T09:00:00Z</dcterms:modified></cp:coreProperties>"#,
            escape(&self.title),
            escape(&self.author),
        )
    }

    fn styles(&self) -> String {
        let style = |id: &str, name: &str, before: u32, half_points: u32, colour: &str| {
            format!(
                r#"<w:style w:type="paragraph" w:styleId="{id}"><w:name w:val="{name}"/><w:pPr><w:keepNext/><w:spacing w:before="{before}" w:after="80"/></w:pPr><w:rPr><w:b/><w:color w:val="{colour}"/><w:sz w:val="{half_points}"/></w:rPr></w:style>"#
            )
        };
        format!(
            r#"<w:styles xmlns:w="{WORD}"><w:docDefaults><w:rPrDefault><w:rPr><w:rFonts w:ascii="Calibri" w:hAnsi="Calibri" w:cs="Calibri"/><w:sz w:val="22"/><w:lang w:val="{}"/></w:rPr></w:rPrDefault><w:pPrDefault><w:pPr><w:spacing w:after="80"/></w:pPr></w:pPrDefault></w:docDefaults>{}{}</w:styles>"#,
            self.language,
            style("Title", "Title", 0, 40, "1F3864"),
            style("Heading1", "heading 1", 240, 26, "2F5496"),
        )
    }

    fn body(&self) -> String {
        let mut body = format!(r#"<w:document xmlns:w="{WORD}"><w:body>"#);
        for paragraph in &self.paragraphs {
            let (style, text) = match paragraph {
                Paragraph::Title(text) => (r#"<w:pPr><w:pStyle w:val="Title"/></w:pPr>"#, text),
                Paragraph::Heading(text) => (r#"<w:pPr><w:pStyle w:val="Heading1"/></w:pPr>"#, text),
                Paragraph::Text(text) => ("", text),
            };
            body.push_str("<w:p>");
            body.push_str(style);
            body.push_str(r#"<w:r><w:t xml:space="preserve">"#);
            body.push_str(&escape(text));
            body.push_str("</w:t></w:r></w:p>");
        }
        body.push_str(r#"<w:sectPr><w:pgSz w:w="11906" w:h="16838"/><w:pgMar w:top="1134" w:right="1134" w:bottom="1134" w:left="1134" w:header="567" w:footer="567" w:gutter="0"/></w:sectPr></w:body></w:document>"#);
        body
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn text_is_escaped_and_comes_back_whole() {
        let document = WordDocument {
            title: "R & D <2026>".into(),
            author: "Zoë".into(),
            language: "en-GB",
            written_on: jiff::civil::date(2026, 1, 5),
            paragraphs: vec![
                Paragraph::Title("A & B".into()),
                Paragraph::Text("x < y > z".into()),
            ],
        };
        let bytes = document.to_bytes().unwrap();
        assert_eq!(bytes, document.to_bytes().unwrap());
        assert_eq!(check(&bytes), "A & B\nx < y > z\n");
    }

    /// Opens a document, reads every part as XML, follows its relations; gives its text, a line
    /// for each paragraph.
    pub(in crate::demo) fn check(bytes: &[u8]) -> String {
        let mut package = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut parts = std::collections::BTreeMap::new();
        for index in 0..package.len() {
            let mut part = package.by_index(index).unwrap();
            let mut xml = String::new();
            part.read_to_string(&mut xml).unwrap();
            let name = part.name().unwrap().into_owned();
            parts.insert(name, read(&xml));
        }
        for part in ["word/document.xml", "word/styles.xml", "docProps/core.xml"] {
            assert!(parts.contains_key(part), "{part}");
            let named = parts["[Content_Types].xml"].1.contains(&format!("/{part}"));
            assert!(named, "{part} has a content type");
        }
        assert!(parts["_rels/.rels"].1.contains(&"word/document.xml".to_owned()));
        assert!(
            parts["word/_rels/document.xml.rels"]
                .1
                .contains(&"styles.xml".to_owned())
        );
        parts["word/document.xml"].0.clone()
    }

    /// A part's text and the values of its attributes; panics unless it is well-formed.
    fn read(xml: &str) -> (String, Vec<String>) {
        use quick_xml::events::Event;
        let mut reader = quick_xml::Reader::from_str(xml.strip_prefix(PROLOGUE).unwrap());
        let (mut text, mut values, mut open) = (String::new(), Vec::new(), 0);
        loop {
            let event = reader.read_event().unwrap();
            if let Event::Start(tag) | Event::Empty(tag) = &event {
                for attribute in tag.attributes() {
                    values.push(String::from_utf8(attribute.unwrap().value.to_vec()).unwrap());
                }
            }
            match event {
                Event::Eof => break,
                Event::Start(_) => open += 1,
                // The reader itself refuses an end that does not match its start.
                Event::End(tag) => {
                    open -= 1;
                    if tag.name().as_ref() == b"w:p" {
                        text.push('\n');
                    }
                }
                Event::Text(run) => text.push_str(&run.decode().unwrap()),
                Event::GeneralRef(name) => {
                    let name = name.decode().unwrap();
                    text.push_str(quick_xml::escape::resolve_predefined_entity(&name).unwrap());
                }
                _ => {}
            }
        }
        assert_eq!(open, 0, "every element is closed");
        (text, values)
    }
}
