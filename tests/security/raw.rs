//! Requests byte by byte: what a well-behaved client would never send.

use oubli_tests::Stack;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came back.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends bytes on a connection of their own and reads until the server closes it.
pub(crate) async fn send(stack: &Stack, bytes: &[u8]) -> RawAnswer {
    let address = stack.runner.api_url();
    let mut stream = TcpStream::connect(address.trim_start_matches("http://"))
        .await
        .unwrap();
    // A server may answer and close before it has read everything: that is an answer, too.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 8192];
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..read]);
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    RawAnswer {
        status: status.unwrap_or_else(|| panic!("no answer: {text}")),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

/// A request with a body and a token, closed after its answer.
pub(crate) async fn request(
    stack: &Stack,
    method: &str,
    target: &[u8],
    headers: &[&[u8]],
    body: &[u8],
) -> RawAnswer {
    let token = stack.admin().token.unwrap();
    let mut bytes = [method.as_bytes(), b" ", target, b" HTTP/1.1\r\nhost: x\r\n"].concat();
    bytes.extend_from_slice(format!("authorization: Bearer {token}\r\nconnection: close\r\n").as_bytes());
    if !body.is_empty() {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    for header in headers {
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    send(stack, &bytes).await
}
