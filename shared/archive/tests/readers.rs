//! Every archive of a small corpus, read by every ZIP reader that is installed.
//!
//! A reader that is not installed is told and passed over; with `OUBLI_REQUIRE_READERS=1`, as in CI, it is
//! a failure.

#![cfg(test)]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use oubli_archive::hashes::ContentHasher;
use oubli_archive::zip64::{
    ArchiveWriter, DEFAULT_PART_BYTES, DosTime, EntryPlan, Method, PATCH_WINDOW_BYTES, TRIAL_BYTES,
};
use oubli_domain::Crc32;

fn noise(len: usize) -> Vec<u8> {
    let mut state = 11u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(len)
    .collect()
}

fn text(len: usize) -> Vec<u8> {
    (0u32..)
        .flat_map(|n| format!("{};oublié;{n}\n", n * 7919 % 1009).into_bytes())
        .take(len)
        .collect()
}

fn crc32(content: &[u8]) -> Crc32 {
    let mut hasher = ContentHasher::new();
    hasher.update(content);
    hasher.finish().crc32
}

/// Writes an archive and gives how its entries were kept.
fn write_archive(path: &Path, entries: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<Method> {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut writer = ArchiveWriter::new(DEFAULT_PART_BYTES);
    let mut methods = Vec::new();
    for (name, content) in entries {
        let plan = EntryPlan {
            name: &name,
            size_bytes: content.len() as u64,
            crc32: Some(crc32(&content)),
            modified: DosTime::from_timestamp("2026-02-03T04:05:06Z".parse().unwrap()),
        };
        let (head, rest) = content.split_at(content.len().min(TRIAL_BYTES));
        writer.start_entry(&plan, head).unwrap();
        writer.write(rest).unwrap();
        methods.push(writer.finish_entry().unwrap().method);
        while let Some(part) = writer.take_part().unwrap() {
            file.write_all(&part).unwrap();
        }
    }
    writer.finish().unwrap();
    while let Some(part) = writer.take_part().unwrap() {
        file.write_all(&part).unwrap();
    }
    file.flush().unwrap();
    methods
}

struct Archive {
    path: PathBuf,
    entries: usize,
}

fn corpus(folder: &Path) -> Vec<Archive> {
    let large = PATCH_WINDOW_BYTES as usize + 1_000;
    let mixed = [
        ("documents/empty.txt", Vec::new(), Method::Stored),
        ("documents/Été à Orléans – œuvre.txt", text(100), Method::Deflated),
        ("documents/👩🏽\u{200D}💻 contrat.pdf", noise(1_000), Method::Stored),
        ("documents/head.bin", noise(TRIAL_BYTES), Method::Stored),
        ("documents/text.csv", text(TRIAL_BYTES + 1), Method::Deflated),
        (
            "documents/stored beyond the window.jpg",
            noise(large),
            Method::Stored,
        ),
        (
            "documents/deflated with a descriptor.csv",
            text(large),
            Method::Deflated,
        ),
        ("photo/moi.jpg", noise(10_000), Method::Stored),
        ("manifest.json", b"{}".to_vec(), Method::Stored),
    ];
    let expected: Vec<Method> = mixed.iter().map(|(_, _, method)| *method).collect();
    let path = folder.join("mixed.zip");
    let mixed = mixed
        .into_iter()
        .map(|(name, content, _)| (name.to_owned(), content));
    assert_eq!(write_archive(&path, mixed), expected);

    let many = folder.join("many.zip");
    let numbered =
        (0..70_000).map(|number| (format!("documents/{number}.txt"), number.to_string().into_bytes()));
    write_archive(&many, numbered);
    let least = folder.join("least.zip");
    write_archive(
        &least,
        std::iter::once(("manifest.json".to_owned(), b"{}".to_vec())),
    );
    vec![
        Archive {
            path,
            entries: expected.len(),
        },
        Archive {
            path: many,
            entries: 70_000,
        },
        Archive {
            path: least,
            entries: 1,
        },
    ]
}

/// Runs a program over an archive; its standard output, or `None` when it is not installed.
fn run(program: &str, arguments: &[&str], input: Option<&Path>) -> Option<String> {
    let input = input.map_or_else(Stdio::null, |path| File::open(path).unwrap().into());
    // `bsdtar` names files in the character set of its locale.
    let command = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .stdin(input)
        .output();
    let output = match command {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let required = std::env::var_os("OUBLI_REQUIRE_READERS").is_some_and(|value| value == "1");
            assert!(!required, "`{program}` is not installed");
            println!("`{program}` is not installed: passed over");
            return None;
        }
        Err(error) => panic!("{program}: {error}"),
    };
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}\n{stdout}\n{stderr}",
        output.status
    );
    assert!(stderr.is_empty(), "{program} {arguments:?} warns: {stderr}");
    Some(stdout.into_owned())
}

fn source(name: &str) -> String {
    format!("{}/tests/readers/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_reader_accepts_every_archive() {
    let folder = tempfile::tempdir().unwrap();
    for Archive { path, entries } in corpus(folder.path()) {
        let file = path.to_str().unwrap();
        if let Some(told) = run("unzip", &["-tqq", file], None) {
            assert_eq!(told, "", "unzip says nothing when all is well");
        }
        if let Some(told) = run("python3", &[&source("reader.py"), file], None) {
            assert_eq!(told.trim(), entries.to_string());
        }
        if let Some(told) = run("7z", &["t", file], None) {
            assert!(
                told.contains("Everything is Ok") && !told.contains("Warnings"),
                "{told}"
            );
            assert!(
                entries == 1 || told.contains(&format!("Files: {entries}\n")),
                "{told}"
            );
        }
        for (arguments, input) in [(["-tf", file], None), (["-tf", "-"], Some(path.as_path()))] {
            if let Some(told) = run("bsdtar", &arguments, input) {
                assert_eq!(told.lines().count(), entries);
            }
        }
        // To its contents, from a pipe, without the directory.
        run("bsdtar", &["-xOf", "-"], Some(path.as_path()));
        if let Some(told) = run("java", &[&source("Reader.java"), file], None) {
            assert_eq!(told.trim(), format!("{entries} {entries}"));
        }
        let reader = zip::ZipArchive::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(reader.len(), entries);
    }
}
