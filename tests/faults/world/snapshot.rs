//! All that is stored about a contact and what was done with it, without what differs from run to run.

use oubli_local::s3::StoredKind;
use serde_json::Value;

use super::World;

/// A contact, and all that was done with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    pub(crate) contact: String,
    pub(crate) documents: Vec<String>,
    /// In the order in which they were started.
    pub(crate) actions: Vec<String>,
    pub(crate) archives: Vec<String>,
    pub(crate) uploads: Vec<String>,
}

/// How often something was tried, and when it is looked at again.
const DIFFERENT: [&str; 6] = [
    "attempts",
    "takes",
    "looks",
    "open_work_pk",
    "open_work_sk",
    "ttl",
];

impl World {
    /// A line for every item and object: keys and contents, with ids that are drawn anew at every run, and
    /// instants, made equal.
    pub(crate) async fn snapshot(&self, life: &Life) -> Vec<String> {
        let contacts = ("OUBLI_CONTACTS_TABLE", format!("T#demo#C#{}", life.contact));
        let mut partitions = vec![contacts];
        let mut requests = |pk: String| partitions.push(("OUBLI_REQUESTS_TABLE", pk));
        for action in &life.actions {
            requests(format!("T#demo#A#{action}"));
            requests(format!("T#demo#A#{action}#K#00000"));
        }
        for archive in &life.archives {
            requests(format!("T#demo#R#{archive}"));
        }
        for upload in &life.uploads {
            requests(format!("T#demo#U#{upload}"));
        }
        requests(format!("T#demo#PURGE#{}", life.contact));
        let mut lines = Vec::new();
        for (table, pk) in partitions {
            for (sk, mut item) in self.partition(table, &pk).await {
                let attributes = item.as_object_mut().unwrap();
                if attributes.contains_key("open_work_pk") {
                    attributes.insert("open".to_owned(), Value::Bool(true));
                }
                for name in DIFFERENT {
                    attributes.remove(name);
                }
                // A signature has 70 to 72 bytes.
                if sk == "ARCHIVE" || sk == "UPLOAD" {
                    attributes.remove("size_bytes");
                }
                if let Some(object) = item.pointer_mut("/last_archive/object") {
                    object.as_object_mut().unwrap().remove("size_bytes");
                }
                lines.push(life.named(&item.to_string()));
            }
        }
        for bucket in ["documents", "archives", "uploads"] {
            for item in self.stored(bucket).await {
                let is_whole = matches!(item.kind, StoredKind::Version { .. });
                if life.ids().iter().any(|(id, _)| item.key.contains(id)) {
                    let key = life.named(&item.key);
                    lines.push(format!("{bucket}: {key}, whole: {is_whole}"));
                }
            }
        }
        lines.sort();
        lines
    }
}

impl Life {
    fn ids(&self) -> Vec<(&str, String)> {
        let mut ids = vec![(self.contact.as_str(), "<contact>".to_owned())];
        for (what, of_it) in [
            ("document", &self.documents),
            ("action", &self.actions),
            ("archive", &self.archives),
            ("upload", &self.uploads),
        ] {
            let numbered = (1..).zip(of_it);
            ids.extend(numbered.map(|(number, id)| (id.as_str(), format!("<{what} {number}>"))));
        }
        ids
    }

    fn named(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (id, name) in self.ids() {
            text = text.replace(id, &name);
        }
        levelled(&text)
    }
}

/// How many characters of the text are as the pattern says: `h` a hexadecimal digit, `d` a decimal one.
fn is_like(text: &[char], pattern: &str) -> bool {
    let mut text = text.iter();
    pattern.chars().all(|wanted| match (wanted, text.next()) {
        ('h', Some(found)) => found.is_ascii_hexdigit(),
        ('d', Some(found)) => found.is_ascii_digit(),
        (wanted, Some(found)) => wanted == *found,
        (_, None) => false,
    })
}

/// The text with ids, hashes, instants and the numbers of first names made equal.
fn levelled(text: &str) -> String {
    const TIME: &str = "dddd-dd-ddTdd:dd:dd";
    const MASKS: [&str; 2] = ["XXXXX_", "xxxxx_"];
    let text: Vec<char> = text.chars().collect();
    let (sha256, id) = ("h".repeat(64), "h".repeat(32));
    let milliseconds = "d".repeat(13);
    let mut levelled = String::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let run = |from: usize, is_part: fn(char) -> bool| {
            from + rest[from..].iter().take_while(|found| is_part(**found)).count()
        };
        let (length, name) = if is_like(rest, &sha256) {
            (64, "<sha256>")
        } else if is_like(rest, &id) {
            (32, "<id>")
        } else if is_like(rest, TIME) {
            let is_part = |found: char| found.is_ascii_digit() || found == '.' || found == 'Z';
            (run(TIME.len(), is_part), "<time>")
        } else if is_like(rest, &milliseconds) {
            (run(0, |found| found.is_ascii_digit()), "<ms>")
        } else if MASKS.iter().any(|mask| is_like(rest, mask)) {
            (run(6, |found| found.is_ascii_hexdigit()), "<alias>")
        } else {
            levelled.push(rest[0]);
            at += 1;
            continue;
        };
        levelled.push_str(name);
        at += length;
    }
    levelled
}
