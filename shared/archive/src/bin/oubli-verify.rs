//! Checks a saved archive without any connection.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use oubli_archive::names::printable;
use oubli_archive::signature::PublicKey;
use oubli_archive::verify::{Origin, Verification, verify};

/// Check that an archive of a contact is whole and unchanged.
///
/// Reads the ZIP without unpacking it, compares each entry with the manifest inside (size and SHA-256), and
/// refuses what Oubli would not have written: hidden or overlapping entries, names that climb out of their
/// folder, entries that the manifest does not list. With a key it also tells who wrote it: the manifest must
/// be signed by that key.
#[derive(Parser)]
#[command(
    name = "oubli-verify",
    version,
    after_help = "Exit status: 0 when everything is as the manifest says, 1 when something is not, 2 on wrong usage."
)]
struct Arguments {
    /// The archive, as it was downloaded.
    #[arg(value_name = "FILE.zip")]
    file: PathBuf,
    /// Public keys in PEM, one or more in each file: the archive must be signed by one of them. A
    /// deployment's own are at `GET /v1/archive-keys`.
    #[arg(long, value_name = "KEYS.pem")]
    key: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let told = check(&arguments, &mut out).and_then(|intact| {
        out.flush().context("the verdict could not be written")?;
        Ok(intact)
    });
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Standard error may be closed as well: then the exit status alone tells.
            let _ = writeln!(std::io::stderr(), "refused: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn check(arguments: &Arguments, out: &mut impl Write) -> anyhow::Result<bool> {
    let shown = printable(&arguments.file.to_string_lossy());
    let file = File::open(&arguments.file).with_context(|| format!("`{shown}` cannot be opened"))?;
    let keys = read_keys(&arguments.key)?;
    let mut written = Ok(());
    let verification = verify(BufReader::new(file), &keys, |entry| {
        let name = printable(entry.name);
        let line = match &entry.fault {
            None => writeln!(out, "ok     {name} ({} bytes)", entry.size_bytes),
            Some(fault) => writeln!(out, "FAULT  {name} {fault}"),
        };
        if written.is_ok() {
            written = line;
        }
    })?;
    written
        .and_then(|()| conclude(&verification, out))
        .context("the verdict could not be written")?;
    Ok(verification.faults == 0)
}

fn read_keys(paths: &[PathBuf]) -> anyhow::Result<Vec<PublicKey>> {
    let mut keys = Vec::new();
    for path in paths {
        let shown = printable(&path.to_string_lossy());
        let text = std::fs::read_to_string(path).with_context(|| format!("`{shown}` cannot be read"))?;
        keys.extend(PublicKey::all_from_pem(&text).with_context(|| format!("`{shown}` is no key"))?);
    }
    Ok(keys)
}

fn conclude(verification: &Verification, out: &mut impl Write) -> std::io::Result<()> {
    let manifest = &verification.manifest;
    for missing in &manifest.missing {
        writeln!(
            out,
            "not in the archive: {} ({})",
            printable(&missing.name),
            missing.reason.code()
        )?;
    }
    writeln!(out)?;
    match verification.faults {
        0 => writeln!(
            out,
            "intact: {} entries, each as the manifest says",
            verification.entries
        )?,
        faults => writeln!(
            out,
            "NOT INTACT: {faults} of {} entries are at fault",
            verification.entries
        )?,
    }
    match verification.origin {
        Origin::Authentic => writeln!(out, "authentic: signed by a key that was given")?,
        Origin::Unchecked => writeln!(out, "signed; to check by whom, give the public key with --key")?,
        Origin::Unsigned => writeln!(out, "unsigned: nothing tells who wrote it")?,
    }
    if let Some(key) = manifest.signed_by {
        writeln!(
            out,
            "key {key}: the SHA-256 of the public key that the manifest names"
        )?;
    }
    writeln!(
        out,
        "contact {}, version {}, tenant {}",
        manifest.contact_id, manifest.contact_version, manifest.tenant_id
    )
}
