//! The name under which a stored object is offered: a `Content-Disposition` (RFC 6266) in the encoding of
//! RFC 8187.

/// How many bytes a name has at most once it is encoded. S3 takes 2 KB of system-defined metadata, names and
/// values together ("Working with object metadata", Amazon S3 User Guide): this leaves room for a media type
/// of 255 bytes, for the encryption, and for whatever else S3 may come to count.
const MAX_ENCODED_BYTES: usize = 900;
/// What of the end of a name counts as its extension at most, encoded.
const MAX_EXTENSION_BYTES: usize = 60;

/// A `Content-Disposition` that offers an object under this name. A name that is too long for a header is cut
/// between two characters, before its extension; the record keeps it whole.
pub(super) fn disposition(name: &str) -> String {
    format!("attachment; filename*=UTF-8''{}", encode(&fitting(name)))
}

fn encoded_bytes(text: &str) -> usize {
    text.bytes().map(|byte| if is_bare(byte) { 1 } else { 3 }).sum()
}

fn fitting(name: &str) -> String {
    if encoded_bytes(name) <= MAX_ENCODED_BYTES {
        return name.to_owned();
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let extension = match encoded_bytes(extension) {
        1..=MAX_EXTENSION_BYTES => format!(".{extension}"),
        _ => String::new(),
    };
    let mut left = MAX_ENCODED_BYTES - encoded_bytes(&extension);
    let mut cut = String::new();
    for character in name.chars() {
        let bytes = encoded_bytes(character.encode_utf8(&mut [0; 4]));
        if bytes > left {
            break;
        }
        left -= bytes;
        cut.push(character);
    }
    cut + &extension
}

/// Whether a byte may stand as it is (`attr-char`, RFC 8187).
fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte)
}

fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(encoded_bytes(name));
    for byte in name.bytes() {
        if is_bare(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use oubli_domain::document::MAX_DOCUMENT_NAME_BYTES;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn any_name_fits_a_header() {
        assert_eq!(
            disposition("paie mars.pdf"),
            "attachment; filename*=UTF-8''paie%20mars.pdf"
        );
        assert_eq!(
            disposition("é\r\nX: \0"),
            "attachment; filename*=UTF-8''%C3%A9%0D%0AX%3A%20%00"
        );
    }

    #[test]
    fn a_long_name_is_cut_before_its_extension() {
        let name = format!("{}.pdf", "📄".repeat(255));
        assert_eq!(name.len(), MAX_DOCUMENT_NAME_BYTES);
        let cut = format!("{}.pdf", "%F0%9F%93%84".repeat(74));
        assert_eq!(disposition(&name), format!("attachment; filename*=UTF-8''{cut}"));
        // What is no extension is not kept for one.
        let name = format!("a.{}", "é".repeat(511));
        let cut = format!("a.{}", "%C3%A9".repeat(149));
        assert_eq!(disposition(&name), format!("attachment; filename*=UTF-8''{cut}"));
        assert_eq!(fitting(&"x".repeat(1024)).len(), MAX_ENCODED_BYTES);
    }

    proptest! {
        /// With a media type of 255 bytes, and what encrypts, all is within the 2 KB of S3.
        #[test]
        fn no_header_is_too_long(name in "\\PC{0,1024}") {
            let disposition = disposition(&name);
            let headers = [
                ("content-disposition", disposition.as_str()),
                ("content-type", &"x".repeat(255)),
                ("x-amz-server-side-encryption", "AES256"),
                ("x-amz-storage-class", "STANDARD"),
            ];
            let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
            prop_assert!(bytes < 2048 - 512, "{bytes}");
            prop_assert!(name.len() > 300 || disposition.ends_with(&encode(&name)));
        }
    }
}
