//! Links, and the janitor: what is due goes, and nothing else.

use jiff::SignedDuration;
use oubli_workflows::WorkflowError;

use super::{Run, unforeseen};

/// How late S3's rules may be.
const BROOM: SignedDuration = SignedDuration::from_hours(48);

impl Run<'_> {
    pub(super) async fn download(&mut self, number: usize) -> Result<(), String> {
        let Some(archive) = self.latest(number) else {
            return Ok(());
        };
        let archive = &self.plain.archives[archive];
        let link = self.world.oubli.archive_link(&self.caller, &archive.id).await;
        let is_ready = archive.is_ready(self.world.now());
        match (link, is_ready) {
            (Ok(_), true) => self.count("download", "a link"),
            (Err(WorkflowError::ArchiveExpired), false) => self.count("download", "expired"),
            (link, _) => {
                return Err(format!(
                    "the link of an archive that is ready ({is_ready}): {link:?}"
                ));
            }
        }
        Ok(())
    }

    /// The janitor looks. Nothing of it may be seen of what lives.
    pub(super) async fn sweep(&mut self, engines: bool) -> Result<(), String> {
        if engines {
            self.world.sweep_engines().await;
        }
        let swept = self.world.oubli.sweep().await.map_err(unforeseen)?;
        if swept.failures > 0 {
            return Err(format!("the janitor could not do it all: {swept:?}"));
        }
        self.learn_gone(engines).await?;
        self.compare_all().await
    }

    /// Learns which archives S3 has deleted: none too early, and not one too late.
    pub(super) async fn learn_gone(&mut self, engines: bool) -> Result<(), String> {
        let now = self.world.now();
        let archives = self.world.keys_of("archives", &self.tenant).await;
        for archive in &mut self.plain.archives {
            let place = format!("/{}/", archive.id);
            archive.is_gone = !archives.iter().any(|key| key.contains(&place));
            let is_due = archive.expires_at.saturating_add(BROOM).unwrap() <= now;
            if archive.is_gone && now < archive.expires_at {
                return Err(format!("{} was deleted before its time", archive.id));
            }
            if engines && is_due && !archive.is_gone {
                return Err(format!("{} is still there after its time", archive.id));
            }
        }
        let uploads = self.world.keys_of("uploads", &self.tenant).await;
        for upload in &mut self.plain.uploads {
            let place = format!("/archives/{}", upload.id);
            upload.is_gone = !uploads.iter().any(|key| key.ends_with(&place));
        }
        Ok(())
    }
}
