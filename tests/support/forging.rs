//! Archives as somebody makes them who knows all of Oubli but its key; and, for what must hold even if the
//! key had signed it, signed by the deployment's own.
//!
//! The records are written here byte by byte, so that each can lie (PKWARE APPNOTE 6.3.10, section 4.3).

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use oubli_archive::hashes::ContentHasher;
use oubli_domain::Sha256;
use serde_json::{Value, json};

use crate::Stack;

pub const MANIFEST: &str = "manifest.json";
pub const SIGNATURE: &str = "manifest.sig";
/// A regular file that its owner may write.
const REGULAR: u32 = 0o100_644;
/// Names are in UTF-8.
const UTF8: u16 = 1 << 11;
/// Host UNIX, version 4.5 of the format.
const MADE_BY: u16 = (3 << 8) | 45;
/// The first day that a ZIP knows: 1 January 1980.
const EARLIEST: u16 = (1 << 5) | 1;

/// The records of one entry, and its data.
#[derive(Clone)]
pub struct Entry {
    pub name: Vec<u8>,
    pub data: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    pub crc32: u32,
    pub compressed: u32,
    pub size: u32,
    pub mode: u32,
    pub extra: Vec<u8>,
    /// Where the directory says that it is; else where it is.
    pub at: Option<u32>,
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut hasher = ContentHasher::new();
    hasher.update(bytes);
    hasher.finish().crc32.value()
}

impl Entry {
    /// An honest entry, stored.
    pub fn of(name: &str, content: &[u8]) -> Self {
        let size = u32::try_from(content.len()).unwrap();
        Self {
            name: name.as_bytes().to_vec(),
            data: content.to_vec(),
            method: 0,
            flags: UTF8,
            crc32: crc32(content),
            compressed: size,
            size,
            mode: REGULAR << 16,
            extra: Vec::new(),
            at: None,
        }
    }

    /// An honest entry, deflated.
    pub fn deflated(name: &str, content: &[u8]) -> Self {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        zip.start_file("x", options).unwrap();
        std::io::Write::write_all(&mut zip, content).unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        let mut archive = zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
        let file = archive.by_index_raw(0).unwrap();
        let (from, length) = (
            file.data_start().unwrap() as usize,
            file.compressed_size() as usize,
        );
        Self {
            data: bytes[from..from + length].to_vec(),
            method: 8,
            compressed: u32::try_from(length).unwrap(),
            ..Self::of(name, content)
        }
        .with_hash_of(content)
    }

