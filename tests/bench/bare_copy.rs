//! The least that an archive can cost: its documents read and sent again through the same endpoint, as
//! one object in parts, by a process of its own. No ZIP, no hashes.

use std::process::{Command, Stdio};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt};
use oubli_tests::Stack;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::Measured;
use crate::measure::{self, Stopwatch};

/// The argument that makes this program the copier.
pub(crate) const ARGUMENT: &str = "bare-copy";

const PIECE_BYTES: u64 = 8 * 1024 * 1024;
const PART_BYTES: usize = 8 * 1024 * 1024;
const READS: usize = 16;
const WRITES: usize = 3;
const TARGET: &str = "bare-copy";

/// What is to be copied.
#[derive(Serialize, Deserialize)]
struct Order {
    endpoint_url: String,
    from_bucket: String,
    prefix: String,
    to_bucket: String,
}

/// What it took.
#[derive(Serialize, Deserialize)]
struct Report {
    wall_seconds: f64,
    cpu_seconds: f64,
    peak_bytes: u64,
}

pub(crate) async fn config(endpoint_url: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint_url)
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "embedded"))
        .load()
        .await
}

pub(crate) async fn client(endpoint_url: &str) -> Client {
    let config = aws_sdk_s3::config::Builder::from(&config(endpoint_url).await).force_path_style(true);
    Client::from_conf(config.build())
}

/// Starts this program again as the copier of a contact's documents.
pub(crate) async fn measured(stack: &Stack, contact: &str, bytes: u64) -> Measured {
    let names = &stack.runner.provisioned().environment["archive-builder"];
    let order = Order {
        endpoint_url: stack.runner.aws_url().to_owned(),
        from_bucket: names["OUBLI_DOCUMENTS_BUCKET"].clone(),
        prefix: format!("documents/demo/{contact}/"),
        to_bucket: names["OUBLI_ARCHIVES_BUCKET"].clone(),
    };
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([ARGUMENT, &serde_json::to_string(&order).unwrap()])
        .stderr(Stdio::inherit());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    assert!(output.status.success(), "the copy failed");
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    let measured = Measured {
        spent: measure::Spent {
            wall: std::time::Duration::from_secs_f64(report.wall_seconds),
            cpu_seconds: report.cpu_seconds,
        },
        peak_mib: report.peak_bytes as f64 / crate::MIB,
    };
    measured.print("bare copy", bytes)
}

/// The copier itself.
pub(crate) async fn run(order: &str) {
    let order: Order = serde_json::from_str(order).unwrap();
    let stopwatch = Stopwatch::start(std::process::id());
    // One thread at work, as the builder has.
    let copier = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(copy(&order));
    });
    copier.join().unwrap();
    let spent = stopwatch.stop();
    let report = Report {
        wall_seconds: spent.wall.as_secs_f64(),
        cpu_seconds: spent.cpu_seconds,
        peak_bytes: measure::peak_memory_bytes(std::process::id()),
    };
    println!("{}", serde_json::to_string(&report).unwrap());
}

async fn copy(order: &Order) {
    let client = client(&order.endpoint_url).await;
    let mut listed = client
        .list_objects_v2()
        .bucket(&order.from_bucket)
        .prefix(&order.prefix)
        .into_paginator()
        .send();
    let mut pieces = Vec::new();
    while let Some(page) = listed.next().await {
        for object in page.unwrap().contents() {
            let (key, size) = (object.key().unwrap(), object.size().unwrap() as u64);
            for from in (0..size).step_by(PIECE_BYTES as usize) {
                let to = (from + PIECE_BYTES).min(size);
                pieces.push((key.to_owned(), format!("bytes={from}-{}", to - 1)));
            }
        }
    }
    let reads = pieces.into_iter().map(|(key, range)| {
        let request = client
            .get_object()
            .bucket(&order.from_bucket)
            .key(key)
            .range(range);
        async move { request.send().await.unwrap().body.collect().await.unwrap() }
    });
    // As many as fill what the builder reads ahead, when they are large.
    let mut reads = stream::iter(reads).buffered(READS);
    let begun = client
        .create_multipart_upload()
        .bucket(&order.to_bucket)
        .key(TARGET)
        .checksum_algorithm(ChecksumAlgorithm::Crc32)
        .checksum_type(ChecksumType::FullObject);
    let upload = begun.send().await.unwrap().upload_id.unwrap();
    let mut sender = Sender {
        client: &client,
        bucket: &order.to_bucket,
        upload: &upload,
        begun: 0,
        under_way: JoinSet::new(),
        done: Vec::new(),
    };
    let mut part = BytesMut::with_capacity(PART_BYTES);
    while let Some(piece) = reads.next().await {
        for mut segment in piece.into_segments() {
            while !segment.is_empty() {
                let room = (PART_BYTES - part.len()).min(segment.len());
                part.extend_from_slice(&segment.split_to(room));
                if part.len() == PART_BYTES {
                    let full = std::mem::replace(&mut part, BytesMut::with_capacity(PART_BYTES));
                    sender.send(full.freeze()).await;
                }
            }
        }
    }
    sender.send(part.freeze()).await;
    sender.complete().await;
}

struct Sender<'a> {
    client: &'a Client,
    bucket: &'a str,
    upload: &'a str,
    begun: i32,
    under_way: JoinSet<CompletedPart>,
    done: Vec<CompletedPart>,
}

impl Sender<'_> {
    async fn send(&mut self, part: Bytes) {
        while self.under_way.len() >= WRITES {
            self.done.push(self.under_way.join_next().await.unwrap().unwrap());
        }
        self.begun += 1;
        let number = self.begun;
        let request = self
            .client
            .upload_part()
            .bucket(self.bucket)
            .key(TARGET)
            .upload_id(self.upload)
            .part_number(number)
            .body(part.into());
        self.under_way.spawn(async move {
            let sent = request.send().await.unwrap();
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(sent.e_tag)
                .set_checksum_crc32(sent.checksum_crc32)
                .build()
        });
    }

    async fn complete(mut self) {
        while let Some(done) = self.under_way.join_next().await {
            self.done.push(done.unwrap());
        }
        self.done.sort_by_key(CompletedPart::part_number);
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(self.done))
            .build();
        self.client
            .complete_multipart_upload()
            .bucket(self.bucket)
            .key(TARGET)
            .upload_id(self.upload)
            .multipart_upload(parts)
            .send()
            .await
            .unwrap();
    }
}