    fn with_hash_of(self, content: &[u8]) -> Self {
        Self {
            crc32: crc32(content),
            size: u32::try_from(content.len()).unwrap(),
            ..self
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    fn fields(&self) -> Vec<u8> {
        let mut record = Vec::new();
        record.extend(self.flags.to_le_bytes());
        record.extend(self.method.to_le_bytes());
        record.extend(0_u16.to_le_bytes());
        record.extend(EARLIEST.to_le_bytes());
        for value in [self.crc32, self.compressed, self.size] {
            record.extend(value.to_le_bytes());
        }
        record.extend(u16::try_from(self.name.len()).unwrap().to_le_bytes());
        record.extend(u16::try_from(self.extra.len()).unwrap().to_le_bytes());
        record
    }

    fn local(&self) -> Vec<u8> {
        let head = [b"PK\x03\x04".as_slice(), &20_u16.to_le_bytes()].concat();
        [head, self.fields(), self.name.clone(), self.extra.clone()].concat()
    }

    fn central(&self, offset: u32) -> Vec<u8> {
        let mut record = b"PK\x01\x02".to_vec();
        record.extend(MADE_BY.to_le_bytes());
        record.extend(20_u16.to_le_bytes());
        record.extend(self.fields());
        // Comment, disk, internal attributes.
        record.extend([0; 6]);
        record.extend(self.mode.to_le_bytes());
        record.extend(self.at.unwrap_or(offset).to_le_bytes());
        [record, self.name.clone(), self.extra.clone()].concat()
    }
}

/// The end of an archive.
pub fn end(entries: u16, offset: u32, size: u32) -> Vec<u8> {
    let mut record = b"PK\x05\x06\0\0\0\0".to_vec();
    record.extend(entries.to_le_bytes());
    record.extend(entries.to_le_bytes());
    record.extend(size.to_le_bytes());
    record.extend(offset.to_le_bytes());
    record.extend([0; 2]);
    record
}

/// The ZIP64 records before the end, and an end that points to them.
pub fn zip64_end(entries: u64, offset: u64, size: u64, at: u64) -> Vec<u8> {
    let mut record = b"PK\x06\x06".to_vec();
    record.extend(44_u64.to_le_bytes());
    record.extend(MADE_BY.to_le_bytes());
    record.extend(45_u16.to_le_bytes());
    record.extend([0; 8]);
    for value in [entries, entries, size, offset] {
        record.extend(value.to_le_bytes());
    }
    record.extend(b"PK\x06\x07\0\0\0\0");
    record.extend(at.to_le_bytes());
    record.extend(1_u32.to_le_bytes());
    let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let entries = u16::try_from(entries).unwrap_or(u16::MAX);
    record.extend(end(entries, narrow(offset), narrow(size)));
    record
}

/// What an archive consists of: entries as they stand, as the directory tells of them, and its end.
pub struct Laid {
    pub bytes: Vec<u8>,
    /// Where the directory begins.
    pub directory: usize,
    /// How many bytes it has.
    pub size: usize,
    pub entries: usize,
}

impl Laid {
    /// With the end that belongs to it.
    pub fn ended(self) -> Vec<u8> {
        let end = end(self.entries as u16, self.directory as u32, self.size as u32);
        [self.bytes, end].concat()
    }
}

/// Writes entries, what `hidden` before the directory, and a directory, which may tell of others.
pub fn laid(entries: &[Entry], directory: &[Entry], hidden: &[u8]) -> Laid {
    let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
    for entry in entries {
        offsets.push(bytes.len() as u32);
        bytes.extend(entry.local());
        bytes.extend(&entry.data);
    }
    bytes.extend(hidden);
    let start = bytes.len();
    for (index, entry) in directory.iter().enumerate() {
        bytes.extend(entry.central(offsets.get(index).copied().unwrap_or_default()));
    }
    Laid {
        directory: start,
        size: bytes.len() - start,
        entries: directory.len(),
        bytes,
    }
}

/// An archive of these entries.
pub fn zip_of(entries: &[Entry]) -> Vec<u8> {
    laid(entries, entries, b"").ended()
}

/// The entries of an archive, by another reader than Oubli's, each stored.
pub fn entries_of(archive: &[u8]) -> Vec<Entry> {
    let mut zip = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let count = zip.len();
    let read = |index| {
        let mut file = zip.by_index(index).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        Entry::of(&file.name().unwrap(), &content)
    };
    (0..count).map(read).collect()
}

/// The place of an entry.
#[track_caller]
pub fn place(entries: &[Entry], name: &str) -> usize {
    let found = entries.iter().position(|entry| entry.name == name.as_bytes());
    found.unwrap_or_else(|| panic!("no {name}"))
}

/// The place of the first document.
pub fn document(entries: &[Entry]) -> usize {
    let found = entries
        .iter()
        .position(|entry| entry.name.starts_with(b"documents/"));
    found.unwrap()
}

/// Changes an entry of JSON.
pub fn change_json(entries: &mut [Entry], name: &str, change: impl FnOnce(&mut Value)) {
    let at = place(entries, name);
    let mut value = serde_json::from_slice(&entries[at].data).unwrap();
    change(&mut value);
    entries[at] = Entry::of(name, value.to_string().as_bytes());
}

/// Has the manifest say of every entry that it lists what the entry is.
pub fn relist(entries: &mut [Entry]) {
    let actual: BTreeMap<String, Entry> = entries
        .iter()
        .map(|entry| (entry.text(), entry.clone()))
        .collect();
    change_json(entries, MANIFEST, |manifest| {
        for listed in manifest["entries"].as_array_mut().unwrap() {
            if let Some(entry) = actual.get(listed["name"].as_str().unwrap()) {
                listed["size_bytes"] = json!(entry.size);
                if entry.method == 0 {
                    listed["sha256"] = json!(Sha256::of(&entry.data).to_string());
                }
            }
        }
    });
}

/// Gives an entry another name wherever it is told: all is consistent but the name.
pub fn rename(entries: &mut [Entry], at: usize, to: &str) {
    let from = entries[at].text();
    entries[at].name = to.as_bytes().to_vec();
    change_json(entries, MANIFEST, |manifest| {
        for listed in manifest["entries"].as_array_mut().unwrap() {
            if listed["name"] == *from {
                listed["name"] = json!(to);
            }
        }
    });
    change_json(entries, "contact.json", |contact| {
        for document in contact["documents"].as_array_mut().unwrap() {
            if document["path"] == *from {
                document["path"] = json!(to);
            }
        }
    });
    relist(entries);
}

/// The deployment's key, as only the deployment may use it.
pub struct Key {
    client: aws_sdk_kms::Client,
    id: String,
}

impl Key {
    pub async fn of(stack: &Stack) -> Self {
        let environment = &stack.runner.provisioned().environment["archive-builder"];
        Self {
            client: aws_sdk_kms::Client::new(&stack.aws().await),
            id: environment["OUBLI_ARCHIVE_KEY_ID"].clone(),
        }
    }

    pub async fn sign(&self, manifest: &[u8]) -> Vec<u8> {
        let request = self.client.sign().key_id(&self.id);
        let request = request
            .message(Blob::new(Sha256::of(manifest).as_bytes().as_slice()))
            .message_type(MessageType::Digest)
            .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256);
        request.send().await.unwrap().signature.unwrap().into_inner()
    }

    /// Signs the manifest that stands in the entries.
    pub async fn resign(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        let manifest = place(&entries, MANIFEST);
        let signature = self.sign(&entries[manifest].data).await;
        let at = place(&entries, SIGNATURE);
        entries[at] = Entry::of(SIGNATURE, &signature);
        entries
    }

    /// An archive of these entries, with a manifest that tells what they are, signed.
    pub async fn archive(&self, mut entries: Vec<Entry>) -> Vec<u8> {
        relist(&mut entries);
        zip_of(&self.resign(entries).await)
    }
}
